"""The console as a WSGI application, for `guiju.web.server` and for any other WSGI server."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "guiju.web.settings")
application = get_wsgi_application()
