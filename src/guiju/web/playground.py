"""The playground: a chat that goes the same way as every other request, through the gateway and with a key of its own.

Browser → this view (session and CSRF token) → gateway → stream back, byte for byte. The key never reaches the browser.
"""

import hashlib
import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final
from urllib.parse import quote

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from guiju.core.errors import GuijuError, Text, define
from guiju.core.keys import read_text_key
from guiju.core.layout import DataFolder
from guiju.records.browse import find_closing_record
from guiju.web.access import actor_of, needs, post_only
from guiju.web.live import bundle_in_force, gateway_address
from guiju.web.templatetags.guiju import chinese

BODY_LIMIT_BYTES: Final = 256 * 1024
TIMEOUT_S: Final = 120.0
_PIECE_BYTES: Final = 64 * 1024

PLAYGROUND_KEY = define(
    "PLAYGROUND-KEY",
    status=503,
    kind="server_error",
    zh=Text("数据目录里没有试用页的密钥。", "没有发送任何内容。", "请重启 guiju serve，它会补上密钥。"),
    en=Text("The data folder has no key for the playground.", "Nothing was sent.", "Restart guiju serve: it makes the key."),
)
PLAYGROUND_GATEWAY = define(
    "PLAYGROUND-GATEWAY",
    status=502,
    kind="server_error",
    retry=True,
    zh=Text("连不上网关 {address}：{reason}。", "您的文字还在输入框里。", "请确认 guiju serve 正在运行，然后重发。"),
    en=Text(
        "The gateway at {address} could not be reached: {reason}.",
        "Your text is still in the box.",
        "Check that guiju serve is running and send it again.",
    ),
)


@needs("services.view_apikey")
@require_GET
def playground(request: HttpRequest) -> HttpResponse:
    """Show the chat box with the models that the gateway offers to the playground's key."""
    problem = ""
    models: list[str] = []
    try:
        connection, response = _ask("GET", "/v1/models", None, request)
        with closing(connection):
            listed = json.loads(response.read(1_000_000))
            models = [str(model["id"]) for model in listed["data"]]
    except GuijuError as error:
        problem = error.text("zh" if chinese() else "en")
    except (KeyError, TypeError, ValueError, OSError, http.client.HTTPException):
        problem = _("网关没有给出模型列表。")
    return render(request, "web/playground.html", {"models": models, "problem": problem, "words": _words()})


@needs("services.view_apikey")
@post_only
def send(request: HttpRequest) -> HttpResponseBase:
    """Send a conversation to the gateway and relay its answer as it comes."""
    if len(request.body) > BODY_LIMIT_BYTES:
        return JsonResponse({"error": {"message": _("对话过长，没有发送。请清空后重试。")}}, status=413)
    try:
        asked = json.loads(request.body)
        messages = [{"role": str(message["role"]), "content": str(message["content"])} for message in asked["messages"]]
        body = {"model": str(asked["model"]), "messages": messages, "stream": True, "stream_options": {"include_usage": True}}
    except (ValueError, KeyError, TypeError):
        return JsonResponse({"error": {"message": _("请求不完整，没有发送。请刷新页面。")}}, status=400)
    try:
        connection, response = _ask("POST", "/v1/chat/completions", body, request)
    except GuijuError as error:
        return JsonResponse(
            {"error": {"message": error.text("zh" if chinese() else "en"), "code": error.code.code}}, status=error.code.status
        )
    relayed = StreamingHttpResponse(
        _pieces(connection, response), status=response.status, content_type=response.headers.get("content-type", "application/json")
    )
    relayed.headers["X-Guiju-Answer"] = response.headers.get("x-request-id", "")
    relayed.headers["X-Accel-Buffering"] = "no"
    return relayed


@needs("services.view_apikey")
@post_only
def draw(request: HttpRequest) -> HttpResponseBase:
    """Ask the gateway for a picture and show it with its label; a refusal is shown in its place."""
    asked = {"model": request.POST.get("model", "")[:200], "prompt": request.POST.get("prompt", "")[:4_000], "response_format": "url"}
    shown: dict[str, Any] = {"asked": asked["prompt"]}
    try:
        connection, response = _ask("POST", "/v1/images/generations", asked, request)
        with closing(connection):
            answer = json.loads(response.read(1_000_000))
        if response.status == 200:
            item = answer["data"][0]
            shown |= {"token": str(item["url"]).rpartition("/")[2], "number": str(item["aigc"]["ProduceID"]), "aigc": item["aigc"]}
        else:
            shown["problem"] = str(answer["error"]["message"])
    except GuijuError as error:
        shown["problem"] = error.text("zh" if chinese() else "en")
    except (KeyError, IndexError, TypeError, ValueError, OSError, http.client.HTTPException):
        shown["problem"] = _("网关的回答无法读取。")
    return render(request, "web/playground_picture.html", {"shown": shown, "model": asked["model"]})


