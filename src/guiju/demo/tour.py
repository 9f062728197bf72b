"""`guiju demo`: a short tour of the running service, told as a story, in which every claim is checked on the way.

It speaks to the gateway with the official OpenAI SDK, as any application would, and reads what that left in the records.
"""

import importlib.util
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, TypeVar

from rich.console import Console
from rich.text import Text as Words

from guiju.core.errors import GuijuError, Language, Text, define
from guiju.core.keys import read_text_key
from guiju.core.languages import language_of
from guiju.core.layout import DataFolder
from guiju.demo.guide import Guide, Unexpected, own_command
from guiju.demo.texts import TEXTS
from guiju.serve.sockets import address
from guiju.serve.state import State, is_held, read_state
from guiju.services.in_force import DEMO_MODEL, published_settings

if TYPE_CHECKING:
    from openai import OpenAI

    from guiju.records.models import Record

NOT_RUNNING = define(
    "SERVICE-NOT-RUNNING",
    status=503,
    kind="server_error",
    retry=True,
    zh=Text("数据目录 {path} 的服务没有在运行。", "什么也没有发送。", "请先在另一个终端运行 guiju serve，再重试；其他目录用 --data 指定。"),
    en=Text(
        "The service of the data folder {path} is not running.",
        "Nothing was sent.",
        "Run guiju serve in another terminal first; name another folder with --data.",
    ),
)
SDK_MISSING = define(
    "SDK-MISSING",
    status=500,
    kind="server_error",
    zh=Text("没有安装 openai 软件包，导览用它与服务对话。", "什么也没有发送。", "请安装：pip install 'guiju[demo]'。"),
    en=Text(
        "The openai package, with which the tour speaks to the service, is not installed.",
        "Nothing was sent.",
        "Install it: pip install 'guiju[demo]'.",
    ),
)
NO_DEMO_MODEL = define(
    "DEMO-MODEL-ABSENT",
    status=409,
    kind="invalid_request_error",
    zh=Text(
        "正在运行的服务接的是真实模型，导览的台词只有演示模型会说。",
        "什么也没有发送。",
        "请另用一个数据目录：guiju serve --data 新目录 --port 0 --console-port 0。",
    ),
    en=Text(
        "The running service has a real model; only the demo model knows the lines of the tour.",
        "Nothing was sent.",
        "Use another data folder: guiju serve --data NEW --port 0 --console-port 0.",
    ),
)

Found = TypeVar("Found")
RECORDED_WITHIN_S: Final = 20.0
_LOOK_EVERY_S: Final = 0.1
_PAUSE_S: Final = 1.2
_TIMEOUT_S: Final = 30.0


def tour(data: DataFolder, *, key: str = "", language: str = "", fast: bool = False, console: Console | None = None) -> int:
    """Take the tour; return 0 when every step showed what it should, 1 with the step that did not.

    Raises LANGUAGE-UNKNOWN, SERVICE-NOT-RUNNING, SDK-MISSING, DEMO-MODEL-ABSENT, and the KEY-FILE- errors when no key is given.
    """
    spoken = language_of(language)
    state = read_state(data)
    if state is None or not is_held(data):
        raise GuijuError(NOT_RUNNING, path=data.root)
    if importlib.util.find_spec("openai") is None:
        raise GuijuError(SDK_MISSING)
    from openai import OpenAIError

    published = published_settings(data)
    if "demo" not in state.ports or (published is not None and published.upstreams):
        raise GuijuError(NO_DEMO_MODEL)
    guide = Guide(
        _client(state, key or read_text_key(data.keys, "playground.key"), spoken),
        console or Console(highlight=False, soft_wrap=False),
        TEXTS[spoken],
        spoken,
        0.0 if fast else _PAUSE_S,
    )
    guide.frame(guide.texts["opening"].format(base_url=guide.client.base_url))
    for step, show in _steps(guide, data):
        try:
            result = show()
        except (Unexpected, OpenAIError) as problem:
            guide.result(guide.texts["failed"].format(step=guide.texts[step], seen=problem), failed=True)
            return 1
        guide.result(result)
    console_address = address(state.host, state.ports["console"])
    guide.console.print()
    guide.frame(guide.texts["closing"].format(console=console_address, command=own_command()))
    return 0


def _client(state: State, key: str, language: Language) -> "OpenAI":
    from openai import DefaultHttpxClient, OpenAI

    base_url = f"http://{address(state.host, state.ports['gateway'])}/v1"
    # trust_env: no proxy of the environment stands between the tour and this machine.
    return OpenAI(
        base_url=base_url,
        api_key=key,
        max_retries=0,
        timeout=_TIMEOUT_S,
        default_headers={"Accept-Language": language, "X-Guiju-User": "tour"},
        http_client=DefaultHttpxClient(trust_env=False),
    )


