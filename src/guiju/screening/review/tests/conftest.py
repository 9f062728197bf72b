"""Exchanges on record as the gateway leaves them, and the queue made of them."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from guiju.core.clock import now_us
from guiju.core.ids import new_id
from guiju.core.layout import DataFolder
from guiju.core.master_keys import load_master_keys
from guiju.records.entry import Entry
from guiju.records.recorder.ingest import write_entries
from guiju.screening.review import flow
from guiju.screening.review.models import Item
from guiju.web.tests.conftest import anybody, data, owner, stranger

__all__ = ["anybody", "data", "owner", "stranger"]
QUESTION = "这里有可疑词条，请联系13800138000。"
ANSWER = "好的，已经记下。"


def hit(rule: str = "kw-2", **fields: Any) -> dict[str, Any]:
    found = {"path": "messages[2].content", "start": 3, "end": 7, "risk": "A.4.f", "action": "deliver", "confidence": "low"}
    return {"rule": rule, **found, **fields}


def exchange(
    *, mark: str = "hit", hits: tuple[dict[str, Any], ...] = (), out: tuple[dict[str, Any], ...] = (), question: str = QUESTION,
    answer: str = ANSWER, subject: str = "u-1", kind: str = "gateway.answer.delivered", at_us: int = 0, stream: bool = False,
) -> list[Entry]:  # fmt: skip
    """Return the entries of one exchange: one, or for a stream the one that opens it too."""
    messages = [{"role": "system", "content": "你是客服。"}, {"role": "user", "content": "早先的话"}, {"role": "user", "content": question}]
    request = json.dumps({"model": "m", "messages": messages}, ensure_ascii=False).encode()
    metadata: dict[str, object] = {"bundle": "b" * 16, "library": "l" * 16, "review": mark}
    metadata["input"] = {"outcome": "hit" if hits else "pass", "hits": list(hits)}
    if kind != "gateway.input.refused":
        metadata["output"] = {"outcome": "pass", "hits": list(out)}
    at_us = at_us or now_us()
    pack = msgspec.msgpack.encode
    if stream:
        opened = Entry(new_id(), at_us, "gateway.answer.opened", "chat", "key-1", subject, (), {}, pack({"request": request}))
        closing = metadata | {"answer": opened.id}
        path = "choices[0].message.content"
        return [opened, Entry(new_id(), at_us, kind, "chat", "key-1", subject, (), closing, pack({"answer": {path: answer}}))]
    content: dict[str, Any] = {"request": request}
    if kind != "gateway.input.refused":
        body = {"id": "c", "choices": [{"index": 0, "message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}]}
        content["answer"] = json.dumps(body, ensure_ascii=False).encode()
    return [Entry(new_id(), at_us, kind, "chat", "key-1", subject, (), metadata, pack(content))]


Queue = Callable[..., list[Item]]


@pytest.fixture
def put(data: DataFolder) -> Queue:
    """Write exchanges and fill the queue; return their items in order."""

    def write(*exchanges: list[Entry]) -> list[Item]:
        write_entries([entry for each in exchanges for entry in each], load_master_keys(data.keys))
        while flow.fill_queue():
            pass
        wanted = [each[-1].id for each in exchanges]
        found = Item.objects.in_bulk(wanted)
        return [found[id] for id in wanted if id in found]

    return write


def signed_in(name: str, *permissions: str) -> Client:
    """Return somebody signed in who holds these permissions."""
    person = User.objects.create_user(name)
    for each in permissions:
        app, codename = each.split(".")
        person.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    client = Client()
    client.force_login(person)
    return client


@pytest.fixture
def reviewer(data: DataFolder) -> Client:
    """Somebody who may review."""
    return signed_in("reviewer", "records.view_record", "review.view_item", "review.review_item")


@pytest.fixture
def reader(data: DataFolder) -> Client:
    """Somebody who may look at the queue and not review."""
    return signed_in("reader", "records.view_record", "review.view_item")
