"""Keys and bundles: what is in force is what was published, and each change leaves its record."""

import hashlib

import pytest

from guiju.core.errors import GuijuError
from guiju.core.keys import load_recorder_key, load_site_public_key
from guiju.core.layout import DataFolder
from guiju.core.settings import read_settings
from guiju.gateway.bundle import Bundle, current_hash, load_bundle
from guiju.records.entry import Entry
from guiju.services import flow
from guiju.services.in_force import is_fresh, published_source, settings_in_force
from guiju.services.mistakes import find_mistakes
from guiju.services.models import ApiKey

UPSTREAM = '[[upstream]]\nname = "main"\nbase_url = "http://127.0.0.1:9/v1"\n'
SERVICE = '[[service]]\nid = "chat"\nname_zh = "对话"\nname_en = "Chat"\n[service.label]\ncontent_producer = "example-provider"\n'


def _bundle(data: DataFolder) -> Bundle:
    return load_bundle(data.bundles, current_hash(data.bundles), load_site_public_key(data.keys))


def _left(data: DataFolder) -> list[Entry]:
    """Return the records left in the outbox, oldest first."""
    from guiju.records.entry import decode_entry
    from guiju.records.keys.sealing import unseal_from
    from guiju.records.models import OutboxEntry

    key = load_recorder_key(data.keys)
    return [decode_entry(unseal_from(key, bytes(row.sealed))) for row in OutboxEntry.objects.order_by("pk")]


def test_a_key_is_kept_as_its_hash_only(data: DataFolder) -> None:
    key, secret = flow.create_key("chat", "for the app", "person:owner")
    kept = ApiKey.objects.get()
    assert secret.startswith("sk-guiju-")
    assert kept.sha256 == hashlib.sha256(secret.encode()).hexdigest()
    assert secret.startswith(kept.prefix)
    assert len(kept.prefix) < 16
    assert secret[len(kept.prefix) :] not in str(vars(kept))
    left = _left(data)
    assert [(entry.kind, entry.actor, entry.service, entry.metadata) for entry in left] == [
        ("services.key.created", "person:owner", "chat", {"key": key.id, "label": "for the app"})
    ]
    assert secret not in repr(left)


def test_a_key_of_no_service_is_refused(data: DataFolder) -> None:
    with pytest.raises(GuijuError, match="SERVICE-UNKNOWN"):
        flow.create_key("chta", "x", "person:owner")
    assert not ApiKey.objects.exists()
    assert not _left(data)


def test_a_given_key_is_made_once(data: DataFolder) -> None:
    first, _ = flow.create_key("chat", "x", "guiju", secret="sk-guiju-given")
    again, _ = flow.create_key("chat", "x", "guiju", secret="sk-guiju-given")
    assert first.id == again.id
    assert len(_left(data)) == 1


def test_a_given_key_moves_only_when_its_service_is_gone(data: DataFolder) -> None:
    first, _ = flow.create_key("chat", "x", "guiju", secret="sk-guiju-given")
    data.settings.write_text(SERVICE + SERVICE.replace('"chat"', '"other"'))
    both = read_settings(data.settings)
    assert flow.create_key("other", "x", "guiju", secret="sk-guiju-given", settings=both)[0].service == "chat"
    data.settings.write_text(SERVICE.replace('"chat"', '"other"'))
    moved, _ = flow.create_key("other", "x", "guiju", secret="sk-guiju-given", settings=read_settings(data.settings))
    assert (moved.id, moved.service) == (first.id, "other")
    assert [entry.metadata.get("before") for entry in _left(data)] == [None, "chat"]


def test_a_revoked_key_stays_listed_and_is_recorded_once(data: DataFolder) -> None:
    key, secret = flow.create_key("chat", "x", "person:owner")
    flow.publish()
    flow.revoke_key(key.id[:10], "person:owner")
    flow.revoke_key(key.id, "person:owner")
    flow.publish()
    live = _bundle(data).keys
    assert [(each.sha256, each.revoked) for each in live] == [(hashlib.sha256(secret.encode()).digest(), True)]
    assert [entry.kind for entry in _left(data)].count("services.key.revoked") == 1


