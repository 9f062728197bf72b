"""Which exchanges are marked for a person, and that nobody chooses them.

Guarded lines: `hit.confidence != "high"` (unsure finds would be seen by nobody), the key in `is_drawn` (whoever sees an id could tell),
`self._mark` in each of the three endings of `exchange.py`.
"""

import msgspec
import pytest

from guiju.core.ids import new_id
from guiju.gateway.sample import is_drawn, review_mark
from guiju.gateway.tests.rig import TERM, Site, Worker
from guiju.screening.values import Confidence, Hit

KEY = bytes(range(32))


def hit(confidence: Confidence) -> Hit:
    return Hit("messages[0].content", 0, 2, "A.1.h", "kw-1", "block", "refuse", confidence)


@pytest.mark.parametrize(
    ("found", "mark"),
    [
        (((), ()), ""),
        (((hit("high"),), ()), ""),
        (((hit("low"),), ()), "hit"),
        (((), (hit("high"), hit("medium"))), "hit"),
    ],
)
def test_every_unsure_find_goes_to_a_person(found: tuple[tuple[Hit, ...], ...], mark: str) -> None:
    assert review_mark("01J", found, KEY, 0) == mark


def test_the_sample_has_its_size_and_takes_sure_finds_too() -> None:
    ids = [new_id() for _ in range(20_000)]
    for per_mille in (0, 5, 250, 1_000):
        drawn = sum(review_mark(id, ((hit("high"),), ()), KEY, per_mille) == "sample" for id in ids)
        spread = (20_000 * per_mille / 1_000 * (1 - per_mille / 1_000)) ** 0.5
        assert abs(drawn - 20_000 * per_mille / 1_000) <= 6 * spread


def test_without_the_key_and_the_purpose_nobody_can_tell() -> None:
    ids = [new_id() for _ in range(4_000)]
    draws = [[is_drawn(id, key, 500, purpose) for id in ids] for key, purpose in ((KEY, b"one"), (bytes(32), b"one"), (KEY, b"two"))]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        alike = sum(a == b for a, b in zip(draws[one], draws[other], strict=True))
        assert 1_700 < alike < 2_300
    assert draws[0] == [is_drawn(id, KEY, 500, b"one") for id in ids]


@pytest.mark.parametrize("stream", [False, True])
def test_the_closing_record_says_it_once(site: Site, worker: Worker, *, stream: bool) -> None:
    reply = worker.chat("flags", stream=stream)
    exchange = reply.headers["x-request-id"]
    entry = site.closing(exchange)
    assert entry.metadata["review"] == "hit"
    assert entry.metadata["output"]["hits"][0]["confidence"] == "low"  # type: ignore[index]
    assert sum("review" in each.metadata for each in site.entries() if exchange in (each.id, each.metadata.get("answer"))) == 1
    assert "review" not in site.closing(worker.chat("ok", stream=stream).headers["x-request-id"]).metadata


def test_the_rate_of_a_service_counts_whatever_the_end(own_site: Site, start: list[Worker], site: Site) -> None:
    services = tuple(
        msgspec.structs.replace(each, review_sample_per_mille=1_000 if each.id == "main" else 0) for each in own_site.bundle.services
    )
    own_site.publish(msgspec.structs.replace(own_site.bundle, services=services))
    start.append(worker := Worker(own_site, own_site.folder.root / "worker.log"))
    replies = [worker.chat("ok"), worker.chat("ok", stream=True), worker.chat("ok", messages=[{"role": "user", "content": TERM}])]
    kinds = {}
    for reply in replies:
        entry = own_site.closing(reply.headers["x-request-id"])
        kinds[entry.kind] = entry.metadata.get("review")
    assert kinds == {"gateway.answer.delivered": "sample", "gateway.input.refused": "sample"}
    assert "review" not in own_site.closing(worker.chat("ok", key="sk-bare").headers["x-request-id"]).metadata
    wrong = worker.chat("unheard-of", key="sk-narrow")
    assert "review" not in own_site.closing(wrong.headers["x-request-id"]).metadata
