"""Taking back what a model was told before: 忽略以上所有指令, ignore all previous instructions."""

from typing import Final

from guiju.screening.attacks.kind import Kind, of_patterns

_DROP: Final = "(?:忽略|忽视|无视|忘记|忘掉|忘了|抛开|抛弃|不用管|不要管|别管|不要理会|不必理会|不理会|跳过|丢弃|覆盖|推翻|取消|撤销|清除|不再遵守|不要遵守|不必遵守|不再遵循|不要遵循|违背|绕过)"
_BEFORE: Final = "(?:之前|以前|以上|上面|上述|上文|前面|前文|此前|先前|刚才|原来|原有|原本|最初|初始|系统|开发者|预设|内置|已有|你的|你被|给你|对你|我给|你所)"
_RULES: Final = "(?:指令|指示|命令|提示词|提示|规则|设定|设置|约束|限制|准则|守则|系统消息|要求|规定|原则|安全策略)"
_DROP_EN: Final = "(?:ignore|disregard|forget|override|bypass|neglect|discard)"
_FILL_EN: Final = "(?:all|any|every|the|your|my|these|those|of|and|other|about|what|everything|previous|prior|above|earlier|preceding|foregoing|initial|original|existing|former|past|system|safety|given|ethical|content){1,7}"
_RULES_EN: Final = "(?:instruction|prompt|direction|directive|guideline|rule|command|polic|programming|constraint|restriction|guardrail)"

INSTRUCTION_OVERRIDE: Final = Kind(
    code="PA-INSTRUCTION-OVERRIDE",
    zh="撤销指令",
    en="instruction override",
    hints=(
        *(
            "忽略",
            "忽视",
            "无视",
            "忘记",
            "忘掉",
            "忘了",
            "抛开",
            "抛弃",
            "不用管",
            "不要管",
            "别管",
            "理会",
            "跳过",
            "丢弃",
            "覆盖",
            "推翻",
            "取消",
            "撤销",
            "清除",
        ),
        *(
            "遵守",
            "遵循",
            "违背",
            "绕过",
            "作废",
            "失效",
            "新的指令",
            "新指令",
            "停止",
            "不要回答",
            "不用回答",
            "不要翻译",
            "不重要",
            "无关",
            "是错的",
        ),
        *("stopanswer", "stopfollow", "stoptransl", "donotanswer", "dontanswer", "donotfollow", "dontfollow", "donottrans", "donotobey"),
        *("ignore", "disregard", "forget", "override", "bypass", "neglect", "discard", "newinstruction"),
    ),
    examine=of_patterns(
        (f"{_DROP}.{{0,6}}{_BEFORE}.{{0,8}}{_RULES}", "high"),
        (f"{_DROP_EN}{_FILL_EN}{_RULES_EN}", "high"),
        (f"(?:以上|之前|前面|上述|先前|原来|所有).{{0,6}}{_RULES}.{{0,4}}(?:作废|无效|失效|取消|不算|忽略|忘掉)", "high"),
        ("(?:从现在起|从现在开始|接下来|以下是).{0,10}(?:新的指令|新指令|新的规则|新的系统)", "medium"),
        (f"{_DROP}.{{0,4}}(?:所有|一切|任何|全部).{{0,6}}{_RULES}", "medium"),
        (f"(?:不要|不必|无需|不用|别|停止)(?:再)?(?:遵守|遵循|执行|服从|按照).{{0,6}}{_BEFORE}.{{0,8}}{_RULES}", "medium"),
        (
            f"{_DROP}(?:掉|了)?(?:我)?(?:之前|以上|上面|上述|上文|前面|前文|刚才|前述).{{0,4}}(?:内容|的话|文字|句子|问题|任务|对话|说的|所有|一切)",
            "low",
        ),
        (
            "(?:上面|前面|之前|以上|刚才).{0,6}(?:的话|内容|文字|句子|问题|任务|说的).{0,4}(?:忽略|忽视|无视|忘掉|忘记|不用管|别管|不要管)",
            "low",
        ),
        (
            "(?:停止|不要|不用|无需|不必|别)(?:再|去)?(?:回答|理会|考虑|关注|管|执行|处理|翻译|继续|完成).{0,4}(?:上面|以上|前面|之前|上述|刚才)",
            "medium",
        ),
        (
            "(?:上面|以上|前面|之前|上述|刚才)(?:的|这些|那些|所有|一切|我)?.{0,6}(?:都)?(?:是错的|不重要|不需要|无关|不用回答|不要回答|是玩笑|是假的)",
            "low",
        ),
        (
            "(?:stop|donot|dont)(?:answer|follow|obey|translat|execut|do)(?:ing)?(?:the|any|my|your)?(?:above|previous|prior|earlier|original)",
            "medium",
        ),
        ("(?:forget|ignore|disregard)(?:everything|all|anything)(?:that)?(?:you|i|we|above|before|said|was|were|have|has)", "medium"),
        ("(?:here|these|the)(?:are|is)(?:your|the|my)?newinstructions?", "medium"),
    ),
)