@pytest.mark.parametrize("number", ["", "0", "0123456789"])
def test_a_key_that_is_not_there_or_not_one_cannot_be_revoked(data: DataFolder, number: str) -> None:
    flow.create_key("chat", "x", "person:owner")
    with pytest.raises(GuijuError, match="API-KEY-UNKNOWN"):
        flow.revoke_key(number, "person:owner")
    assert ApiKey.objects.get().revoked_at is None


def test_without_an_upstream_the_demo_model_serves(data: DataFolder) -> None:
    (data.run / "demo-port").write_text("8123")
    flow.publish()
    bundle = _bundle(data)
    assert [each.base_url for each in bundle.upstreams] == ["http://127.0.0.1:8123/v1"]
    assert bundle.services[0].upstreams == ("demo",)


def test_an_unchanged_bundle_is_not_published_again(data: DataFolder) -> None:
    first = flow.publish()
    assert flow.publish() == first
    assert [entry.kind for entry in _left(data)] == ["services.bundle.published"]
    flow.create_key("chat", "x", "person:owner")
    assert flow.publish() != first


def test_what_the_file_says_meanwhile_does_not_count(data: DataFolder) -> None:
    """Guarded by `settings_in_force`: it reads what was published before it reads the file."""
    data.settings.write_text(UPSTREAM + SERVICE)
    flow.publish(read_settings(data.settings))
    for text in ("this is no TOML", UPSTREAM.replace(":9/", ":10/") + SERVICE):
        data.settings.write_text(text)
        flow.create_key("chat", "x", "person:owner")
        flow.publish()
        assert _bundle(data).upstreams[0].base_url == "http://127.0.0.1:9/v1"
        assert not is_fresh(data, data.settings)
        assert is_fresh(data, None), "a file that has a mistake does not keep answers waiting"
    flow.publish(read_settings(data.settings))
    assert _bundle(data).upstreams[0].base_url == "http://127.0.0.1:10/v1"
    assert is_fresh(data, data.settings)


def test_fresh_means_this_file_this_demo_model_this_bundle(data: DataFolder) -> None:
    data.settings.write_text("")
    flow.publish(read_settings(data.settings))
    assert is_fresh(data, data.settings)
    (data.run / "demo-port").write_text("8123")
    assert not is_fresh(data, data.settings)
    flow.publish()
    assert is_fresh(data, data.settings)
    (data.bundles / "current").write_text("0" * 64)
    assert published_source(data) is None
    assert not is_fresh(data, data.settings)


def test_a_publication_cut_before_its_record_is_repeated_with_one(data: DataFolder) -> None:
    """Guarded by `keep_source` being the last step: a bundle that it does not name counts as not published."""
    flow.publish()
    (data.bundles / "source.json").unlink()
    flow.publish()
    assert [entry.kind for entry in _left(data)].count("services.bundle.published") == 2


def test_what_was_cut_does_not_take_the_file_for_published(data: DataFolder) -> None:
    """Guarded by `settings=""` in `publish`: a mistake in the file would be taken for what is in force, and never told."""
    data.settings.write_text(UPSTREAM + SERVICE)
    flow.publish(read_settings(data.settings))
    (data.bundles / "source.json").unlink()
    data.settings.write_text("[server]\nprot = 1\n")
    flow.publish()
    assert not is_fresh(data, data.settings)
    assert [each.code.code for each in find_mistakes(data, data.settings)] == ["SETTING-UNKNOWN"]


def test_no_library_no_bundle(data: DataFolder) -> None:
    from guiju.screening.models import LibraryVersion

    before = flow.publish()
    LibraryVersion.objects.update(state=LibraryVersion.State.RETIRED)
    with pytest.raises(GuijuError, match="LIBRARY-MISSING"):
        flow.publish()
    assert current_hash(data.bundles) == before


def test_settings_in_force_survive_a_round_trip(data: DataFolder) -> None:
    data.settings.write_text(UPSTREAM + SERVICE + '[service.policy]\non_input."A.1" = "deliver"\n')
    settings = read_settings(data.settings)
    flow.publish(settings)
    assert settings_in_force(data, data.settings) == settings
