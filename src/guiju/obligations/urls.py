"""Addresses of the board, below `/console/board/`, and of the law, which is open: `/law/`."""

from django.urls import path

from guiju.obligations import views

app_name = "obligations"
urlpatterns = [
    path("law/", views.law, name="law"),
    path("law/<str:obligation>", views.law_duty, name="law-duty"),
    path("console/board/", views.board, name="board"),
    path("console/board/export/matrix.<str:form>", views.matrix, name="matrix"),
    path("console/board/export/oscal-<str:part>.json", views.oscal, name="oscal"),
    path("console/board/<str:service>/profile/", views.profile, name="profile"),
    path("console/board/<str:service>/profile/answer/", views.answer, name="answer"),
    path("console/board/<str:service>/profile/determine/", views.determine, name="determine"),
    path("console/board/<str:service>/determinations/<str:number>.txt", views.determination, name="determination"),
    path("console/board/<str:service>/<str:obligation>/", views.duty, name="duty"),
    path("console/board/<str:service>/<str:obligation>/attest/", views.attest, name="attest"),
    path("console/board/<str:service>/<str:obligation>/<str:attestation>/withdraw/", views.withdraw, name="withdraw"),
    path("console/board/<str:service>/<str:obligation>/<str:attestation>/document/", views.document, name="document"),
]
