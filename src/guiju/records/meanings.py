"""What the metadata of records are called on pages: dotted names as records hold them, with both languages.

A name that is not here is shown as it stands in the record.
"""

from collections.abc import Mapping
from typing import Final

MEANINGS: Final[Mapping[str, tuple[str, str]]] = {
    "bundle": ("运行包版本", "Bundle in force"),
    "library": ("词库版本", "Library in force"),
    "policy": ("策略版本", "Policy in force"),
    "model": ("请求的模型", "Model asked for"),
    "upstream": ("上游", "Upstream"),
    "duration_us": ("用时（微秒）", "Duration (µs)"),
    "classifier": ("分类器", "Classifier"),
    "classifier.version": ("分类器版本", "Classifier: version"),
    "classifier.outcome": ("分类器的结果", "Classifier: outcome"),
    "classifier.reason": ("分类器未能判断的原因", "Classifier: why it could not judge"),
    "streamed": ("流式", "Streamed"),
    "answer": ("所属回答", "Answer it belongs to"),
    "finish": ("结束原因", "How each choice ended"),
    "review": ("送人复核的原因", "Why a person reviews it"),
    "error": ("错误编号", "Error"),
    "status": ("HTTP 状态", "HTTP status"),
    "detail": ("详情", "Detail"),
    "reason": ("理由", "Reason"),
    "until": ("有效期至", "Holds until"),
    "record": ("有关的记录", "Record it is about"),
    "content_omitted_bytes": ("未封存的字节", "Bytes not sealed"),
    "input.outcome": ("输入的审查结果", "Input: outcome"),
    "input.bytes": ("输入的字节", "Input: bytes"),
    "input.reason": ("输入未能审查的原因", "Input: why not examined"),
    "output.outcome": ("回答的审查结果", "Answer: outcome"),
    "output.released_characters": ("送出的字符", "Characters let out"),
    "output.texts": ("回答文本的指纹", "Fingerprints of the texts"),
    "input.hits_in_all": ("输入的发现总数", "Input: findings in all"),
    "output.hits_in_all": ("回答的发现总数", "Answer: findings in all"),
    "output.tool_calls": ("调用的工具", "Tools called"),
    "output.reason": ("回答未能审查的原因", "Answer: why not examined"),
    "cause.messages": ("消息条数", "Messages"),
    "cause.system_prompt": ("系统提示词的指纹", "Fingerprint of the system prompt"),
    "cause.tools": ("提供的工具", "Tools offered"),
    "cause.tool_results": ("工具结果", "Results of tools"),
    "cause.application.conversation": ("会话", "Conversation"),
    "cause.application.turn": ("轮次", "Turn"),
    "cause.application.channel": ("渠道", "Channel"),
    "cause.application.application": ("应用", "Application"),
    "cause.application.audience": ("读者", "Reader"),
    "cause.application.retrieval": ("检索到的资料", "Passages retrieved"),
    "source.name": ("回答者", "Who answered"),
    "source.model": ("模型（上游名称）", "Model, as the upstream names it"),
    "source.answered_as": ("自称的模型", "Model, as it named itself"),
    "source.answer": ("上游的回答编号", "The upstream's answer id"),
    "source.supplier": ("供应方", "Supplier"),
    "source.version": ("登记的版本", "Version registered"),
    "source.weights_sha256": ("登记的权重哈希", "Weights registered (SHA-256)"),
    "source.filing_number": ("备案号", "Filing number"),
    "source.system_fingerprint": ("上游的系统指纹", "The upstream's system fingerprint"),
    "source.request_id": ("上游的请求编号", "The upstream's request id"),
    "label.produce_id": ("标识中的内容编号", "Content number in the label"),
    "label.explicit": ("显式标识", "Explicit label"),
    "usage.prompt_tokens": ("输入词元", "Tokens in"),
    "usage.completion_tokens": ("输出词元", "Tokens out"),
    "usage.total_tokens": ("词元合计", "Tokens in all"),
    "notice.id": ("告知", "Notice"),
    "notice.language": ("告知的语言", "Language of the notice"),
    "approved_answer.id": ("标准答案", "Approved answer"),
    "approved_answer.version": ("标准答案库版本", "Version of the bank"),
    "approved_answer.match": ("匹配方式", "How it matched"),
    "approved_answer.score_per_mille": ("匹配度（千分）", "Score (per mille)"),
    "guard.outcome": ("外部审查结果", "Guards: outcome"),
    "guard.examinations": ("外部审查次数", "Guards: examinations"),
    "guard.reason": ("外部未能审查的原因", "Guards: why not examined"),
    "supply": ("无显式标识的批准", "Grant without the explicit label"),
    "agreement": ("协议", "Agreement"),
    "produce_id": ("内容编号", "Content number"),
}
"""Source: what the gateway writes (`gateway/causation.py`, `gateway/exchange.py`), and the records of opening and supply."""

DECODING: Final = "cause.decoding."
"""Below it stand the parameters of the request, by the names that the API gives them."""


def meaning_of(name: str) -> tuple[str, str] | None:
    """Return what a dotted name is called, (zh, en); None for one that has no other name."""
    if name.startswith(DECODING):
        parameter = name.removeprefix(DECODING)
        return f"参数 {parameter}", f"Parameter {parameter}"
    return MEANINGS.get(name)
