"""Addresses of the records browser, below `/console/records/`."""

from django.urls import path

from guiju.records import views

app_name = "records"
urlpatterns = [
    path("", views.records, name="list"),
    path("<str:id>/", views.detail, name="detail"),
    path("<str:id>/proof.json", views.proof, name="proof"),
    path("<str:id>/open/", views.open_content, name="open"),
]
