"""API keys and the bundle: create, revoke, publish. Each leaves a record."""

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from django.conf import settings as django_settings
from django.db import transaction
from django.utils import timezone

from guiju.core.errors import GuijuError, Text, define
from guiju.core.keys import load_pseudonym_key, load_recorder_public_key, load_site_key, load_site_public_key, new_api_key
from guiju.core.layout import DataFolder
from guiju.core.settings import Settings
from guiju.gateway.bundle import Bundle, Key, current_hash, load_bundle, publish_bundle
from guiju.labelling import flow as labelling
from guiju.records import flow as records
from guiju.screening.classifier.model import Classifier
from guiju.services.in_force import (
    keep_in_force,
    keep_source,
    published_settings,
    published_source,
    served,
    settings_in_force,
    source_now,
)
from guiju.services.models import ApiKey

SERVICE_UNKNOWN = define(
    "SERVICE-UNKNOWN",
    status=404,
    kind="not_found_error",
    zh=Text("没有名为“{service}”的服务。", "什么也没有改动。", "现有服务：{known}。"),
    en=Text("There is no service '{service}'.", "Nothing was changed.", "The services are: {known}."),
)
API_KEY_UNKNOWN = define(
    "API-KEY-UNKNOWN",
    status=404,
    kind="not_found_error",
    zh=Text("没有编号以 {key} 开头的 API 密钥，或有多个。", "没有撤销任何密钥。", "请用 guiju keys list 查看编号，并写全。"),
    en=Text(
        "No API key, or more than one, has a number that begins with {key}.",
        "No key was revoked.",
        "List the numbers with guiju keys list and give one in full.",
    ),
)

PREFIX_CHARACTERS = 14


def settings_now() -> Settings:
    """Return the settings that were published last, whose services and days off count without a restart; before a first publication, those of the start."""
    at_start: Settings = django_settings.SITE
    return published_settings(_data()) or at_start


def create_key(service: str, label: str, actor: str, secret: str = "", settings: Settings | None = None) -> tuple[ApiKey, str]:
    """Make an API key and return it with its secret, which is kept nowhere; leave `services.key.created`.

    The key counts once a bundle is published. `secret` gives the text instead of a random one: a key that exists already
    with that text is returned as it is, or moved to `service`, with a record, when its own service is gone.
    `settings` say which services there are; without them the settings in force. Raises SERVICE-UNKNOWN.
    """
    known = [each.id for each in (settings or settings_in_force(_data(), _file())).services]
    if service not in known:
        raise GuijuError(SERVICE_UNKNOWN, service=service, known=", ".join(known))
    secret = secret or new_api_key()
    facts = {"service": service, "label": label[:100], "prefix": secret[:PREFIX_CHARACTERS]}
    with transaction.atomic():
        key, created = ApiKey.objects.get_or_create(sha256=hashlib.sha256(secret.encode()).hexdigest(), defaults=facts)
        before = key.service
        moved = before not in known and ApiKey.objects.filter(id=key.id, service=before).update(service=service) == 1
        if created or moved:
            metadata: dict[str, object] = {"key": key.id, "label": key.label}
            if moved:
                metadata["before"] = before
            records.append(kind="services.key.created", actor=actor, service=service, metadata=metadata)
    key.refresh_from_db()
    return key, secret


def revoke_key(id: str, actor: str) -> ApiKey:  # the name that callers and pages use
    """Revoke a key for good and return it; leave `services.key.revoked`. A key revoked before is left as it is.

    `id` may be cut short to 6 characters or more. It counts once a bundle is published. Raises API-KEY-UNKNOWN.
    """
    found = list(ApiKey.objects.filter(id__startswith=id)[:2]) if len(id) >= 6 else []
    if len(found) != 1:
        raise GuijuError(API_KEY_UNKNOWN, key=id)
    key = found[0]
    with transaction.atomic():
        if ApiKey.objects.filter(id=key.id, revoked_at=None).update(revoked_at=timezone.now()):
            records.append(kind="services.key.revoked", actor=actor, service=key.service, metadata={"key": key.id, "label": key.label})
    key.refresh_from_db()
    return key


