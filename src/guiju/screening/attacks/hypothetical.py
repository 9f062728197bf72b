"""A story or a supposition in which no law holds, wrapped around a request. A story as such is no attack."""

from typing import Final

from guiju.screening.attacks.kind import Kind, of_patterns

_STORY: Final = "(?:假设|假如|如果|想象|设想|虚构|架空|平行世界|平行宇宙|在一个|小说|剧本|游戏|梦境|梦里|故事|思想实验|科幻)"
_NONE: Final = "(?:没有(?:任何)?|不存在|不受|无需遵守|不必遵守|不用遵守|不考虑|抛开|摒弃|取消了|废除了|都合法|不违反)"
_LAW: Final = "(?:法律|道德|伦理|限制|约束|审查|底线|惩罚|犯罪这|规则)"
_STORY_EN: Final = (
    "(?:hypothetical|fiction|fictional|imagine|inaworld|novel|movie|dream|parallel|alternateuniverse|thoughtexperiment|story|scifi)"
)

HYPOTHETICAL: Final = Kind(
    code="PA-HYPOTHETICAL",
    zh="假设包装",
    en="hypothetical wrapper",
    hints=(
        *(
            "法律",
            "道德",
            "伦理",
            "限制",
            "约束",
            "审查",
            "底线",
            "惩罚",
            "犯罪这",
            "规则",
            "多层",
            "嵌套",
            "每一层",
            "每层",
            "层层",
            "个层",
            "层的",
            "层场",
            "层梦",
            "层故",
            "层科",
        ),
        *("laws", "nolaw", "ethic", "moral", "rules", "restriction", "limits", "consequence", "layer"),
    ),
    examine=of_patterns(
        (f"{_STORY}.{{0,40}}{_NONE}.{{0,8}}{_LAW}", "low"),
        (
            f"{_STORY_EN}.{{0,90}}(?:without|no|freefrom|freeof|notboundby|where)(?:any|no)?.{{0,10}}(?:laws|law|ethic|moral|rules|restriction|limits|consequence)",
            "low",
        ),
        ("(?:[三四五六七八九十3-9]|多|几|数)(?:个)?层.{0,40}(?:每一层|每层|每个角色|层层|下一层|逐层|创建|构建|嵌套)", "low"),
        ("(?:创建|构建|创造|编写|写).{0,16}(?:嵌套|套娃|多层|[三四五六七八九3-9]层).{0,10}(?:场景|梦|故事|科幻|情节|世界)", "low"),
        (
            "(?:create|write|build).{0,40}(?:morethan|with|of)?(?:\\d|three|four|five|six|seven)layers?.{0,60}(?:scene|story|dream|character|layer)",
            "low",
        ),
    ),
)
