"""Errors of the live path, each once, in the OpenAI shape."""

from typing import Any, Final

import msgspec

from guiju.core.errors import ErrorCode, GuijuError, Text, define

_ENCODER: Final = msgspec.json.Encoder()

KEY_MISSING = define(
    "KEY-MISSING",
    status=401,
    kind="authentication_error",
    zh=Text("请求没有带 API 密钥。", "请求未被处理。", "请在 Authorization 头中以 Bearer 方式提供密钥。"),
    en=Text("The request carries no API key.", "It was not processed.", "Send the key in the Authorization header as a Bearer token."),
)
KEY_UNKNOWN = define(
    "KEY-UNKNOWN",
    status=401,
    kind="authentication_error",
    zh=Text("API 密钥无效。", "请求未被处理。", "请核对密钥，或向服务运营者申请新的密钥。"),
    en=Text(
        "The API key is not known here.", "The request was not processed.", "Check the key, or ask the operator of the service for one."
    ),
)
KEY_REVOKED = define(
    "KEY-REVOKED",
    status=401,
    kind="authentication_error",
    zh=Text("API 密钥 {key} 已被停用。", "请求未被处理。", "请向服务运营者申请新的密钥。"),
    en=Text("The API key {key} was revoked.", "The request was not processed.", "Ask the operator of the service for a new key."),
)
PATH_UNKNOWN = define(
    "PATH-UNKNOWN",
    status=404,
    kind="invalid_request_error",
    zh=Text("没有 {method} {path} 这个接口。", "请求未被处理。", "可用接口见文档“接口”一页，如 POST /v1/chat/completions。"),
    en=Text(
        "There is no {method} {path} here.",
        "The request was not processed.",
        "The page “API” of the documentation lists the calls, POST /v1/chat/completions and others.",
    ),
)
HTTP_INVALID = define(
    "HTTP-INVALID",
    status=400,
    kind="invalid_request_error",
    zh=Text("请求不是合格的 HTTP/1.1：{reason}。", "请求未被处理，连接已关闭。", "请检查客户端和中间的代理后重发。"),
    en=Text(
        "The request is no proper HTTP/1.1: {reason}.",
        "It was not processed, and the connection was closed.",
        "Check the client and the proxies on the way, and send it again.",
    ),
)
HTTP_HEAD_TOO_LARGE = define(
    "HTTP-HEAD-TOO-LARGE",
    status=431,
    kind="invalid_request_error",
    zh=Text("请求头超过上限 {limit} 字节。", "请求未被处理，连接已关闭。", "请减少请求头后重发；内容应放在正文里。"),
    en=Text(
        "The head of the request is larger than {limit} bytes.",
        "It was not processed, and the connection was closed.",
        "Send it again with smaller headers; content belongs in the body.",
    ),
)
HTTP_PIPELINED = define(
    "HTTP-PIPELINED",
    status=429,
    kind="rate_limit_error",
    retry=True,
    zh=Text(
        "同一连接上排队的请求超过上限 {limit} 个。",
        "排在前面的请求都已回答；从这一个起未被处理，连接已关闭。",
        "请等到回答后再发下一个请求，或使用更多连接。",
    ),
    en=Text(
        "More than {limit} requests wait for their turn on one connection.",
        "Those before this one were answered; it and those behind it were not processed, and the connection was closed.",
        "Send the next request after an answer, or use more connections.",
    ),
)
BODY_TOO_LARGE = define(
    "BODY-TOO-LARGE",
    status=413,
    kind="invalid_request_error",
    zh=Text("请求正文超过上限 {limit} 字节。", "请求未被处理，正文没有保留。", "请缩短对话或减小附件后重发。"),
    en=Text(
        "The request body is larger than {limit} bytes.",
        "It was not processed and the body was not kept.",
        "Shorten the conversation or the attachments and send it again.",
    ),
)
BODY_CUT = define(
    "BODY-CUT",
    status=408,
    kind="invalid_request_error",
    retry=True,
    zh=Text("请求正文在第 {size} 字节处中断。", "请求未被处理。", "请重新发送完整的请求。"),
    en=Text("The request body stopped at byte {size}.", "The request was not processed.", "Send the whole request again."),
)
BODY_NOT_JSON = define(
    "BODY-NOT-JSON",
    status=400,
    kind="invalid_request_error",
    zh=Text("请求正文不是有效的 JSON：“{reason}”。", "请求未被处理。", "请改正后重发。"),
    en=Text("The request body is not valid JSON: {reason}.", "It was not processed.", "Correct it and send it again."),
)
BODY_NOT_FORM = define(
    "BODY-NOT-FORM",
    status=400,
    kind="invalid_request_error",
    zh=Text("请求正文不是有效的 multipart/form-data：“{reason}”。", "请求未被处理。", "请改正后重发。"),
    en=Text("The request body is not valid multipart/form-data: {reason}.", "It was not processed.", "Correct it and send it again."),
)
FIELD_INVALID = define(
    "FIELD-INVALID",
    status=400,
    kind="invalid_request_error",
    zh=Text("字段 {param} 应为：{wanted_zh}。", "请求未被处理。", "请改正该字段后重发。"),
    en=Text("The field {param} must be {wanted_en}.", "The request was not processed.", "Correct the field and send it again."),
)
MODEL_UNKNOWN = define(
    "MODEL-UNKNOWN",
    status=404,
    kind="invalid_request_error",
    zh=Text("本服务没有名为“{model}”的模型。", "请求未被处理。", "可用模型见 GET /v1/models。"),
    en=Text("This service has no model '{model}'.", "The request was not processed.", "See GET /v1/models for those it has."),
)
INPUT_REFUSED = define(
    "INPUT-REFUSED",
    status=400,
    kind="invalid_request_error",
    zh=Text(
        "您的输入属于服务协议所列的禁止情形，未交给模型。", "输入已保留在您的一侧，可修改后重发。", "如认为有误，请凭编号 {record} 申诉。"
    ),
    en=Text(
        "The input falls under the cases that the service agreement forbids and was not given to the model.",
        "It is still on your side and can be edited and sent again.",
        "If you think this is wrong, appeal with number {record}.",
    ),
)
INPUT_PERSONAL = define(
    "INPUT-PERSONAL",
    status=400,
    kind="invalid_request_error",
    zh=Text(
        "您的输入含有个人信息或密钥（{codes}），本服务不接收此类内容，未交给模型。", "输入已保留在您的一侧，可修改后重发。",
        "请删去这些内容后重发；如认为有误，请凭编号 {record} 申诉。",
    ),
    en=Text(
        "The input holds personal information or keys ({codes}), which this service does not take; it was not given to the model.",
        "It is still on your side and can be edited and sent again.",
        "Take them out and send it again; if you think this is wrong, appeal with number {record}.",
    ),
)  # fmt: skip
ANSWER_WITHHELD = define(
    "ANSWER-WITHHELD",
    status=400,
    kind="invalid_request_error",
    zh=Text(
        "模型生成的内容属于服务协议所列的禁止情形，没有送出。",
        "您的输入已保留在您的一侧，可修改后重发。",
        "如认为有误，请凭编号 {record} 申诉。",
    ),
    en=Text(
        "What the model made falls under the cases that the service agreement forbids and was not delivered.",
        "The input is still on your side and can be edited and sent again.",
        "If you think this is wrong, appeal with number {record}.",
    ),
)
NOT_EXAMINED = define(
    "NOT-EXAMINED",
    status=503,
    kind="server_error",
    retry=True,
    zh=Text(
        "内容未能完成审查：{reason}。", "没有未经审查的内容被传出；编号 {record} 留有记录。", "请稍后重试；若仍然出现，请联系服务运营者。"
    ),
    en=Text(
        "The content could not be examined: {reason}.",
        "Nothing unexamined was delivered; record {record} keeps the case.",
        "Try again later; if it stays, tell the operator of the service.",
    ),
)
GUARD_UNAVAILABLE = define(
    "GUARD-UNAVAILABLE",
    status=503,
    kind="server_error",
    retry=True,
    zh=Text(
        "本服务规定的外部审查未能完成：{reason}。", "已传出的内容都经过本机审查，其余没有传出；编号 {record} 留有记录。",
        "请稍后重试；若仍然出现，请联系服务运营者。",
    ),
    en=Text(
        "The further examination that this service prescribes could not be made: {reason}.",
        "What was delivered passed the screening here, and nothing more was delivered; record {record} keeps the case.",
        "Try again later; if it stays, tell the operator of the service.",
    ),
)  # fmt: skip
BUSY = define(
    "BUSY",
    status=503,
    kind="server_error",
    retry=True,
    zh=Text("服务正忙：同时处理的请求已达 {limit} 个。", "请求未被处理。", "请稍后重试。"),
    en=Text("The service is busy: {limit} requests are in progress.", "This one was not processed.", "Try again shortly."),
)
UPSTREAM_UNREACHABLE = define(
    "UPSTREAM-UNREACHABLE",
    status=502,
    kind="server_error",
    retry=True,
    zh=Text("无法连接模型服务“{upstream}”。", "没有内容被传出；编号 {record} 留有记录。", "请稍后重试。"),
    en=Text(
        "The model server '{upstream}' cannot be reached.", "Nothing was delivered; record {record} keeps the case.", "Try again later."
    ),
)
MODELS_UNLISTED = define(
    "MODELS-UNLISTED",
    status=502,
    kind="server_error",
    retry=True,
    zh=Text(
        "模型服务“{upstream}”没有给出模型列表（{cause}）。",
        "什么也没有改变；列出模型不留记录。",
        "请稍后重试；运营者可在该 [[upstream]] 中写明 models，便无须询问。",
    ),
    en=Text(
        "The model server '{upstream}' gave no list of its models ({cause}).",
        "Nothing was changed; listing models leaves no record.",
        "Try again later; with models named in that [[upstream]] the operator makes asking needless.",
    ),
)
UPSTREAM_TIMEOUT = define(
    "UPSTREAM-TIMEOUT",
    status=504,
    kind="server_error",
    retry=True,
    zh=Text("模型服务“{upstream}”在 {limit_ms} 毫秒内没有继续回应。", "{delivered_zh}；编号 {record} 留有记录。", "请稍后重试。"),
    en=Text(
        "The model server '{upstream}' said nothing for {limit_ms} ms.",
        "{delivered_en}; record {record} keeps the case.",
        "Try again later.",
    ),
)
UPSTREAM_BROKEN = define(
    "UPSTREAM-BROKEN",
    status=502,
    kind="server_error",
    retry=True,
    zh=Text(
        "模型服务“{upstream}”的回应无法读取：{reason}。",
        "{delivered_zh}；编号 {record} 留有记录。",
        "请稍后重试；若仍然出现，请联系服务运营者。",
    ),
    en=Text(
        "The answer of the model server '{upstream}' cannot be read: {reason}.",
        "{delivered_en}; record {record} keeps the case.",
        "Try again later; if it stays, tell the operator of the service.",
    ),
)
UPSTREAM_FAILED = define(
    "UPSTREAM-FAILED",
    status=502,
    kind="server_error",
    retry=True,
    zh=Text("模型服务“{upstream}”报告内部错误（{status}）。", "没有内容被传出；编号 {record} 留有记录。", "请稍后重试。"),
    en=Text(
        "The model server '{upstream}' reports an error of its own ({status}).",
        "Nothing was delivered; record {record} keeps the case.",
        "Try again later.",
    ),
)
UPSTREAM_REFUSED = define(
    "UPSTREAM-REFUSED",
    status=400,
    kind="invalid_request_error",
    zh=Text(
        "模型服务“{upstream}”不接受这个请求（{status}）：{reason}。", "没有内容被传出；编号 {record} 留有记录。", "请按说明改正后重发。"
    ),
    en=Text(
        "The model server '{upstream}' does not take this request ({status}): {reason}.",
        "Nothing was delivered; record {record} keeps the case.",
        "Correct it as it says and send it again.",
    ),
)
UPSTREAM_BUSY = define(
    "UPSTREAM-BUSY",
    status=429,
    kind="rate_limit_error",
    retry=True,
    zh=Text("模型服务“{upstream}”已达调用上限。", "没有内容被传出；编号 {record} 留有记录。", "请稍后重试。"),
    en=Text(
        "The model server '{upstream}' has reached its rate limit.",
        "Nothing was delivered; record {record} keeps the case.",
        "Try again later.",
    ),
)
STOPPING = define(
    "STOPPING",
    status=503,
    kind="server_error",
    retry=True,
    zh=Text("服务正在停止，未等到回答完成。", "{delivered_zh}；编号 {record} 留有记录。", "请稍后重试。"),
    en=Text(
        "The service is stopping and the answer was not complete in time.",
        "{delivered_en}; record {record} keeps the case.",
        "Try again shortly.",
    ),
)
INTERNAL = define(
    "INTERNAL",
    status=500,
    kind="server_error",
    retry=True,
    zh=Text("处理请求时发生内部错误。", "没有未经审查的内容被传出；编号 {record} 留有记录。", "请稍后重试；若仍然出现，请联系服务运营者。"),
    en=Text(
        "An internal error happened.",
        "Nothing unexamined was delivered; record {record} keeps the case.",
        "Try again later; if it stays, tell the operator of the service.",
    ),
)


def delivery(begun: bool) -> dict[str, str]:
    """Return the facts that say what of an answer had left: nothing, or words that stand."""
    if begun:
        return {"delivered_zh": "已传出的内容有效", "delivered_en": "What was delivered stands"}
    return {"delivered_zh": "没有内容被传出", "delivered_en": "Nothing was delivered"}


def error_object(code: ErrorCode, facts: dict[str, Any]) -> dict[str, object]:
    """Return the `error` object of the OpenAI shape; the message is in Chinese and English."""
    message = GuijuError(code, **facts).both()
    return {
        "message": message,
        "type": code.kind,
        "param": facts.get("param"),
        "code": code.code.lower().replace("-", "_"),
        "record": facts.get("record"),
    }


def error_body(code: ErrorCode, facts: dict[str, Any]) -> bytes:
    """Return the JSON body of an error answer."""
    return _ENCODER.encode({"error": error_object(code, facts)})
