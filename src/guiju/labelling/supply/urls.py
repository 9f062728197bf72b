"""Addresses of supplies without the explicit label, below `/console/supply/`."""

from django.urls import path

from guiju.labelling.supply import views

app_name = "supply"
urlpatterns = [
    path("", views.supplies, name="supplies"),
    path("ask/", views.ask, name="ask"),
    path("<str:id>/decide/", views.decide, name="decide"),
    path("<str:id>/end/", views.end, name="end"),
    path("<str:id>/agreement/", views.agreement, name="agreement"),
]
