"""Whether answers carry their labels: judged from the service's settings in force and its latest answers. Read only.

Source: Measures Art. 12; Labelling Measures Arts. 4 and 5.
"""

from datetime import datetime, timedelta
from typing import Final

from guiju.gateway.checks import NOT_IN_FORCE, in_force
from guiju.labelling.explicit import holds_elements
from guiju.labelling.implicit import is_provider_code
from guiju.labelling.supply.flow import grants_of
from guiju.labelling.supply.models import Supply
from guiju.obligations.finding import Case, Check, Finding, Proof
from guiju.obligations.values import Words
from guiju.records.checks import latest_of, latest_records
from guiju.records.recent import Recent

SUPPLIED: Final = "labelling.unlabelled.supplied"
_TOLD: Final = frozenset({"suffix", "prefix", "both", "interface", "file", "waived", "people"})
LONGEST_ANSWER: Final = timedelta(hours=1)
"""What was asked for while a grant stood may end after it."""


def _explicit(answer: Recent) -> str:
    """Return how people were told of an answer: `people` where people wrote it, empty where they were not told."""
    metadata = answer.metadata
    if metadata.get("label"):
        return str(metadata["label"].get("explicit", ""))
    return "people" if metadata.get("approved_answer", {}).get("id") is not None else ""


def answers_labelled(case: Case) -> Finding:
    """Judge GAI-12.1: the wording is a label, and each of the latest answers says how people were told."""
    found = in_force(case)
    if found is None:
        return NOT_IN_FORCE
    service, proof = found
    if not holds_elements(service.label.text):
        return Finding("breach", Words("标识文字缺少要素", "The wording of the label lacks an element"), (proof,))
    answers = [each for each in latest_records(case) if each.kind == "gateway.answer.delivered"]
    told = [(each, _explicit(each)) for each in answers]
    bare = [each for each, explicit in told if explicit not in _TOLD]
    if bare:
        said = Words(
            f"最近 {len(answers)} 个回答中有 {len(bare)} 个没有标识", f"{len(bare)} of the latest {len(answers)} answers have no label"
        )
        return Finding("breach", said, (Proof("record", bare[0].id), proof))
    if not answers:
        return Finding("due", Words("还没有送出回答", "No answer was delivered yet"), (proof,))
    shown = sum(explicit == "interface" for _, explicit in told)
    evidence = (Proof("record", answers[0].id), proof)
    if service.label.mode == "interface" and shown:
        said = Words(
            f"最近 {len(answers)} 个回答中有 {shown} 个由界面展示标识；应用的界面是否展示，须由人查看",
            f"{shown} of the latest {len(answers)} answers are labelled by the interface; whether the application shows it, a person must see",
        )
        return Finding("needs_person", said, evidence)
    said = Words(
        f"最近 {len(answers)} 个回答均带标识" + (f"，其中 {shown} 个由界面展示" if shown else ""),
        f"Each of the latest {len(answers)} answers carries its label" + (f", {shown} of them by the interface" if shown else ""),
    )
    return Finding("met", said, evidence)


def files_labelled(case: Case) -> Finding:
    """Judge GAI-12.2: the provider code is one, and each of the latest files left with a label that was read back."""
    found = in_force(case)
    if found is None:
        return NOT_IN_FORCE
    service, proof = found
    if not is_provider_code(service.label.content_producer):
        return Finding("breach", Words("没有填写 27 位服务提供者编码", "The 27-character provider code is not filled in"), (proof,))
    records = latest_of(case, "gateway.media.delivered")
    files = [(each, each.metadata.get("media", ())) for each in records]
    bare = [each for each, media in files if not media or not all(file.get("produce_id") and file.get("sha256") for file in media)]
    if bare:
        return Finding(
            "breach", Words("有文件没有标识的记录", "A file left without its label on record"), (Proof("record", bare[0].id), proof)
        )
    if not records:
        return Finding("due", Words("编码正确；还没有送出文件", "The code is well formed; no file was delivered yet"), (proof,))
    said = Words(
        f"最近 {len(records)} 次送出的文件均已写入并回读标识",
        f"The files of the latest {len(records)} deliveries carry labels that were read back",
    )
    return Finding("met", said, (Proof("record", records[0].id), proof))


def supplies_logged(case: Case) -> Finding:
    """Judge GAI-12.5: each delivery without the explicit label names a grant of this service that another person gave and that had begun and not ended;
    a service whose profile says that there is none has none.
    """
    supplied = latest_of(case, SUPPLIED)
    if case.answers.get("unlabelled") == ("no",):
        if supplied:
            said = Words("画像称不提供无显式标识的内容，却有提供", "The profile says that none is supplied, and some was")
            return Finding("breach", said, (Proof("record", supplied[0].id),))
        return Finding(
            "met",
            Words("画像声明不提供，也没有提供过", "The profile states that there is none, and there was none"),
            (Proof("profile", case.profile),),
        )
    if not supplied:
        return Finding("due", Words("尚未提供过不加显式标识的内容", "Nothing was supplied without the explicit label yet"))
    grants = grants_of(case.service, {str(each.metadata.get("supply")) for each in supplied})
    strange = [each for each in supplied if not _granted(grants.get(str(each.metadata.get("supply"))), each.at)]
    if strange:
        return Finding("breach", Words("有提供没有对应的批准", "A delivery names no grant"), (Proof("record", strange[0].id),))
    said = Words(
        f"最近 {len(supplied)} 次提供均有批准和对象日志，涉及 {len(grants)} 项批准",
        f"Each of the latest {len(supplied)} deliveries has its log and one of {len(grants)} grants",
    )
    return Finding("met", said, (Proof("record", supplied[0].id),))


def _granted(grant: Supply | None, at: datetime) -> bool:
    """Tell whether this delivery lay within this grant."""
    if grant is None or grant.expires_at is None or grant.decided_at is None:
        return False
    ended = min(grant.expires_at, grant.ended_at or grant.expires_at)
    return grant.decided_at <= at < ended + LONGEST_ANSWER


def exports_labelled(case: Case) -> Finding:
    """Judge GAI-12.3: each of the latest exports carries its words, or had them waived."""
    exports = latest_of(case, "gateway.export.delivered")
    if not exports:
        return Finding("due", Words("还没有导出过", "Nothing was exported yet"))
    bare = [each for each in exports if each.metadata.get("export", {}).get("explicit") not in ("text", "waived")]
    if bare:
        return Finding("breach", Words("有导出没有标识", "An export carries no label"), (Proof("record", bare[0].id),))
    said = Words(f"最近 {len(exports)} 次导出均带标识", f"Each of the latest {len(exports)} exports carries its label")
    return Finding("met", said, (Proof("record", exports[0].id),))


CHECKS: Final[dict[str, Check]] = {
    "GAI-12.1": answers_labelled,
    "GAI-12.2": files_labelled,
    "GAI-12.3": exports_labelled,
    "GAI-12.5": supplies_logged,
}
