"""Addresses of the records browser, below `/console/records/`."""

from django.urls import path

from guiju.records import views
from guiju.records.access import request_views
from guiju.records.keeping import views as keeping_views
from guiju.records.subjects import subject_views

app_name = "records"
urlpatterns = [
    path("", views.records, name="list"),
    path("subject/", subject_views.subject, name="subject"),
    path("subject/find/", subject_views.find_person, name="find-person"),
    path("subject/open/", subject_views.open_all, name="open-subject"),
    path("subject/search/", subject_views.search_contents, name="search"),
    path("subject/export/", subject_views.export, name="export"),
    path("subject/hold/", subject_views.hold, name="hold"),
    path("subject/erase/", subject_views.erase, name="erase"),
    path("requests/holds/", request_views.hold_selection, name="hold-selection"),
    path("requests/holds/<str:id>/lift/", subject_views.lift, name="lift-hold"),
    path("erasures/<str:id>/certificate.json", subject_views.certificate, name="certificate"),
    path("requests/", request_views.requests, name="requests"),
    path("requests/<str:id>/decide/", request_views.decide, name="decide"),
    path("retention/", keeping_views.retention, name="retention"),
    path("gaps/", keeping_views.gaps, name="gaps"),
    path("gaps/<int:number>/close/", keeping_views.close_gap, name="close-gap"),
    path("<str:id>/", views.detail, name="detail"),
    path("<str:id>/proof.json", views.proof, name="proof"),
    path("<str:id>/open/", views.open_content, name="open"),
]
