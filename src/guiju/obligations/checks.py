"""Whether the scope of a service was determined, and is still determined. Source: Measures Arts. 2, 17 and 22; SEC18 Art. 2."""

from datetime import timedelta
from typing import Final

from guiju.obligations import flow
from guiju.obligations.finding import Case, Check, Finding, Proof
from guiju.obligations.values import Words

RENEW_WITHIN: Final = timedelta(days=30)
_FAILS: Final = {
    "none": Words("没有签署适用性判断书", "No scope determination was signed"),
    "altered": Words("判断书或画像与签名的内容不符，须重新签署", "The determination or its profile is not what was signed; sign it anew"),
    "profile_changed": Words("签署之后服务画像已变更，须重新判断", "The profile changed after it was signed; determine the scope anew"),
    "law_changed": Words(
        "签署之后义务目录已更新，须重新判断", "The catalogue of the law changed after it was signed; determine the scope anew"
    ),
}


def scope_determined(case: Case) -> Finding:
    """Judge GAI-2.1: met while a signed determination holds; due in its last 30 days."""
    found, holds = flow.determination_of(case.service, case.now)
    proof = (Proof("determination", found.id),) if found else ()
    if found is None or holds in _FAILS:
        return Finding("breach" if holds in ("none", "altered") else "overdue", _FAILS[holds], proof)
    until = found.expires_at
    if holds == "expired":
        return Finding("overdue", Words("适用性判断书已满十二个月", "The scope determination is twelve months old"), proof, until)
    said = Words(f"判断书由 {found.made_by} 签署", f"Signed by {found.made_by}")
    return Finding("due" if until - case.now <= RENEW_WITHIN else "met", said, proof, until)


def public_opinion_determined(case: Case) -> Finding:
    """Judge GAI-17.1: the question of public-opinion attributes has an answer, and the determination with it is signed."""
    if "opinion" not in case.answers:
        return Finding(
            "breach", Words("画像没有回答是否具有舆论属性", "The profile does not say whether the service has public-opinion attributes")
        )
    return scope_determined(case)


CHECKS: Final[dict[str, Check]] = {"GAI-2.1": scope_determined, "GAI-17.1": public_opinion_determined}
