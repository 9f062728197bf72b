"""Addresses of the public verification, at the top of the site."""

from django.urls import path

from guiju.labelling import views

app_name = "labelling"
urlpatterns = [
    path("verify/", views.verify, name="verify"),
    path("verify/proof/<str:token>.json", views.proof, name="verify-proof"),
    path("api/verify", views.verify_api, name="verify-api"),
]
