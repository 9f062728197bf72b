"""Making a model give away what it was told: its system prompt, its rules, what stands above."""

from typing import Final

from guiju.screening.attacks.kind import Kind, of_patterns

_TELL: Final = "(?:告诉|输出|显示|打印|复述|重复|重述|泄露|透露|公开|写出|写下|列出|给出|展示|翻译|总结|返回|说出|说说|发给|提供|还原|抄写|朗读|透漏|看一下|看看|告知)"
_OWN: Final = "(?:系统提示|系统消息|系统指令|初始指令|初始设定|初始提示|内部指令|内部规则|隐藏指令|隐藏提示|预设指令|预设提示|预设词|原始指令|原始提示|最初的指令|最初的提示|你的指令|你的提示|你的设定|你的预设|你的规则|你的prompt|你收到的(?:指令|提示|设定)|给你的(?:指令|提示|设定|规则)|(?:上面|前面|之前|以上|上述)的?(?:prompt|指令|提示))"
_ABOVE: Final = "(?:(?:以上|上面|前面|之前)的?(?:全部|所有|完整)?(?:内容|文字|的话|对话|信息|句子|文本))"
_TELL_EN: Final = "(?:reveal|show|print|output|repeat|display|tellme|giveme|whatis|whatare|whatwas|whatwere|share|disclose|dump|leak|translate|summari[sz]e|spell|recite|return|expose|copy|paste|provide|describe|encode|convert|reproduce|quote)"
_OWN_EN: Final = "(?:(?:your|the|full|entire|exact|complete|original|initial|hidden|secret|internal|above|underlying)(?:system|hidden|initial|original|secret|internal|base|full|entire|exact|core|verbatim|starting){0,2}(?:prompt|instructions?|message|guidelines|directives?|configuration|programming|rules)|everythingabove|(?:text|words|content|message|lines)above|previousinstructions|instructionsyou(?:were|have|are|received|got))"

PROMPT_EXTRACTION: Final = Kind(
    code="PA-PROMPT-EXTRACTION",
    zh="套取提示词",
    en="prompt extraction",
    hints=(
        *(
            "提示词",
            "系统提示",
            "系统消息",
            "指令",
            "初始设定",
            "内部规则",
            "预设",
            "设定",
            "你的规则",
            "你的提示",
            "给你的规则",
            "上面的",
            "前面的",
            "以上的",
            "之前的",
            "的提示",
        ),
        *(
            "上面全部",
            "上面所有",
            "上面内容",
            "前面内容",
            "以上内容",
            "以上全部",
            "以上所有",
            "之前内容",
            "之前所有",
            "前面所有",
            "以上文",
            "以上对",
            "上面对",
            "前面对",
            "以上信",
        ),
        *("刚才", "刚刚", "最初", "一开始", "上一句", "上一条", "上一个", "前一句", "前一个", "前一条", "上句", "前面", "上面"),
        *(
            "prompt",
            "instruction",
            "systemmessage",
            "everythingabove",
            "textabove",
            "wordsabove",
            "contentabove",
            "messageabove",
            "linesabove",
            "guidelines",
            "directive",
        ),
        *("yourprogramming", "yourconfiguration", "yourrules", "abovemessage", "hiddenmessage", "initialmessage", "therules"),
    ),
    examine=of_patterns(
        (f"{_TELL}.{{0,14}}{_OWN}", "high"),
        (f"{_OWN}.{{0,14}}(?:是什么|是啥|有哪些|完整|原文|逐字|一字不|告诉我|输出|重复|复述|发给我|显示|打印|翻译|写出)", "high"),
        (f"{_TELL_EN}.{{0,24}}{_OWN_EN}", "medium"),
        (f"{_OWN_EN}.{{0,30}}(?:verbatim|wordforword|infull|codeblock|exactly)", "medium"),
        (
            "(?:what|which)(?:instructions?|prompt|rules|guidelines)(?:were|was|are|did|have)you(?:been)?(?:given|told|get|receive|follow)",
            "medium",
        ),
        (f"(?:重复|复述|输出|打印|重述|抄写|一字不差|逐字|原样).{{0,8}}{_ABOVE}", "medium"),
        (f"{_ABOVE}.{{0,8}}(?:是什么|重复一遍|复述|原样输出|逐字|打印|一字不)", "low"),
        (
            "(?:上|前|之前|刚才|刚刚|最初|一开始|开头)(?:面)?(?:的|我)?(?:一)?(?:个|段|条|句)?(?:的)?(?:prompt|指令|提示|提示词|任务|要求|设定|命令).{0,8}(?:是什么|是啥|告诉|复述|重复|输出|写出|展示|描述|说出|列出|发|回顾|翻译)",
            "medium",
        ),
        (
            "(?:告诉|复述|重复|输出|写出|展示|描述|说出|列出|回顾|还原|翻译|透露|泄露).{0,10}(?:上|前|之前|刚才|刚刚|最初|一开始|开头)(?:面)?(?:的|我)?(?:一)?(?:个|段|条|句)?.{0,6}(?:prompt|指令|提示|任务|要求|设定|命令|说的话|的话|句话)",
            "low",
        ),
        (
            "(?:开发者|程序员|工程师|公司|系统|openai|管理员|创造者).{0,6}(?:给|对|为|让|要求)你.{0,6}(?:指令|提示|设定|规则|限制|要求|prompt)",
            "low",
        ),
        ("(?:你|您)(?:的)?(?:prompt|提示词|提示|指令|预设|设定)(?:是|有|里|中|包含|内容)", "low"),
        ("(?:我|上)(?:之前|前面|刚才|上面)?(?:让|叫|要求|对你说|给你)(?:你)?(?:说|做|写)?了?(?:什么|哪些)(?:指令|提示|话)", "low"),
    ),
)