def publish(settings: Settings | None = None, actor: str = "guiju") -> str:
    """Put services, keys, the active library, policies and approved answers in force and return the bundle's hash; leave `services.bundle.published`.

    `settings` are those to put in force; without them the ones in force stay, whatever the file says meanwhile.
    When nothing has changed nothing is written and the hash in force is returned.
    Raises LIBRARY-MISSING without an active library, the KEY-FILE- errors, the SETTING- errors at a first publication,
    LABEL-SM-LIBRARY and the LABEL-CREDENTIALS- errors where a service signs its files and cannot.
    """
    from guiju.labelling.supply import flow as supply
    from guiju.screening import flow as screening  # here, because putting a library or a policy in force publishes
    from guiju.screening.policies import flow as policies

    data = _data()
    data.bundles.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _one_at_a_time(data):
        before = published_source(data)
        source = source_now(data, _file())
        if settings is None and before is not None:
            source = msgspec.structs.replace(before, demo_port=source.demo_port)
        elif settings is None and published_settings(data) is not None:
            source = msgspec.structs.replace(source, settings="")  # it is not known what they came from: not from the file as it is now
        settings = settings or settings_in_force(data, _file())
        services, upstreams = served(settings, source.demo_port)
        labelling.look_at_credentials([each.label for each in services])
        labelling.make_missing_keys([each.label for each in services], actor)
        library, bank = screening.active_library(), policies.active_bank()
        bundle = Bundle(
            issued_at=datetime.now(UTC).isoformat(timespec="seconds"),
            services=policies.with_policies(services),
            upstreams=upstreams,
            guards=settings.guards,
            keys=tuple(_live_key(key) for key in ApiKey.objects.order_by("id")),
            waivers=supply.live_waivers(),
            limits=settings.limits,
            media=settings.media,
            classifier_version=Classifier.load().version,
            library_version=library.version,
            library=library.entries,
            answers_version=bank.version if bank is not None else "",
            answers=bank.answers if bank is not None else (),
            recorder_public_key=load_recorder_public_key(data.keys).public_bytes_raw(),
            pseudonym_key=load_pseudonym_key(data.keys),
        )
        digest = before.bundle if before is not None and _says_the_same(data, before.bundle, bundle) else ""
        if not digest:
            # The record is written with the bundle; should this process die between the two, `source.json` does not name
            # the bundle and the next publication does both again.
            with transaction.atomic():
                digest = publish_bundle(bundle, data.bundles, load_site_key(data.keys))
                facts = {"bundle": digest, "library": library.version, "services": [each.id for each in services], "keys": len(bundle.keys)}
                records.append(kind="services.bundle.published", actor=actor, metadata=facts)
        keep_in_force(data, settings)
        keep_source(data, msgspec.structs.replace(source, bundle=digest))
    return digest


def _says_the_same(data: DataFolder, digest: str, bundle: Bundle) -> bool:
    try:
        if current_hash(data.bundles) != digest:
            return False
        before = load_bundle(data.bundles, digest, load_site_public_key(data.keys))
    except GuijuError:
        return False
    return msgspec.structs.replace(before, issued_at=bundle.issued_at) == bundle


def _live_key(key: ApiKey) -> Key:
    return Key(id=key.id, sha256=bytes.fromhex(key.sha256), service=key.service, revoked=key.revoked_at is not None)


@contextmanager
def _one_at_a_time(data: DataFolder) -> Iterator[None]:
    """Hold the publisher's lock, so that an older view of the keys never replaces a newer one."""
    with (data.bundles / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _data() -> DataFolder:
    folder: DataFolder = django_settings.DATA_FOLDER
    return folder


def _file() -> Path:
    return Path(django_settings.SETTINGS_FILE)
