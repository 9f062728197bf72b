"""Addresses of the keyword libraries, below `/console/keywords/`."""

from django.urls import path

from guiju.screening import library_views, views
from guiju.screening.trial import views as trial_views

app_name = "screening"
urlpatterns = [
    path("", views.libraries, name="libraries"),
    path("import/", views.import_file, name="import"),
    path("try/", views.try_text, name="try"),
    path("history/", library_views.history, name="history"),
    path("compare/", library_views.compare, name="compare"),
    path("trials/", trial_views.trials, name="trials"),
    path("trials/begin/", trial_views.begin, name="begin-trial"),
    path("trials/<str:id>/", trial_views.trial, name="trial"),
    path("<str:version>/", library_views.rows, name="rows"),
    path("<str:version>/check/", library_views.check, name="check"),
    path("<str:version>/review/", views.review, name="review"),
    path("<str:version>/activate/", views.activate, name="activate"),
    path("<str:version>/download/", views.download, name="download"),
]
