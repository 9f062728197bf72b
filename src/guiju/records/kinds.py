"""Every kind of record: `duty.object.verb`, its name in two languages, and the obligations it is evidence for.

`python -m guiju.records.kinds` prints the table of docs/records.md.
"""

import re
from dataclasses import dataclass
from typing import Final

from guiju.core.errors import Text, define

KIND_UNKNOWN = define(
    "KIND-UNKNOWN",
    status=400,
    kind="invalid_request_error",
    zh=Text("没有名为“{kind}”的记录类型。", "没有查找。", "请写一种类型或其开头，如 gateway.answer；全部类型见 docs/records.md。"),
    en=Text(
        "There is no kind of record '{kind}'.",
        "Nothing was searched.",
        "Name a kind or its beginning, such as gateway.answer; docs/records.md lists them all.",
    ),
)
_NAME: Final = re.compile(r"[a-z_]+\.[a-z_]+\.[a-z_]+")


@dataclass(frozen=True, slots=True)
class Kind:
    """A declared kind of record."""

    name: str
    zh: str
    en: str
    obligations: tuple[str, ...]


KINDS: Final[dict[str, Kind]] = {}


def declare(kind: str, zh: str, en: str, obligations: tuple[str, ...]) -> Kind:
    """Declare a kind and return it. Raises ValueError when the name is taken or is not `duty.object.verb`."""
    if kind in KINDS or not _NAME.fullmatch(kind):
        raise ValueError(f"record kind {kind} is declared twice, or is not duty.object.verb")
    declared = KINDS[kind] = Kind(kind, zh, en, obligations)
    return declared


_ANSWER: Final = ("GAI-9.3", "GAI-9.1")
_STOPPED: Final = (*_ANSWER, "GAI-4.1", "GAI-14.1", "GAI-14.7")

