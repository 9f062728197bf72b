"""Three reviewers at the same moment on a real database: each item is decided as often as it needs, by different people, none twice.

Guarded lines in flow.py: the row's own condition in `take`, `state=State.TAKEN, taken_by=actor` in `decide`.
"""

import json
from pathlib import Path

from guiju.records.tests.conftest import postgresql_url
from guiju.records.tests.site import Site, make_postgresql_site, make_site

__all__ = ["postgresql_url"]
ITEMS = 16
WORK = f"""
import json, threading, time
import msgspec
from django.conf import settings as live
from django.db import OperationalError, connection, transaction
from guiju.core.errors import GuijuError
from guiju.core.master_keys import load_master_keys
from guiju.core.settings import Screening
from guiju.records.recorder.ingest import write_entries
from guiju.records.models import OutboxEntry
from guiju.records.tests.site import entry
from guiju.screening.review import flow
from guiju.screening.review.models import Decision, Item
live.SITE = msgspec.structs.replace(live.SITE, screening=Screening(review_second_per_mille=400))
with transaction.atomic():
    write_entries([entry(content=b"x", review="sample") for _ in range({ITEMS})], load_master_keys(live.DATA_FOLDER.keys))
starts = threading.Barrier(3)
said = []
def fill():
    starts.wait()
    more = True
    while more:
        try:
            more = flow.fill_queue()
        except OperationalError:
            pass
    connection.close()
fillers = [threading.Thread(target=fill) for _ in range(3)]
[each.start() for each in fillers]
[each.join() for each in fillers]
def review(name):
    starts.wait()
    refused = 0
    wanted = list(Item.objects.order_by("pk")) * 3  # everybody wants the same ones
    until = time.monotonic() + 60
    while wanted and time.monotonic() < until:
        item = wanted.pop(0)
        while True:
            try:
                flow.take(item.pk, actor=name)
                flow.decide(item.pk, actor=name, judged={{}}, rest="right")
            except OperationalError:
                continue  # SQLite lets a writer wait five seconds; on a busy machine that is not always enough
            except GuijuError as problem:
                refused += 1
                assert problem.code.code in ("REVIEW-TAKEN", "REVIEW-CLOSED", "REVIEW-SECOND"), problem
            break
        if not wanted:  # what somebody else held each time, and has given back
            wanted = list(Item.objects.exclude(state="decided").exclude(decisions__reviewer=name).order_by("pk"))
    said.append(refused)
    connection.close()
people = [threading.Thread(target=review, args=(f"person:{{name}}",)) for name in ("ann", "ben", "cat")]
[each.start() for each in people]
[each.join() for each in people]
assert len(said) == 3, "a reviewer ended in another way"
print(json.dumps({{
    "items": [[item.state, item.needs, sorted(item.decisions.values_list("reviewer", flat=True))] for item in Item.objects.all()],
    "left": OutboxEntry.objects.count(),
}}))
"""


def judge(site: Site) -> None:
    found = json.loads(site.run(WORK))
    assert len(found["items"]) == ITEMS
    assert {needs for _, needs, _ in found["items"]} == {1, 2}
    for state, needs, reviewers in found["items"]:
        assert (state, len(reviewers), len(set(reviewers))) == ("decided", needs, needs)
    decisions = sum(needs for _, needs, _ in found["items"])
    assert found["left"] == 2 * decisions  # a record for each time an item was taken, one for each decision, and no more


def test_reviewers_at_once_on_sqlite(tmp_path: Path) -> None:
    judge(make_site(tmp_path / "data"))


def test_reviewers_at_once_on_postgresql(tmp_path: Path, postgresql_url: str) -> None:
    judge(make_postgresql_site(tmp_path / "data", postgresql_url, "review_race"))
