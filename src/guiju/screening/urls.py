"""Addresses of the keyword libraries, below `/console/keywords/`."""

from django.urls import path

from guiju.screening import views

app_name = "screening"
urlpatterns = [
    path("", views.libraries, name="libraries"),
    path("import/", views.import_file, name="import"),
    path("try/", views.try_text, name="try"),
    path("<str:version>/activate/", views.activate, name="activate"),
    path("<str:version>/download/", views.download, name="download"),
]