declare("gateway.answer.opened", "开始送出流式回答", "A streamed answer began to leave", _ANSWER)
declare("gateway.answer.delivered", "回答已送达", "An answer was delivered", (*_ANSWER, "GAI-12.1"))
declare("gateway.answer.stopped", "回答被停止", "An answer was stopped", _STOPPED)
declare("gateway.answer.interrupted", "回答中断", "An answer was interrupted", _ANSWER)
declare("gateway.input.refused", "输入被拒绝", "An input was refused", (*_ANSWER, "GAI-4.1", "GAI-14.7"))
declare("gateway.request.rejected", "请求不合格", "A request was rejected", ("GAI-9.3",))
declare("gateway.moderation.examined", "应请求审查文本", "Texts were examined on request", ("GAI-9.3", "GAI-4.1"))
declare("gateway.upstream.failed", "上游模型失败", "The upstream model failed", ("GAI-9.3", "GAI-13.1"))
declare("gateway.media.submitted", "接受视频生成任务", "An order for a film was accepted", ("GAI-9.3",))
declare("gateway.media.delivered", "带标识的文件已送出", "Labelled files were delivered", (*_ANSWER, "GAI-12.1"))
declare("gateway.export.delivered", "带标识的文本文件已送出", "A text left as a labelled file", ("GAI-9.3", "GAI-12.2", "GAI-12.3"))
declare("gateway.export.withheld", "文本文件未送出", "A text was not exported", ("GAI-9.3", "GAI-4.1"))
declare("gateway.media.withheld", "生成的文件未送出", "Files that were made were withheld", (*_ANSWER, "GAI-12.1", "GAI-4.1"))
declare("gateway.worker.alive", "网关进程的心跳", "Heartbeat of a gateway worker", ("GAI-9.3",))
declare("gateway.worker.ended", "网关进程停止", "A gateway worker ended in order", ("GAI-9.3",))
declare("services.key.created", "创建接口密钥", "An API key was created", ("GAI-9.2",))
declare("services.key.revoked", "吊销接口密钥", "An API key was revoked", ("GAI-9.2",))
declare("labelling.key.made", "启用标识签名密钥", "A key that signs labels was put in force", ("GAI-12.1",))
declare("labelling.key.retired", "标识签名密钥停用", "A key that signed labels was retired", ("GAI-12.1",))
declare("services.bundle.published", "发布运行包", "A bundle was published", ("GAI-9.2",))
declare("screening.library.imported", "导入关键词库", "A keyword library was imported", ("GAI-4.1",))
declare("screening.library.reviewed", "审核关键词库", "A keyword library was reviewed", ("GAI-4.1",))
declare("screening.guard.unavailable", "外部审查不可用", "A guard became unavailable", ("GAI-4.1", "GAI-13.1"))
declare("screening.guard.available", "外部审查恢复", "A guard is available again", ("GAI-4.1", "GAI-13.1"))
declare("screening.trial.begun", "试运行关键词库：开始", "A dry run of a keyword library began", ("GAI-4.1", "GAI-11.1"))
declare("screening.trial.finished", "试运行关键词库：结束", "A dry run of a keyword library ended", ("GAI-4.1", "GAI-11.1"))
declare("screening.library.activated", "启用关键词库", "A keyword library was put in force", ("GAI-4.1", "GAI-14.4"))
declare("screening.policy.drafted", "编制策略草稿", "A policy was drafted", ("GAI-4.1",))
declare("screening.policy.reviewed", "复核策略", "A policy was reviewed by another person", ("GAI-4.1",))
declare("screening.policy.activated", "启用策略", "A policy was put in force", ("GAI-4.1", "GAI-10.4", "GAI-14.4"))
declare("screening.policy.retired", "停用策略", "A policy was retired", ("GAI-4.1", "GAI-14.4"))
declare("screening.answers.drafted", "导入标准答案库", "A bank of approved answers was drafted", ("GAI-4.1",))
declare("screening.answers.reviewed", "复核标准答案库", "Approved answers were reviewed by another person", ("GAI-4.1",))
declare("screening.answers.activated", "启用标准答案库", "Approved answers were put in force", ("GAI-4.1", "GAI-14.4"))
declare("screening.answers.retired", "停用标准答案库", "Approved answers were retired", ("GAI-4.1", "GAI-14.4"))
declare("screening.review.taken", "取走一件待复核内容", "An item was taken for review", ("GAI-4.1", "GAI-11.1"))
declare("screening.review.returned", "退回一件待复核内容", "An item was given back unreviewed", ("GAI-4.1",))
declare("screening.review.decided", "作出复核结论", "A review was decided", ("GAI-4.1", "GAI-14.7"))
declare("screening.review.closed", "复核件因内容不在而关闭", "An item closed because its content is gone", ("GAI-4.1", "GAI-11.3"))
declare("screening.review.exported", "导出复核结论", "Decisions of reviews were exported", ("GAI-4.1", "GAI-11.1"))
declare("screening.exception.proposed", "提出例外词建议", "An exception to a term was proposed", ("GAI-4.1",))
declare("screening.exception.settled", "处理例外词建议", "A proposed exception was settled", ("GAI-4.1",))
declare("web.session.signed_in", "登录", "Somebody signed in", ("GAI-11.1",))
declare("web.session.refused", "登录被拒绝", "A sign-in was refused", ("GAI-11.1",))
declare("web.owner.created", "创建所有者账号", "The account of the owner was created", ("GAI-11.1",))
declare("web.person.added", "创建账号", "An account was made", ("GAI-11.1",))
declare("web.person.disabled", "停用账号", "An account was disabled", ("GAI-11.1",))
declare("web.person.enabled", "启用账号", "An account was enabled again", ("GAI-11.1",))
declare("web.password.reset", "重设密码", "A password was reset", ("GAI-11.1",))
declare("records.request.made", "申请打开或删除封存内容", "Opening or erasing was asked for", ("GAI-11.1",))
declare("records.request.approved", "批准打开或删除封存内容", "Opening or erasing was approved", ("GAI-11.1",))
declare("records.request.refused", "不批准打开或删除封存内容", "Opening or erasing was not approved", ("GAI-11.1",))
declare("records.content.opened", "打开封存内容", "Sealed content was opened", ("GAI-11.1",))
declare("records.subject.opened", "打开一个主体的内容", "The contents of a subject were opened", ("GAI-11.1",))
declare("records.subject.searched", "查找一个主体的内容", "The contents of a subject were searched", ("GAI-11.1",))
declare("records.subject.exported", "导出一个主体的记录", "The records of a subject were exported", ("GAI-11.5", "GAI-11.1"))
declare("records.subject.erased", "删除一个主体的内容", "The contents of a subject were erased", ("GAI-11.7", "GAI-11.3"))
declare("records.hold.set", "设定法律保全", "A legal hold was set", ("GAI-9.3",))
declare("records.hold.lifted", "解除法律保全", "A legal hold was lifted", ("GAI-9.3",))
declare("records.master_key.rotation_begun", "开始更换主密钥", "Rotation of the master key began", ("GAI-11.1", "GAI-9.4"))
declare("records.master_key.rotated", "主密钥已更换", "The master key was rotated", ("GAI-11.1", "GAI-9.4"))
declare("records.retention.removed", "按保存期限清除", "Removed by retention", ("GAI-11.3", "GAI-9.3"))
declare("records.recorder.alive", "记录进程的心跳", "Heartbeat of the recorder", ("GAI-9.3",))
declare("records.gap.found", "发现记录缺失", "Records were found missing", ("GAI-9.3", "GAI-14.7"))
declare("records.gap.closed", "记录缺失已处理", "A gap in the records was closed", ("GAI-9.3", "GAI-14.7"))
declare("records.entry.damaged", "条目无法读取，原样另存", "An entry could not be read and was kept aside", ("GAI-9.3",))
declare("records.key.changed", "更换站点签名密钥", "The site key was changed", ("GAI-9.3",))
declare("records.key.retired", "旧站点密钥停止签名", "The old site key signs no more", ("GAI-9.3",))
declare("records.pack.made", "制作记录包", "A pack of records was made", ("GAI-9.3", "GAI-19.3"))
declare("records.ledger.checked", "账本自检", "The ledger was checked", ("GAI-9.3",))
declare("labelling.supply.asked", "申请不加显式标识", "Supply without the explicit label was asked for", ("GAI-12.5",))
declare("labelling.supply.granted", "批准不加显式标识", "Supply without the explicit label was granted", ("GAI-12.5",))
declare("labelling.supply.refused", "不批准不加显式标识", "Supply without the explicit label was refused", ("GAI-12.5",))
declare("labelling.supply.ended", "终止不加显式标识", "A supply without the explicit label was ended", ("GAI-12.5",))
declare("labelling.unlabelled.supplied", "提供了不加显式标识的内容", "Content without the explicit label was supplied", ("GAI-12.5",))
declare("obligations.profile.answered", "填写服务画像", "The profile of a service was answered", ("GAI-2.1",))
declare("obligations.scope.determined", "签署适用性判断书", "A scope determination was signed", ("GAI-2.1", "GAI-17.1"))
declare("obligations.duty.attested", "对义务作出声明", "A person attested a duty", ())
declare("obligations.duty.withdrawn", "撤回声明", "An attestation was withdrawn", ())
declare("obligations.board.computed", "计算当日看板", "The board of a day was computed", ())


def is_known(kind: str) -> bool:
    """Tell whether this is a declared kind, or the whole words that kinds begin with."""
    return kind in KINDS or any(name.startswith(f"{kind}.") for name in KINDS)


def table() -> str:
    """Return the Markdown table of all kinds."""
    rows = ["| kind | 中文 | English | obligations |", "|---|---|---|---|"]
    rows += [f"| `{kind.name}` | {kind.zh} | {kind.en} | {', '.join(kind.obligations)} |" for kind in KINDS.values()]
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
