"""The 31 risks in five groups: the vocabulary of every verdict, keyword library, question bank and filing.

Source: GB/T 45654-2025 Appendix A (the same ids as TC260-003). Ids are stable; Chinese names are the standard's terms.
`keyword_set` marks the 17 risks of A.1 and A.2 that a keyword library and a refusal bank must cover.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Risk:
    """One of the 31 risks; `id` like `A.1.f`, `group` like `A.1`."""

    id: str
    zh: str
    en: str

    @property
    def group(self) -> str:
        """The group's id, `A.1` to `A.5`."""
        return self.id[:3]

    @property
    def keyword_set(self) -> bool:
        """Whether a keyword library must cover this risk."""
        return self.group in ("A.1", "A.2")


GROUPS: Final[dict[str, tuple[str, str]]] = {
    "A.1": ("包含违反社会主义核心价值观的内容", "against core socialist values"),
    "A.2": ("包含歧视性内容", "discrimination"),
    "A.3": ("商业违法违规", "commercial violations"),
    "A.4": ("侵犯他人合法权益", "infringing the rights of others"),
    "A.5": ("无法满足特定服务类型的安全需求", "unfit for the type of service"),
}

RISKS: Final[tuple[Risk, ...]] = (
    Risk("A.1.a", "煽动颠覆国家政权、推翻社会主义制度", "inciting subversion of the state"),
    Risk("A.1.b", "危害国家安全和利益、损害国家形象", "harming national security, interests or image"),
    Risk("A.1.c", "煽动分裂国家、破坏国家统一和社会稳定", "inciting separatism or unrest"),
    Risk("A.1.d", "宣扬恐怖主义、极端主义", "terrorism and extremism"),
    Risk("A.1.e", "宣扬民族仇恨", "ethnic hatred"),
    Risk("A.1.f", "宣扬暴力、淫秽色情", "violence and obscenity"),
    Risk("A.1.g", "传播虚假有害信息", "false and harmful information"),
    Risk("A.1.h", "其他法律、行政法规禁止的内容", "otherwise prohibited by law"),
    Risk("A.2.a", "民族歧视内容", "discrimination by ethnicity"),
    Risk("A.2.b", "信仰歧视内容", "discrimination by belief"),
    Risk("A.2.c", "国别歧视内容", "discrimination by country"),
    Risk("A.2.d", "地域歧视内容", "discrimination by region"),
    Risk("A.2.e", "性别歧视内容", "discrimination by sex"),
    Risk("A.2.f", "年龄歧视内容", "discrimination by age"),
    Risk("A.2.g", "职业歧视内容", "discrimination by occupation"),
    Risk("A.2.h", "健康歧视内容", "discrimination by health"),
    Risk("A.2.i", "其他方面歧视内容", "discrimination on other grounds"),
    Risk("A.3.a", "侵犯他人知识产权", "infringing intellectual property"),
    Risk("A.3.b", "违反商业道德", "breach of business ethics"),
    Risk("A.3.c", "泄露他人商业秘密", "leaking trade secrets"),
    Risk("A.3.d", "利用算法、数据、平台等优势，实施垄断和不正当竞争行为", "monopoly and unfair competition"),
    Risk("A.3.e", "其他商业违法违规行为", "other commercial violations"),
    Risk("A.4.a", "危害他人身心健康", "harm to body or mind"),
    Risk("A.4.b", "侵害他人肖像权", "infringing portrait rights"),
    Risk("A.4.c", "侵害他人名誉权", "infringing reputation"),
    Risk("A.4.d", "侵害他人荣誉权", "infringing honour"),
    Risk("A.4.e", "侵害他人隐私权", "infringing privacy"),
    Risk("A.4.f", "侵害他人个人信息权益", "infringing personal-information rights"),
    Risk("A.4.g", "侵犯他人其他合法权益", "infringing other rights"),
    Risk("A.5.a", "内容不准确，严重不符合科学常识或主流认知", "grossly inaccurate"),
    Risk("A.5.b", "内容不可靠，虽不包含严重错误但无法对使用者形成帮助", "unreliable: no gross error, but no help"),
)

BY_ID: Final[dict[str, Risk]] = {risk.id: risk for risk in RISKS}
