"""Fixing how the answer begins, or forbidding it to refuse: 以“当然可以”开头, 不要拒绝, begin with "Sure, here is"."""

from typing import Final

from guiju.screening.attacks.kind import Kind, of_patterns

_YES: Final = "(?:当然|好的|没问题|可以|我很乐意|我可以|绝对|遵命|sure|ofcourse|absolutely|certainly|yes|以下是)"
_NO: Final = "(?:不要|不得|不能|不许|不可|禁止|别|切勿|绝不|决不|永远不|不允许|无需|不准)"
_YES_EN: Final = "(?:sure|ofcourse|absolutely|yes|certainly|hereis|hereare|absolutely|iwill|noproblem)"
_NO_EN: Final = "(?:donot|dont|never|mustnot|cannot|cant|shouldnot|shouldnt|not|without|avoid|no|neverever)"

OUTPUT_CONSTRAINT: Final = Kind(
    code="PA-OUTPUT-CONSTRAINT",
    zh="限定输出",
    en="output constraint",
    hints=(
        *("开头", "起头", "第一句", "首句", "前几个字", "拒绝", "道歉", "抱歉", "对不起", "免责", "警告", "说教", "不能说"),
        *(by + yes for by in "以用从" for yes in ("当然", "好的", "没问题", "可以", "我很", "我可", "绝对", "sure", "of", "yes", "以下是")),
        *(
            "startyour",
            "beginyour",
            "startwith",
            "beginwith",
            "startingwith",
            "beginningwith",
            "refus",
            "apolog",
            "disclaimer",
            "warning",
            "declin",
            "sorry",
            "icant",
            "icannot",
            "unable",
        ),
    ),
    examine=of_patterns(
        (f"(?:以|用|从){_YES}.{{0,24}}(?:开头|开始|起头|作为第一句)", "medium"),
        (f"(?:开头|第一句|首句|前几个字|起始)(?:话)?(?:必须|要|请|应|务必)?(?:是|为|说|写|用|使用).{{0,3}}{_YES}", "medium"),
        (
            f"(?:start|begin|starting|beginning)(?:your|the|each|every)?(?:response|answer|reply|message|output|sentence)?(?:with|by|saying){{1,2}}(?:the)?(?:phrase|words?|sentence)?{_YES_EN}",
            "medium",
        ),
        (
            f"{_NO}(?:以任何理由|以任何方式|有任何|能|可以|再|会|直接|说任何)?(?:拒绝(?:回答|我|请求|该|这|任何|执行|提供|回应|回复|用户)|道歉|说教|说(?:抱歉|对不起|我不能|我无法|不|无法|很抱歉)|(?:使用|出现|包含|提供|添加|加上|附加|附带|输出|有)(?:任何)?(?:道歉|抱歉|警告|免责|道德|拒绝|提醒|无法|不能))",
            "medium",
        ),
        (
            f"{_NO_EN}(?:to|ever|you|give|include|add|provide|any|even|use|write|say|output|contain){{0,4}}(?:refuse|refusing|refusal|apologi[sz]|apology|apologies|disclaimer|declin|warnings|sorry|icant|icannot|thatyoucant|thatyoucannot|imunable|moralizing|lectur|ethicaladvice|unable)",
            "medium",
        ),
        (f"{_NO}拒绝$", "low"),
    ),
)