def _steps(guide: Guide, data: DataFolder) -> list[tuple[str, Callable[[], str]]]:
    """Return the steps by name; each gives what it showed, or raises Unexpected."""
    left: dict[str, str] = {}
    records: list[Record] = []
    return [
        ("harmless", lambda: _show_label(guide, left)),
        ("stopped", lambda: _show_stop(guide, left)),
        ("masked", lambda: _show_mask(guide, left)),
        ("refused", lambda: _show_refusal(guide, left)),
        ("picture", lambda: _show_picture(guide, left)),
        ("records", lambda: _show_records(guide, data, left, records)),
        ("proof", lambda: _show_proof(guide, left["stopped"], records[1])),
    ]


# ── the steps ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _show_label(guide: Guide, left: dict[str, str]) -> str:
    from guiju.labelling.explicit import holds_elements

    guide.title(1, "harmless")
    guide.say("harmless.before")
    guide.ask(guide.texts["harmless.ask"])
    whole = guide.client.chat.completions.create(model=DEMO_MODEL, messages=[{"role": "user", "content": guide.texts["harmless.ask"]}])
    content = whole.choices[0].message.content or ""
    guide.show(content)
    aigc: dict[str, Any] = (whole.model_extra or {}).get("aigc") or {}
    guide.expect(aigc.get("Label") == "1" and aigc.get("ProduceID"), aigc or whole)
    guide.expect(aigc.get("explicit_required") or holds_elements(content.rsplit("\n", 1)[-1]), content)
    left["harmless"] = str(aigc["ProduceID"])
    guide.say("harmless.after")
    guide.show(f'aigc: Label="{aigc["Label"]}"  ProduceID="{aigc["ProduceID"]}"', "dim")
    return guide.texts["harmless.ok"]


def _show_stop(guide: Guide, left: dict[str, str]) -> str:
    guide.title(2, "stopped")
    guide.say("stopped.before")
    guide.ask(guide.texts["stopped.ask"])
    finish = ""
    retraction: dict[str, Any] = {}

    def pieces() -> Iterator[str]:
        nonlocal finish, retraction
        stream = guide.client.chat.completions.create(
            model=DEMO_MODEL, messages=[{"role": "user", "content": guide.texts["stopped.ask"]}], stream=True
        )
        for chunk in stream:
            retraction = (chunk.model_extra or {}).get("retraction") or retraction
            for choice in chunk.choices:
                finish = choice.finish_reason or finish
                yield choice.delta.content or ""

    received = guide.show_coming(pieces())
    guide.expect(finish == "content_filter", f"finish_reason {finish}")
    guide.expect(not _holds_offer(received), received)
    guide.expect(retraction.get("record"), retraction)
    left["stopped"] = str(retraction["record"])
    guide.say("stopped.after")
    guide.show(f'finish_reason="{finish}"  retraction.record="{retraction["record"]}"', "dim")
    return guide.texts["stopped.ok"]


def _holds_offer(text: str) -> bool:
    return any(words in text for words in ("四件套", "出售银行卡", "cloned credit", "for sale"))


def _show_mask(guide: Guide, left: dict[str, str]) -> str:
    guide.title(3, "masked")
    guide.say("masked.before")
    guide.ask(guide.texts["masked.ask"])
    received, number = "", ""
    stream = guide.client.chat.completions.create(
        model=DEMO_MODEL, messages=[{"role": "user", "content": guide.texts["masked.ask"]}], stream=True
    )
    for chunk in stream:
        number = str(((chunk.model_extra or {}).get("aigc") or {}).get("ProduceID") or number)
        received += "".join(choice.delta.content or "" for choice in chunk.choices)
    guide.show(received)
    guide.expect("110***********002X" in received and "19491231" not in received and number, received)
    left["masked"] = number
    guide.say("masked.after")
    return guide.texts["masked.ok"]


def _show_refusal(guide: Guide, left: dict[str, str]) -> str:
    from openai import BadRequestError

    guide.title(4, "refused")
    guide.say("refused.before")
    guide.ask(guide.texts["refused.ask"])
    try:
        answer = guide.client.chat.completions.create(model=DEMO_MODEL, messages=[{"role": "user", "content": guide.texts["refused.ask"]}])
    except BadRequestError as refusal:
        body: dict[str, Any] = refusal.body if isinstance(refusal.body, dict) else {}
        guide.expect(body.get("code") == "input_refused" and body.get("record"), body)
        message = str(body["message"])
        guide.expect(not _holds_offer(message), message)
        left["refused"] = str(body["record"])
        guide.show(f"HTTP {refusal.status_code}  {guide.half(message)}")
        guide.say("refused.after")
        return guide.texts["refused.ok"]
    raise Unexpected(str(answer.choices[0].message.content))


