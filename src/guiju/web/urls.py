"""Addresses: the portal at `/`, the console under `/console/`."""

from django.urls import include, path

from guiju.duties import DUTIES
from guiju.labelling.api import label_keys
from guiju.web import playground, signin, views

web = (
    [
        path("", views.portal, name="portal"),
        path("label-keys.json", label_keys, name="label-keys"),
        path("language/", views.set_language, name="language"),
        path("console/", views.home, name="home"),
        path("console/ledger-check/", views.start_ledger_check, name="ledger-check"),
        path("console/sign-in/", signin.sign_in, name="sign-in"),
        path("console/sign-out/", signin.sign_out, name="sign-out"),
        path("console/try/", playground.playground, name="playground"),
        path("console/try/send/", playground.send, name="playground-send"),
        path("console/try/picture/", playground.draw, name="playground-draw"),
        path("console/try/picture/<str:token>/", playground.picture, name="playground-picture"),
        path("console/try/export/", playground.export, name="playground-export"),
        path("console/try/record/<str:answer>/", playground.find_record, name="playground-record"),
    ],
    "web",
)
urlpatterns = [
    path("", include(web)),
    *(path(duty.urls_at, include(duty.urls)) for duty in DUTIES if duty.urls),
]
handler404 = "guiju.web.views.not_found"
handler500 = "guiju.web.views.failed"
