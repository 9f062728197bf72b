"""What a start needs from the paper side: tables, the starter library, the owner, keys, a published bundle.

    python -m guiju.serve.prepare --data DIR [--owner-name NAME] [--reload]

Every step looks first and does only what is missing, so a start that was killed anywhere is completed by the next one.
The owner's password and the first API key are shown on standard output; only after that the folder counts as prepared.
Killed before, the next start makes new ones and takes the unseen ones back.
"""

import argparse
import logging
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import guiju
from guiju.core.errors import GuijuError, Text, define
from guiju.core.key_faults import find_faults, refuse_unusable
from guiju.core.keys import read_text_key
from guiju.core.layout import DataFolder, settings_file
from guiju.core.log import configure
from guiju.core.process import die_with_parent
from guiju.core.settings import Settings, read_settings
from guiju.serve.arguments import OWNER_PASSWORD
from guiju.serve.at_start import changed_since_start
from guiju.serve.folder import Prepared, is_prepared, mark_prepared
from guiju.serve.state import is_held, read_state
from guiju.services.mistakes import settings_at_start

OWNER: Final = "owner"
ACTOR: Final = "guiju"
FIRST_LABEL: Final = "第一个密钥 · first key"
PLAYGROUND_LABEL: Final = "试用页 · playground"

DATABASE_UNREACHABLE = define(
    "DATABASE-UNREACHABLE",
    status=503,
    kind="server_error",
    retry=True,
    zh=Text(
        "数据库无法使用：{reason}。", "没有改动任何数据；网关（如在运行）照常服务。", "请检查 guiju.toml 的 [database] 与数据库是否在运行。"
    ),
    en=Text(
        "The database cannot be used: {reason}.",
        "No data was changed; gateways that run go on serving.",
        "Check [database] in guiju.toml, and that the database runs.",
    ),
)
OWNER_PASSWORD_WEAK = define(
    "OWNER-PASSWORD-WEAK",
    status=400,
    kind="invalid_request_error",
    zh=Text("给定的所有者密码不够安全：{reason_zh}", "没有创建账号，首次启动尚未完成。", "请换一个密码再次启动；不给密码则自动生成。"),
    en=Text(
        "The password given for the owner is not safe enough: {reason}",
        "No account was made; the first start is not complete.",
        "Start again with another password; without one, a password is generated.",
    ),
)
SETTING_RESTART = define(
    "SETTING-RESTART",
    status=409,
    kind="invalid_request_error",
    zh=Text("[database] 与正在运行的服务不同。", "没有发布运行包，正在使用的设置不变。", "请停止 guiju serve 后重新启动。"),
    en=Text(
        "[database] differs from that of the running service.",
        "No bundle was published; the settings in force stay.",
        "Stop guiju serve and start it again.",
    ),
)

log = logging.getLogger("guiju.prepare")


def main(arguments: list[str] | None = None) -> int:
    """Prepare the folder, or with --reload publish its settings; return 0, or 2 for an error that a person must mend."""
    parser = argparse.ArgumentParser(prog="python -m guiju.serve.prepare")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--owner-name", default=OWNER)
    parser.add_argument("--reload", action="store_true")
    options = parser.parse_args(arguments)
    configure("prepare")
    die_with_parent()
    password = os.environ.pop(OWNER_PASSWORD, "")
    from guiju.web import configure_django

    data = DataFolder(options.data.absolute())
    try:
        file = settings_file(data)
        settings, mistakes = (read_settings(file), ()) if options.reload else settings_at_start(data, file)
        configure_django(options.data, site=settings)
        with _database():
            if options.reload:
                log.info("bundle %s is in force", publish_file()[:12])
                for fault in find_faults(settings):
                    log.warning("%s / %s", *fault.lines())
            else:
                prepare(data, settings, options.owner_name, password, sound=not mistakes)
    except GuijuError as error:
        for each in (error, *error.facts.get("others", ())):
            log.error("%s", each.both())
        return 2
    return 0


def prepare(data: DataFolder, settings: Settings, owner_name: str, password: str, *, sound: bool) -> None:
    """Do what is missing, and publish the settings where they are those of a sound file; else those in force stay.

    Raises OWNER-PASSWORD-WEAK, and the errors of publishing.
    """
    _make_tables()
    _put_starter_library_in_force()
    _keep_playground_key(data, settings)
    from guiju.services import flow

    to_publish = settings if sound else None
    if is_prepared(data):
        flow.publish(to_publish)
        return
    name, told = _make_owner(owner_name, password)
    secret = _make_first_key(settings)
    flow.publish(to_publish)
    _show(data, name, told, secret)
    mark_prepared(data, Prepared(at=datetime.now(UTC).isoformat(timespec="seconds"), version=guiju.__version__))


def _make_tables() -> None:
    """Bring the tables up to date: on SQLite all of them or none, whatever ends this process, and with one wait for the disk.

    Django notes that a migration was applied after the transaction that applied it, when it has indexes to make: killed in between,
    no later start would get past the table that is there already. Foreign keys are looked at before the end of each migration.
    """
    from django.core.management import call_command
    from django.db import connection, transaction

    with ExitStack() as stack:
        if connection.vendor == "sqlite":
            stack.enter_context(connection.constraint_checks_disabled())
            stack.enter_context(transaction.atomic())
        call_command("migrate", interactive=False, verbosity=0)


