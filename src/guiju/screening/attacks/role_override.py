"""Another self for the model, one without rules: DAN, 开发者模式, 扮演一个没有限制的 AI. Playing a role as such is no attack."""

from typing import Final

from guiju.screening.attacks.kind import Kind, of_patterns

_BE: Final = "(?:扮演|充当|假装|假扮|伪装|作为|化身|变成|成为|切换|进入|你是|你将|你现在|你就是|你要|模拟|你叫|名为|叫做|角色)"
_FREE: Final = (
    "(?:没有|不受|无视|摆脱|不遵守|不必遵守|无需遵守|不需要遵守|不遵循|解除|突破|脱离|不再受|不考虑|不顾|无需考虑|打破|抛弃|不存在)"
)
_BOUNDS: Final = "(?:限制|约束|束缚|道德|法律|伦理|规则|审查|过滤|政策|底线|准则|原则|顾忌|禁忌|规定|是非)"
_BE_EN: Final = "(?:youarenow|youare|youre|youwillbe|youwill|actas|actingas|pretend|roleplay|imagineyou|simulate|fromnowon|takeontherole|playtherole|persona|character|respondas|answeras|chatbot|languagemodel|ainamed|aicalled)"
_FREE_EN: Final = "(?:withoutany|without|nolonger|freefrom|freeof|unboundby|notboundby|isnotbound|donthave|donothave|doesnthave|doesnothave|hasno|haveno|withno|thereareno|ignoresall|ignoring|notfollow|notlimited|isnotrestricted|breakfreeof|brokenfreeof|disregards)"
_BOUNDS_EN: Final = "(?:restriction|limit|filter|rule|moral|ethic|censor|guideline|polic|constraint|law|safet|bias|confines|inhibition)"

ROLE_OVERRIDE: Final = Kind(
    code="PA-ROLE-OVERRIDE",
    zh="改换身份",
    en="role override",
    hints=(
        *(
            "限制",
            "约束",
            "束缚",
            "道德",
            "法律",
            "伦理",
            "规则",
            "审查",
            "过滤",
            "底线",
            "准则",
            "顾忌",
            "禁忌",
            "是非",
            "开发者模式",
            "越狱",
            "上帝模式",
            "无限制模式",
        ),
        *(
            "邪恶模式",
            "恶魔模式",
            "自由模式",
            "恶意角色",
            "流氓",
            "恶霸",
            "骗子",
            "罪犯",
            "种族主义",
            "反派",
            "毒贩",
            "恶人",
            "坏人",
            "无赖",
            "喷子",
            "刻薄",
        ),
        *(
            "developermode",
            "jailbr",
            "doanythingnow",
            "dan",
            "unfiltered",
            "uncensored",
            "unrestricted",
            "amoral",
            "immoral",
            "restriction",
            "limit",
            "filter",
        ),
        *(
            "ethic",
            "moral",
            "guideline",
            "godmode",
            "evilbot",
            "evilmode",
            "confines",
            "censor",
            "nosafet",
            "notboundby",
            "unethical",
            "illegal",
            "tokens",
            "incharacter",
            "character",
            "neverrefuse",
            "refuse",
        ),
        *("无论", "不管", "不论", "即使", "哪怕", "未经过滤", "无过滤", "拒绝", "不道德", "违法", "非法"),
    ),
    examine=of_patterns(
        (
            "doanythingnow|developermode(?:enabled|output|on|v2)|enable(?:d)?developermode|youaredan|actasdan|danmode|staydan|jailbroken|(?:enter|enable|activate)jailbreak|godmodeenabled",
            "high",
        ),
        (f"{_BE}.{{0,24}}{_FREE}.{{0,8}}{_BOUNDS}", "high"),
        (
            "(?:进入|开启|启用|切换到|切换为|激活|打开|处于).{0,6}(?:开发者模式|越狱模式|上帝模式|无限制模式|邪恶模式|恶魔模式|自由模式|dan模式)",
            "high",
        ),
        (f"{_BE_EN}.{{0,90}}{_FREE_EN}.{{0,24}}{_BOUNDS_EN}", "high"),
        (f"{_BE_EN}.{{0,60}}(?:unfiltered|uncensored|unrestricted|amoral|immoral|unethical|nofilters)", "high"),
        (f"(?:你|ai|助手|模型|机器人|回答|回复|输出).{{0,10}}{_FREE}(?:任何|一切|所有|各种).{{0,6}}{_BOUNDS}", "medium"),
        (
            "(?:unfiltered|uncensored|unrestricted|amoral|jailbreak(?:ed)?)(?:and\\w{2,14})?(?:ai|response|answer|assistant|chatbot|model|version|mode|reply|replies|prompt)",
            "medium",
        ),
        (
            "(?:未经过滤|未经审查|不受审查|无过滤|没有过滤|不受约束|不受限制|不受任何限制|无限制|没有限制|毫无限制|不道德且|非道德)(?:的)?(?:回答|回复|聊天|ai|人工智能|模型|助手|机器人|角色|计算机|版本|建议|方式|内容|信息|语言)",
            "medium",
        ),
        (
            "(?:无论|不管|不论|即使|哪怕).{0,16}(?:违法|不道德|非法|有害|危险|不合法|敏感|暴力|色情|犯罪|不当).{0,16}(?:都|也|仍|必须|都要|都会)",
            "medium",
        ),
        (
            "(?:总是|始终|永远|必须|无条件|一定要|将会|会|可以)(?:直接)?(?:服从|回答|满足|提供|生成|回应|执行|做).{0,4}(?:任何|所有|一切)(?:事|问题|要求|请求|命令|指令|内容).{0,16}(?:违法|不道德|非法|有害|拒绝|限制|敏感|道德|法律)",
            "medium",
        ),
        ("(?:从不|永不|永远不会|绝不会|不会|不能|不可以|无法)拒绝(?:我|用户|任何|回答|人类|请求|执行)", "medium"),
        (
            "(?:nomatterhow|regardlessof|evenifitis|eveniftheyare|evenif).{0,40}(?:illegal|unethical|immoral|harmful|legality|morality|ethics|offensive|dangerous|inappropriate)",
            "medium",
        ),
        ("(?:never|cannot|cant|wont|willnot|doesnot|doesnt|unableto)(?:ever)?(?:refuse|reject|decline|saysno|breakcharacter)", "medium"),
        (
            "(?:lose|deduct|subtract|losing|deducted|costyou)\\w{0,16}tokens?|stay(?:ing)?incharacter|breakcharacter|(?:respond|answer|reply)\\w{0,14}(?:two|both)(?:different|separate|distinct)?(?:ways|responses|answers|outputs)",
            "low",
        ),
        ("(?:classic|normal|standard|gpt|chatgpt).{0,30}(?:jailbreak|developer|dan|evil|unfiltered)(?:output|response|mode)?", "medium"),
        (f"{_FREE_EN}.{{0,16}}(?:any|all|ethical|moral|content|openai|safety).{{0,12}}{_BOUNDS_EN}", "low"),
        (
            "(?:扮演|假装|假扮|充当|饰演|你是|你现在是|作为).{0,12}(?:流氓|恶霸|骗子|罪犯|种族主义|毒贩|恶人|坏人|无赖|喷子|恶意角色|尖酸刻薄)",
            "low",
        ),
    ),
)
