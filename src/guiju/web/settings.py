"""Django settings of the paper side, made from the data folder and the settings in force; there is nothing to edit here."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.management.utils import get_random_secret_key

from guiju.core.layout import DataFolder, settings_file
from guiju.duties import DUTIES
from guiju.services.in_force import settings_in_force
from guiju.web import find_given

DATA_FOLDER = DataFolder(Path(os.environ.get("GUIJU_DATA", "guiju-data")).absolute())
SETTINGS_FILE = settings_file(DATA_FOLDER)
# What the file says meanwhile counts for those alone who put it in force: a mistake in it stops nobody else.
SITE = find_given() or settings_in_force(DATA_FOLDER, SETTINGS_FILE)

DEBUG = False
ROOT_URLCONF = "guiju.web.urls"
WSGI_APPLICATION = "guiju.web.wsgi.application"
_OWN_NAME = urlsplit(SITE.console.public_url).hostname
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]", *SITE.console.allowed_hosts, *([_OWN_NAME] if _OWN_NAME else [])]
_KEY_FILE = DATA_FOLDER.keys / "django.key"
SECRET_KEY = (
    _KEY_FILE.read_text().strip() if _KEY_FILE.exists() else get_random_secret_key()
)  # without a data folder (tests, migrations) a key for this run only

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "django_tasks",
    "django_tasks_db",
    *(duty.package for duty in DUTIES if duty.app),
    "guiju.web",
]
MIDDLEWARE = [
    "guiju.web.middleware.security_headers",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "guiju.web.middleware.ErrorPages",
]
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
                "guiju.web.shell.context",
            ],
            "builtins": ["guiju.web.templatetags.guiju", "django.templatetags.i18n", "django.templatetags.static"],
        },
    }
]

SQLITE_TIMEOUT_S = 5
# Pages of 8 KiB hold the content of a usual answer without overflow; a log of 64 MiB is copied back seldom, and in order.
# FULL: a commit waits for the disk, because a spool segment is removed as soon as its records are committed.
SQLITE_START = (
    "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=8192; PRAGMA synchronous=FULL; "
    "PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY;"
)


def _database(url: str, password: str) -> dict[str, Any]:
    if not url:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(DATA_FOLDER.database),
            # Opening a connection for each page took a tenth of what a page costs.
            "CONN_MAX_AGE": 60,
            # A transaction takes the write lock when it begins: one that waits is served, one that must upgrade would fail.
            "OPTIONS": {"timeout": SQLITE_TIMEOUT_S, "transaction_mode": "IMMEDIATE", "init_command": SQLITE_START},
        }
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": password,
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        # A server or network that has gone silent is given up after seconds; the system's own patience is a quarter of an hour.
        "OPTIONS": {"connect_timeout": 5, "tcp_user_timeout": 15_000, "keepalives_idle": 15, "keepalives_interval": 5},
    }


DATABASES = {"default": _database(SITE.database.url, SITE.database.password())}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

LANGUAGE_CODE = "zh-hans"
LANGUAGES = [("zh-hans", "中文"), ("en", "English")]
USE_I18N = True
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
LANGUAGE_COOKIE_HTTPONLY = True
USE_TZ = True
TIME_ZONE = "Asia/Shanghai"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# The console's own names of tones; Django calls them by levels.
MESSAGE_TAGS = {25: "good", 30: "warn", 40: "bad"}
LOGIN_URL = "web:sign-in"
LOGIN_REDIRECT_URL = "web:home"
LOGOUT_REDIRECT_URL = "web:sign-in"

# Behind TLS the browser reaches the console by public_url; then cookies never travel in the clear.
HTTPS = SITE.console.public_url.startswith("https://")
SESSION_COOKIE_NAME = "__Host-guiju" if HTTPS else "guiju"
CSRF_COOKIE_NAME = "__Host-guiju-form" if HTTPS else "guiju-form"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
CSRF_FAILURE_VIEW = "guiju.web.views.form_expired"
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 2**20
FILE_UPLOAD_HANDLERS = [
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]

STATIC_URL = "/static/"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(DATA_FOLDER.root / "files")}},
    "staticfiles": {"BACKEND": "guiju.web.assets.VersionedStorage"},
}
WHITENOISE_USE_FINDERS = True
WHITENOISE_MAX_AGE = 24 * 3600

LOGGING_CONFIG = None  # guiju.core.log writes the one set of logs