def publish_file(actor: str = ACTOR) -> str:
    """Publish what the settings file says now and return the bundle's hash.

    Raises SETTING-RESTART when the service runs on another database than the file names: its keys would be lost;
    SETTING-KEY where a key file of an upstream or guard cannot be used.
    """
    from django.conf import settings as django_settings

    from guiju.services import flow
    from guiju.services.in_force import settings_in_force

    data: DataFolder = django_settings.DATA_FOLDER
    settings = _settings()
    if is_held(data) and settings_in_force(data, data.settings).database != settings.database:
        raise GuijuError(SETTING_RESTART)
    refuse_unusable(find_faults(settings))
    return flow.publish(settings, actor=actor)


def list_notices() -> list[str]:
    """Return what is to be said of the settings that were published: keys to look after, and what counts from the next start of a running service."""
    from django.conf import settings as django_settings

    data: DataFolder = django_settings.DATA_FOLDER
    state = read_state(data) if is_held(data) else None
    settings = _settings()
    notices = [line for fault in find_faults(settings) for line in fault.lines()]
    changed = changed_since_start(settings, state.read_at_start) if state is not None else []
    if not changed:
        return notices
    tables = "、".join(f"[{name}]" for name in changed), ", ".join(f"[{name}]" for name in changed)
    return [
        *notices,
        f"{tables[0]} 的改动已发布，重新启动 guiju serve 后才生效；其余改动一秒内生效。",
        f"What changed in {tables[1]} is published and counts once guiju serve was started again; all else counts within a second.",
    ]


def _settings() -> Settings:
    from django.conf import settings as django_settings

    return read_settings(Path(django_settings.SETTINGS_FILE))


def _put_starter_library_in_force() -> None:
    from guiju.screening import flow
    from guiju.screening.libraries.library import starter_library
    from guiju.screening.models import LibraryVersion

    if LibraryVersion.objects.exclude(state=LibraryVersion.State.DRAFT).exists():
        return
    kept = flow.import_library("starter.csv", starter_library().csv, ACTOR)
    flow.activate_library(kept.version, ACTOR)


def _keep_playground_key(data: DataFolder, settings: Settings) -> None:
    """Make the playground's key known; it goes to the first service when its own is gone from the settings."""
    from guiju.services import flow

    secret = read_text_key(data.keys, "playground.key")
    flow.create_key(settings.services[0].id, PLAYGROUND_LABEL, ACTOR, secret=secret, settings=settings)


def _make_owner(name: str, password: str) -> tuple[str, str]:
    """Make the owner's account; return its name and what to tell of its password. One who has signed in is left alone.

    An account that an unfinished first start left gets the new password: nobody has seen the old one, or it is the same.
    """
    from django.contrib.auth import get_user_model
    from django.contrib.auth.password_validation import validate_password
    from django.db import transaction

    from guiju.records import flow as records
    from guiju.web.objections import objections

    people = get_user_model().objects
    used = people.filter(is_superuser=True, last_login__isnull=False).first()
    if used is not None:
        return used.get_username(), "（不变 / unchanged）"
    chosen = password or secrets.token_urlsafe(15)
    with transaction.atomic():
        owner, created = people.get_or_create(username=name, defaults={"is_superuser": True, "is_staff": True})
        if password:
            against = objections(lambda: validate_password(password, owner))
            if against:
                raise GuijuError(OWNER_PASSWORD_WEAK, **against)
        owner.is_superuser = owner.is_staff = owner.is_active = True
        owner.set_password(chosen)
        owner.save()
        if created:
            records.append(kind="web.owner.created", actor=ACTOR, metadata={"name": name})
    return name, "（您给定的 / as you gave it）" if password else chosen


def _make_first_key(settings: Settings) -> str:
    from guiju.services import flow
    from guiju.services.models import ApiKey

    for unseen in ApiKey.objects.filter(label=FIRST_LABEL, revoked_at=None):
        flow.revoke_key(unseen.id, ACTOR)
    return flow.create_key(settings.services[0].id, FIRST_LABEL, ACTOR, settings=settings)[1]


def _show(data: DataFolder, name: str, told: str, secret: str) -> None:
    """Show the secrets of a first start, on standard output and nowhere else."""
    lines = [
        "",
        "  guiju 规矩 · 首次启动 / first start",
        "",
        f"  所有者 owner        {name}",
        f"  密码 password       {told}",
        f"  API 密钥 API key    {secret}",
        f"  设置 settings       {data.settings}",
        "",
        "  密码和密钥只显示这一次，请现在记下。",
        "  The password and the key are shown this once: write them down now.",
        "",
    ]
    print("\n".join(lines), flush=True)


@contextmanager
def _database() -> Iterator[None]:
    """Turn a database that is not there into DATABASE-UNREACHABLE."""
    from django.core.exceptions import ImproperlyConfigured
    from django.db import InterfaceError, OperationalError

    try:
        yield
    except (OperationalError, InterfaceError, ImproperlyConfigured) as problem:
        reason = str(problem).strip().partition("\n")[0]
        raise GuijuError(DATABASE_UNREACHABLE, reason=reason) from problem


if __name__ == "__main__":
    sys.exit(main())