@needs("services.view_apikey")
@require_GET
def picture(request: HttpRequest, token: str) -> HttpResponseBase:
    """Give a picture that the gateway keeps for a while, from this page's own address."""
    try:
        connection, response = _ask("GET", f"/media/{quote(token, safe='')}", None, request)
    except GuijuError:
        return HttpResponse(status=502)
    kept = StreamingHttpResponse(
        _pieces(connection, response), status=response.status, content_type=response.headers.get("content-type", "application/json")
    )
    for name in ("Content-Length", "Content-Disposition", "Cache-Control"):
        if name in response.headers:
            kept.headers[name] = response.headers[name]
    return kept


@needs("services.view_apikey")
@post_only
def export(request: HttpRequest) -> HttpResponseBase:
    """Give an answer as a file with both labels: the gateway makes it, as for every application."""
    if len(request.body) > BODY_LIMIT_BYTES:
        return JsonResponse({"error": {"message": _("文本过长，没有导出。")}}, status=413)
    asked = {name: request.POST.get(name, "") for name in ("text", "format", "produce_id")}
    try:
        connection, response = _ask("POST", "/v1/exports", asked, request)
    except GuijuError as error:
        return HttpResponse(error.text("zh" if chinese() else "en"), status=error.code.status, content_type="text/plain; charset=utf-8")
    relayed = StreamingHttpResponse(_pieces(connection, response), status=response.status, content_type=response.headers["content-type"])
    for name in ("Content-Disposition", "X-AIGC-Label", "X-AIGC-ProduceID"):
        if name in response.headers:
            relayed.headers[name] = response.headers[name]
    return relayed


@needs("records.view_record")
@require_GET
def find_record(request: HttpRequest, answer: str) -> HttpResponse:
    """Return the id of the record that closes an answer, null while it is not yet in the log."""
    record = find_closing_record(answer)
    if record is None:
        return JsonResponse({"record": None})
    return JsonResponse({"record": record.id})


def _ask(
    method: str, path: str, body: dict[str, Any] | None, request: HttpRequest
) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """Send one request to the gateway. Raises PLAYGROUND-KEY and PLAYGROUND-GATEWAY."""
    folder: DataFolder = settings.DATA_FOLDER
    try:
        key = (folder.keys / "playground.key").read_text().strip()
    except OSError:
        raise GuijuError(PLAYGROUND_KEY) from None
    host, port = gateway_address()
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
        "Accept-Language": "en" if (get_language() or "").startswith("en") else "zh",
        "X-Guiju-User": actor_of(request).encode(),
    }
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request(method, path, json.dumps(body).encode() if body is not None else None, headers)
        return connection, connection.getresponse()
    except (OSError, http.client.HTTPException) as problem:
        connection.close()
        raise GuijuError(PLAYGROUND_GATEWAY, address=f"{host}:{port}", reason=type(problem).__name__) from problem


def _words() -> str:
    """Return the words of the label of the service that the playground's key asks; empty where nothing says which."""
    force = bundle_in_force()
    try:
        secret = read_text_key(settings.DATA_FOLDER.keys, "playground.key")
    except (OSError, GuijuError):
        return ""
    digest = hashlib.sha256(secret.encode()).digest()
    service = next((each.service for each in force.bundle.keys if each.sha256 == digest), "") if force else ""
    return next((each.label.text for each in force.bundle.services if each.id == service), "") if force else ""


def _pieces(connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> Iterator[bytes]:
    """Give what the gateway sends, as it comes; leaving early closes the connection, and the gateway records that."""
    try:
        while piece := response.read1(_PIECE_BYTES):
            yield piece
    except (OSError, http.client.HTTPException):
        yield b'data: {"error": {"message": "the gateway closed the connection", "code": "PLAYGROUND-GATEWAY"}}\n\n'
    finally:
        response.close()  # a connection that ends with its answer has let go of it already
        connection.close()
