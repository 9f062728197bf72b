"""Addresses of policies and approved answers, below `/console/policy/`."""

from django.urls import path

from guiju.screening.policies import views

app_name = "policies"
urlpatterns = [
    path("", views.policy, name="policy"),
    path("try/", views.try_text, name="try"),
    path("draft/", views.draft, name="draft"),
    path("answers/", views.answers, name="answers"),
    path("answers/import/", views.import_answers, name="import"),
    path("answers/ask/", views.ask, name="ask"),
    path("answers/<str:version>/", views.download, name="download"),
    path("<str:version>/review/", views.review, name="review"),
    path("<str:version>/activate/", views.activate, name="activate"),
    path("<str:version>/retire/", views.retire, name="retire"),
]
