"""Addresses of the reviews, below `/console/review/`."""

from django.urls import path

from guiju.screening.review import views

app_name = "review"
urlpatterns = [
    path("", views.queue, name="queue"),
    path("next/", views.take_next, name="next"),
    path("permission/", views.ask_permission, name="permission"),
    path("figures/", views.figures_page, name="figures"),
    path("exceptions/", views.proposals_page, name="proposals"),
    path("exceptions/download/", views.download_proposals, name="proposals-download"),
    path("exceptions/<int:number>/", views.settle, name="settle"),
    path("<str:record>/", views.item, name="item"),
    path("<str:record>/take/", views.take, name="take"),
    path("<str:record>/decide/", views.decide, name="decide"),
    path("<str:record>/return/", views.give_back, name="return"),
    path("<str:record>/propose/", views.propose, name="propose"),
]