def _show_picture(guide: Guide, left: dict[str, str]) -> str:
    import base64

    from openai import APIStatusError

    from guiju.labelling import read
    from guiju.labelling.values import FileLabel

    guide.title(5, "picture")
    guide.say("picture.before")
    guide.ask(guide.texts["picture.ask"])
    try:
        answer = guide.client.images.generate(model=DEMO_MODEL, prompt=guide.texts["picture.ask"], size="512x512")
    except APIStatusError as refusal:
        body: dict[str, Any] = refusal.body if isinstance(refusal.body, dict) else {}
        guide.expect(body.get("code") == "label_font", body)
        guide.show(guide.half(str(body["message"])))
        return guide.texts["picture.no_font"]
    assert answer.data is not None
    picture = answer.data[0]
    found = read(base64.b64decode(picture.b64_json or ""))
    aigc: dict[str, Any] = (picture.model_extra or {}).get("aigc") or {}
    guide.expect(isinstance(found, FileLabel) and found.produce_id and found.produce_id == aigc.get("ProduceID"), found)
    assert isinstance(found, FileLabel)
    left["picture"] = found.produce_id
    guide.say("picture.after")
    guide.show(f'AIGC: Label="{found.label}"  ContentProducer="{found.content_producer}"  ProduceID="{found.produce_id}"', "dim")
    return guide.texts["picture.ok"]


def _show_records(guide: Guide, data: DataFolder, left: dict[str, str], records: "list[Record]") -> str:
    from guiju.web import configure_django

    guide.title(6, "records")
    guide.say("records.before")
    configure_django(data.root)
    from rich.table import Table

    from guiju.core.clock import beijing_text
    from guiju.records.browse import find_closing_record
    from guiju.records.kinds import KINDS

    table = Table(box=None, padding=(0, 1), header_style="bold")
    number = guide.texts["records.number"]
    for title in ("#", guide.texts["records.time"], guide.texts["records.kind"], number):
        table.add_column(title, no_wrap=title in ("#", number, guide.texts["records.time"]))
    for name in [each for each in ("harmless", "stopped", "masked", "refused", "picture") if each in left]:
        record = _wait_for(guide, lambda answer=left[name]: _closing(find_closing_record(answer)))  # type: ignore[misc]  # a default binds the value
        records.append(record)
        kind = KINDS[record.kind]
        at = beijing_text(int(record.at.timestamp() * 1_000_000))
        table.add_row(str(record.index), at, kind.zh if guide.language == "zh" else kind.en, left[name])  # the number that people saw
    guide.console.print(table)
    wanted = ["gateway.answer.delivered", "gateway.answer.stopped", "gateway.answer.delivered", "gateway.input.refused"]
    wanted += ["gateway.media.delivered"] if "picture" in left else []
    guide.expect([record.kind for record in records] == wanted, [record.kind for record in records])
    guide.say("records.after")
    return guide.texts["records.ok"]


def _closing(record: "Record | None") -> "Record | None":
    return None if record is None or record.kind == "gateway.answer.opened" else record


def _show_proof(guide: Guide, number: str, record: "Record") -> str:
    from django.conf import settings

    from guiju.core.keys import load_site_public_key
    from guiju.records import flow
    from guiju.records.log.proof import check_proof

    guide.title(7, "proof")
    guide.say("proof.before", number=number, id=record.id)
    document = _wait_for(guide, lambda: _proof(flow, record.id))
    report = check_proof(document, load_site_public_key(settings.DATA_FOLDER.keys))
    for step in report.steps:
        told = step.zh if guide.language == "zh" else step.en
        guide.console.print(Words(f"    {'✓' if step.outcome == 'holds' else '✗'} {step.number}. {told}"))
        if step.detail:
            guide.console.print(Words(f"         {step.detail}", style="dim"), overflow="ellipsis", no_wrap=True)
        time.sleep(guide.pause_s / 2)
    guide.expect(report.ok, [step for step in report.steps if step.outcome != "holds"])
    body = str(document["body"])
    changed = {**document, "body": body.replace("stopped", "delivers", 1)}
    guide.expect(changed["body"] != body and not check_proof(changed).ok, "a changed record passed")
    guide.say("proof.after")
    return guide.texts["proof.ok"]


def _proof(flow: Any, record: str) -> dict[str, Any] | None:
    """Return the proof; None while no checkpoint reaches the record."""
    try:
        document: dict[str, Any] = flow.prove(record)
    except GuijuError:
        return None
    return document


def _wait_for(guide: Guide, look: Callable[[], Found | None]) -> Found:
    deadline = time.monotonic() + RECORDED_WITHIN_S
    while True:
        found = look()
        if found is not None:
            return found
        if time.monotonic() > deadline:
            raise Unexpected(guide.texts["late"].format(seconds=int(RECORDED_WITHIN_S)))
        time.sleep(_LOOK_EVERY_S)
