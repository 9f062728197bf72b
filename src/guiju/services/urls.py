"""Addresses of services and keys, below `/console/services/`."""

from django.urls import path

from guiju.services import views

app_name = "services"
urlpatterns = [
    path("", views.services, name="services"),
    path("keys/create/", views.create, name="create-key"),
    path("keys/<str:key>/revoke/", views.revoke, name="revoke-key"),
]
