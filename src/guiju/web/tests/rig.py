"""What the console's tests share: a furnished site, records made as the recorder makes them, what a page holds."""

from collections.abc import Iterable
from html.parser import HTMLParser

from django.core.cache import cache

from guiju.core.clock import now_us
from guiju.core.ids import new_id
from guiju.core.keys import create_keys, load_recorder_key
from guiju.core.layout import DataFolder
from guiju.core.master_keys import load_master_keys
from guiju.records.entry import Entry, decode_entry
from guiju.records.keys.sealing import unseal_from
from guiju.records.models import OutboxEntry, Record
from guiju.records.recorder.ingest import write_entries
from guiju.records.recorder.recording import Recorder

OWNER_PASSWORD = "a long enough password"
ORIGIN = "guiju.local/ledger"
LIBRARY = "term,risk,severity\n违禁词条,A.1.h,block\n可疑词条,A.4.f,flag\n".encode()


def furnish(data: DataFolder) -> None:
    """Make keys and folders, put `LIBRARY` in force and publish."""
    from guiju.screening import flow

    cache.clear()
    flow.library_of.cache_clear()
    for path in (data.bundles, data.spool, data.run):
        path.mkdir(parents=True)
    create_keys(data.keys)
    flow.activate_library(flow.import_library("两词.csv", LIBRARY, "person:test").version, "person:test")


def left(data: DataFolder) -> list[Entry]:
    """Return the entries waiting in the outbox, oldest first."""
    key = load_recorder_key(data.keys)
    return [decode_entry(unseal_from(key, bytes(row.sealed))) for row in OutboxEntry.objects.order_by("pk")]


def record_all(data: DataFolder) -> None:
    """Let the recorder turn everything that waits into records with a signed checkpoint."""
    recorder = Recorder(data, ORIGIN)
    recorder.start()
    while recorder.step():
        pass


def write_records(data: DataFolder, entries: Iterable[Entry]) -> list[Record]:
    """Write entries straight as records, without a ledger."""
    entries = list(entries)
    write_entries(entries, load_master_keys(data.keys))
    return list(Record.objects.filter(id__in=[entry.id for entry in entries]).order_by("index"))


def entry(kind: str = "gateway.answer.delivered", *, at_us: int = 0, metadata: dict[str, object] | None = None, **fields: str) -> Entry:
    """Return an entry with the given parts and plain ones for the others."""
    return Entry(
        new_id(),
        at_us or now_us(),
        kind,
        fields.get("service", "chat"),
        fields.get("actor", "key-1"),
        fields.get("subject", ""),
        (),
        metadata or {},
        fields.get("content", "").encode(),
    )


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def tags_of(html: str) -> list[tuple[str, dict[str, str | None]]]:
    """Return the start tags of a page with their attributes, in order."""
    page = _Page()
    page.feed(html)
    return page.tags
