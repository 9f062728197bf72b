"""Every setting of `guiju.toml`, declared once: what it is, which values are right, which clause asks for it."""

import typing
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from guiju.core.settings import Calendar, Console, Database, Ledger, Records, Retention, Screening, Server, Verify
from guiju.gateway.bundle import Guard, GuardUse, Limits, Media, Service, Upstream
from guiju.labelling.values import ExplicitStyle, Label
from guiju.records.values import BY_NAME
from guiju.screening.values import Policy


@dataclass(frozen=True, slots=True)
class Form:
    """Texts that match `pattern` as a whole."""

    pattern: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Span:
    """Integers from `low` to `high`."""

    low: int
    high: int
    unit: str = ""


TEXT: Final = Form(".*", "文本", "text")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. Its type and default are those of the field of the struct; `form` says which values are right."""

    name: str
    zh: str
    en: str
    form: Form | Span = TEXT
    required: bool = False
    source: str = ""
    example: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the file: `[path]`, or `[[path]]` when `repeated`."""

    path: str
    struct: type[msgspec.Struct]
    zh: str
    en: str
    settings: tuple[Setting, ...]
    repeated: bool = False
    types: dict[str, Any] = field(init=False, default_factory=dict)
    defaults: dict[str, Any] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.types.update(typing.get_type_hints(self.struct))
        for declared in msgspec.structs.fields(self.struct):
            factory = declared.default_factory
            self.defaults[declared.name] = (
                factory() if factory is not msgspec.NODEFAULT else None if declared.default is msgspec.NODEFAULT else declared.default
            )


_NAME: Final = Form(r"[a-z0-9][a-z0-9-]{0,62}", "小写字母、数字、连字符", "lower-case letters, digits, hyphens")
_ENV: Final = Form(r"([A-Za-z_][A-Za-z0-9_]*)?", "环境变量名", "the name of an environment variable")
_HOST: Final = Form(r"[A-Za-z0-9.:_-]{1,253}", "主机名或 IP 地址", "a host name or an IP address")
_HOSTS: Final = Form(r"\.?[A-Za-z0-9.:_-]{1,252}", "主机名", "host names")
_SITE: Final = Form(r"(https?://[^/\s@?#]+)?", "不带路径的 http(s) 地址", "an http(s) address without a path")
_PROXY: Final = Form(r"(\d{1,3}(\.\d{1,3}){3}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)?", "IP 地址", "an IP address")
_DATABASE: Final = Form(r"(postgresql://[^/\s]+/[^/\s?#]+)?", "postgresql://用户@主机/库名", "postgresql://user@host/name")
_ORIGIN: Final = Form(r"[^\s+]{1,120}", "不含空格和加号的名称", "a name without spaces and plus signs")
_API: Final = Form(
    r"https?://[^/\s@?#]+(/[^\s@?#]*)?", "http(s) 地址，不含密码、问号和井号", "an http(s) address without password, question mark and hash"
)
_TSA: Final = Form(_API.pattern.join(("(", ")?")), _API.zh, _API.en)
_MODEL: Final = Form(r"\S.{0,199}", "模型名", "names of models")
_HASH: Final = Form(r"[0-9a-f]{64}", "64 位小写十六进制", "64 lower-case hexadecimal digits")
_TITLE: Final = Form(r"(?=.*\S)[^\n]{1,60}", "1–60 个字，不换行", "1–60 characters on one line")
_WORDS: Final = Form(r"[^\n]{4,100}", "4–100 个字，不换行", "4–100 characters on one line")
_NOTICE: Final = Form(r"(?s)(?=.*\S).{1,500}", "1–500 个字", "1–500 characters")
_DAY: Final = Form(r"20\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])", "日期，如 2026-10-01", "days such as 2026-10-01")
_PORT: Final = Span(0, 65_535)
_WAIT: Final = Span(1, 3_600_000, "ms")
_LONGEST_DAYS: Final = 36_500


def _kept(name: str) -> Setting:
    """Return the setting of a retention class: never less than the law's minimum."""
    of = BY_NAME[name]
    return Setting(
        f"{name}_days", f"{of.zh}保存的最长天数；不少于 {of.minimum_days} 天。",
        f"{of.en}: days kept at most; not less than {of.minimum_days}.", Span(of.minimum_days, _LONGEST_DAYS, "days"), source=f"{of.basis} [{of.mark}]",
    )  # fmt: skip


TABLES: Final[tuple[Table, ...]] = (
    Table(
        "server", Server, "网关监听的地址。", "Where the gateway listens.",
        (
            Setting("host", "监听地址；0.0.0.0 对外开放，请置于 TLS 之后。", "Address to listen on; 0.0.0.0 opens it to the network: put TLS in front.", _HOST),
            Setting("port", "端口；0 为任意空闲端口。", "Port; 0 takes any free one.", _PORT),
            Setting("workers", "网关进程数；0 为核数减一，至少一个。", "Gateway processes; 0 means all cores but one, at least one.", Span(0, 256)),
        ),
    ),
    Table(
        "console", Console, "门户与控制台。", "Portal and console.",
        (
            Setting("host", "监听地址。", "Address to listen on.", _HOST),
            Setting("port", "端口；0 为任意空闲端口。", "Port; 0 takes any free one.", _PORT),
            Setting("allowed_hosts", "除本机外允许的主机名。", "Host names allowed besides this machine.", _HOSTS, example='["console.example.com"]'),
            Setting("public_url", "公众访问的地址；以 https 开头时 Cookie 只走加密连接。", "Address that people use; with https, cookies travel encrypted only.", _SITE, example='"https://console.example.com"'),
            Setting("proxy", "前面的反向代理的地址：只信它写的 X-Forwarded-For，据以按来源计次；留空则都不信。", "Address of the reverse proxy before it: its X-Forwarded-For alone is believed, for what is counted by address; empty believes none.", _PROXY, example='"127.0.0.1"'),
        ),
    ),
    Table(
        "database", Database, "数据库；留空为数据目录中的 SQLite。", "Database; empty means SQLite in the data folder.",
        (
            Setting("url", "PostgreSQL 地址，不含密码。", "PostgreSQL address, without the password.", _DATABASE, example='"postgresql://guiju@db.example.com/guiju"'),
            Setting("password_env", "存放密码的环境变量名。", "Environment variable that holds the password.", _ENV, example='"GUIJU_DATABASE_PASSWORD"'),
            Setting("password_file", "存放密码的文件。", "File that holds the password."),
        ),
    ),
    Table(
        "ledger", Ledger, "记录账本。", "The ledger of records.",
        (
            Setting("origin", "账本名称，写入每个检查点；启用后请勿更改。", "Name of the log, in every checkpoint; do not change it once in use.", _ORIGIN, example='"example.com/guiju"'),
            Setting("tsa_url", "RFC 3161 时间戳机构的地址；留空则不加时间戳。只访问此地址，不跟随重定向。", "Address of an RFC 3161 time-stamp authority; empty stamps nothing. Only this address is asked, redirects are not followed.", _TSA, example='"https://tsa.example.com/tsr"'),
            Setting("tsa_root_file", "时间戳机构的根证书（PEM，可含多个）；设 tsa_url 时必填。", "Root certificates of the authority (PEM, one or more); required with tsa_url.", example='"tsa-root.pem"'),
            Setting("tsa_interval_minutes", "为最新检查点加盖时间戳的间隔。", "Time between two stamps of the newest checkpoint.", Span(1, 10_080, "minutes")),
        ),
    ),
    Table(
        "records", Records, "封存内容的打开与删除。", "Opening and erasing what is sealed.",
        (
            Setting("opening_people", "打开封存内容需要几人：1 为本人写明理由，2 为另一人批准。", "How many people it takes to open sealed content: 1 gives a reason, 2 needs another person's approval.", Span(1, 2), source="Measures Art. 11"),
            Setting("erasure_people", "删除一个主体的内容需要几人。", "How many people it takes to erase a subject.", Span(1, 2), source="Measures Art. 11; PIPL Art. 47"),
            Setting("request_hours", "申请等待批准的时间；过后失效。", "How long a request waits for approval before it expires.", Span(1, 720, "h")),
            Setting("approval_hours", "批准后可以使用的时间。", "How long an approval can be used.", Span(1, 720, "h")),
            Setting("opening_minutes", "打开一个主体的内容后可以查找和导出的时间。", "How long a subject, once opened, can be searched and exported.", Span(1, 1_440, "min")),
            Setting("review_days", "opening_people 为 2 时，复核人员查看队列内容的许可有效的天数。", "With opening_people = 2: days for which a reviewer's permission to see what is in the queue lasts.", Span(1, 366, "days"), source="Measures Art. 11"),
        ),
    ),
    Table(
        "screening", Screening, "策略与关键词库的复核，审查结果的人工复核。", "Review by people: of policies and keyword libraries, and of what screening did.",
        (
            Setting("policy_people", "启用策略或标准答案库的一个版本需要几人：2 为另一人复核后才能启用。", "How many people it takes to put a version of a policy or of the approved answers in force: 2 needs another person's review first.", Span(1, 2), source="Measures Art. 4"),
            Setting("library_people", "启用一个词库需要几人：1 为本人即可，2 为须先由导入者以外的人审核。", "How many people it takes to put a library in force: 2 needs a review by somebody other than who imported it.", Span(1, 2), source="GB/T 45654-2025 App. B"),
            Setting("library_provenance", "required：有词条没有来源、审核人或审核日期的词库不能启用；optional：只提示。", "required: a library with rows without source, reviewer or day of review is not put in force; optional: it is only told.", source="GB/T 45654-2025 App. B"),
            Setting("library_profile", "核对词库规模与更新周期的标准。", "What size and renewal of the library are measured against.", Form(r"[a-z0-9-]+@[0-9-]+", "标准@版本", "norm@version"), source="GB/T 45654-2025 App. B; TC260-003 8.1", example='"tc260-003@2024-02"'),
            Setting("trial_records", "一次试运行最多读取多少条记录；超过则均匀抽取。", "Records that one dry run of a library reads at most; beyond that a share is drawn evenly.", Span(1, 1_000_000, "records"), source="Measures Art. 11"),
            Setting("review_sample_per_mille", "每千次往来中抽取几次交人复核，不论是否命中；0 不抽样。低、中置信度的命中全部复核。", "How many of a thousand exchanges go to a person, whether or not something was found; 0 draws none. Hits of low and medium confidence all do.", Span(0, 1_000, "‰"), source="Measures Art. 4"),
            Setting("review_second_per_mille", "每千件中有几件由第二人独立复核，以计算一致性。", "How many of a thousand items a second person reviews without seeing the first decision, which gives the agreement.", Span(0, 1_000, "‰")),
            Setting("review_due_hours", "进入队列后应在几个工作小时内复核。", "Working hours in which an item is to be reviewed.", Span(1, 1_000, "h")),
            Setting("review_lease_minutes", "取走一件后可用的时间；过后他人可以取。", "How long an item that was taken stays with the person; after that others may take it.", Span(1, 1_440, "min")),
            Setting("working_day_from", "工作日开始的钟点（北京时间）。", "Hour at which a working day begins, Beijing time.", Span(0, 23, "h")),
            Setting("working_day_until", "工作日结束的钟点；须晚于开始。", "Hour at which it ends; later than its beginning.", Span(1, 24, "h")),
        ),
    ),
    Table(
        "calendar", Calendar, "放假与调休：国务院办公厅历年通知之外的补充。", "Days off and make-up days, beyond the national holiday notices that guiju knows.",
        (
            Setting("days_off", "放假的日子。法定期限跨入尚无通知的年份时会报错，须在此填写。", "Days off. A statutory period that reaches into a year without a notice fails until it is filled in here.", _DAY, source="Measures Arts. 15 and 17", example='["2027-01-01"]'),
            Setting("make_up_days", "调休上班的周末。", "Days of a weekend on which people work.", _DAY, example='["2027-02-06"]'),
        ),
    ),
    Table(
        "retention", Retention, "记录保存多久：每类的上限，不少于法律的下限。", "How long records are kept: the most for each class, never less than the law's least.",
        (
            *map(_kept, ("log", "case", "label", "rule", "rights", "transfer")),
            Setting("content_days", "封存内容保存的最长天数；不长于记录本身。", "Days for which sealed content is kept at most; never longer than its record.", Span(1, _LONGEST_DAYS, "days"), source="PIPL 19, 47; GAI 11 [S]"),
            Setting("case_content_days", "处置与情形的封存内容保存的最长天数。", "The same for the content of measures and cases.", Span(1, _LONGEST_DAYS, "days"), source="GAI 14(2) [S]"),
            Setting("sweeps", "是否每日清除过期的记录与内容：on 或 off。", "Whether what is past its days is removed every day: on or off."),
            Setting("rows_per_s", "清除时每秒最多移除的行数，以免妨碍记录。", "Rows removed in a second at most, so that recording is not disturbed.", Span(10, 1_000_000, "rows")),
        ),
    ),
    Table(
        "verify", Verify, "公众查验页 /verify/ 和接口 /api/verify。", "The public page /verify/ and its API /api/verify.",
        (
            Setting("page", "on 开放，off 关闭。", "on, or off: then there is no such page.", source="Labelling Measures Arts. 5, 6"),
            Setting("urls", "on 允许查验网址：本机会去访问公众给出的公网网址。", "on takes URLs too: this machine then fetches public addresses that anybody names."),
            Setting("upload_mb", "一个文件的上限（MiB）。", "Largest file, in MiB.", Span(1, 1024, "MiB")),
            Setting("per_hour", "每个来源地址每小时的次数。", "How often an hour one address may ask.", Span(1, 100_000)),
        ),
    ),
    Table(
        "limits", Limits, "大小与时间的上限。", "Limits of size and time.",
        (
            Setting("body_bytes", "请求正文上限。", "Largest request body.", Span(1_024, 2**30, "bytes")),
            Setting("answer_bytes", "非流式回答上限；流式回答为其 16 倍。", "Largest whole answer; a stream may have 16 times as much.", Span(1_024, 2**30, "bytes")),
            Setting("body_idle_ms", "等待请求正文下一段的时间。", "Wait for the next part of a request body.", _WAIT),
            Setting("client_idle_ms", "等待不再读取回答的使用者。", "Wait for a client that no longer reads its answer.", _WAIT),
            Setting("concurrent_requests", "每个网关进程同时处理的请求数。", "Requests in progress in one gateway process.", Span(1, 100_000)),
            Setting("spool_bytes", "尚未入账的记录所占空间上限；超过则拒绝新请求。", "Room for records not yet in the ledger; beyond it requests are refused.", Span(2**26, 2**44, "bytes"), source="Measures Art. 9"),
            Setting("drain_ms", "停止时等待进行中的回答。", "Wait for answers under way when stopping.", Span(0, 600_000, "ms")),
            Setting("heartbeat_ms", "网关进程每隔多久留下一条心跳记录；缺失由此可见。", "Time between two heartbeat records of a gateway process, which show that records are missing.", Span(1_000, 3_600_000, "ms"), source="CSL 23(3) [S]"),
        ),
    ),
    Table(
        "media", Media, "图片、音频、视频的送出。", "Pictures, sounds and films on their way out.",
        (
            Setting("file_bytes", "从模型服务接收的单个文件上限；一次回答中以 base64 给出的文件合计不超过它。", "Largest file taken from a model server; files in base64 in one answer may be so large together.", Span(65_536, 2**32, "bytes")),
            Setting("store_bytes", "以网址提供的文件所占空间上限；超过则拒绝新的文件。", "Room for files that are given as URLs; beyond it new ones are refused.", Span(2**20, 2**44, "bytes")),
            Setting("keep_minutes", "以网址提供的文件保留多久。", "How long a file that is given as a URL can be fetched.", Span(1, 10_080, "minutes")),
            Setting("public_url", "使用者访问网关的地址，用于文件网址；留空则依请求的 Host，且为 http。", "Address at which clients reach the gateway, for the URLs of files; empty takes the Host of the request, and http.", _SITE, example='"https://api.example.com"'),
            Setting("fetch_hosts", "除公网 https 地址和模型服务本身外，允许取回文件的主机（名称或 名称:端口），可为内网、可为 http；如自己的对象存储。", "Hosts (name or name:port) from which files are fetched besides public https addresses and the model server itself; they may be private, and http: your own object store.", _HOSTS, example='["minio.internal:9000"]'),
            Setting("fetch_timeout_ms", "取回一个文件的时限。", "Time to fetch one file.", _WAIT),
            Setting("label_processes", "每个网关进程同时加标识的文件数；处理进程在需要时才启动。", "Files that are labelled at a time for one gateway process; the processes that do it start when they are needed.", Span(1, 64), source="Measures Art. 12"),
            Setting("label_timeout_ms", "给一个文件加标识的时限；超过即终止处理进程，文件不送出。", "Time to label one file; beyond it the process is killed and the file does not leave.", _WAIT),
            Setting("label_memory_bytes", "处理进程的地址空间上限。", "Address space of a process that labels.", Span(2**29, 2**40, "bytes")),
        ),
    ),
    Table(
        "upstream", Upstream, "模型服务；任何兼容 OpenAI 接口的地址。没有时使用内置演示模型。", "Model servers: any address that speaks the OpenAI API. Without one the built-in demo model answers.",
        (
            Setting("name", "名称。", "Name.", _NAME, required=True, example='"main"'),
            Setting("base_url", "接口地址，通常以 /v1 结尾。", "Address of the API; usually ends with /v1.", _API, required=True, example='"http://127.0.0.1:9000/v1"'),
            Setting("api_key_env", "存放密钥的环境变量名。", "Environment variable that holds the key.", _ENV, example='"MODEL_API_KEY"'),
            Setting("api_key_file", "存放密钥的文件：一行，权限 600；相对路径从本文件所在目录算起。", "File that holds the key: one line, mode 600; a relative path starts at the folder of this file."),
            Setting("models", "向本上游要的模型名，只限这些。留空：GET /v1/models 列出上游所列的全部，任何名称都转给上游，有没有由上游回答；同一服务中写明该模型的上游优先。", "Names of the models that it is asked for, and no others. Empty: GET /v1/models lists what the upstream lists, every name is passed on, and the upstream says whether it has it; an upstream of the same service that names the model goes first.", _MODEL, example='["my-model"]'),
            Setting("rename", "对外的模型名 → 上游的模型名。", "Public model name → the upstream's own name.", _MODEL, example='{ "my-model" = "their-model-2" }'),
            Setting("supplier", "模型由谁提供，写入记录。", "Who supplies the model; in every record.", _TITLE, source="Measures Art. 9", example='"Example Model Company"'),
            Setting("model_version", "上游的模型名 → 正在运行的版本，写入记录。", "The upstream's own model name → the version that runs; in every record.", _TITLE, source="Measures Art. 14", example='{ "their-model-2" = "2.1.0" }'),
            Setting("weights_sha256", "上游的模型名 → 权重的 SHA-256，写入记录。", "The upstream's own model name → SHA-256 of its weights; in every record.", _HASH, example='{ "their-model-2" = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" }'),
            Setting("filing_number", "上游的模型名 → 备案号，写入记录。", "The upstream's own model name → its filing number; in every record.", _TITLE, source="Measures Art. 17", example='{ "their-model-2" = "…" }'),
            Setting("connect_timeout_ms", "等待连接。", "Wait for a connection.", _WAIT),
            Setting("first_byte_timeout_ms", "等待回答的第一个字节。", "Wait for the first byte of an answer.", _WAIT),
            Setting("idle_timeout_ms", "等待回答的下一段。", "Wait for the next part of an answer.", _WAIT),
            Setting("max_connections", "每个网关进程对该服务的连接数。", "Connections to it from one gateway process.", Span(1, 100_000)),
        ),
        repeated=True,
    ),
    Table(
        "guard", Guard, "外部审查：在别处运行、判断文本的模型或服务；与模型同时工作。哪个服务使用哪些，见 service.guard。", "Guards: models or services elsewhere that judge texts, alongside the model. service.guard says which service has which.",
        (
            Setting("name", "名称，写入记录。", "Name, in records.", _NAME, required=True, example='"qwen"'),
            Setting("kind", "接口：qwen3guard、json_chat（任意对话模型，按 JSON 回答）、openai_moderation、webhook。", "What it speaks: qwen3guard, json_chat (any chat model that answers JSON), openai_moderation, webhook.", required=True, example='"qwen3guard"'),
            Setting("base_url", "接口地址，通常以 /v1 结尾；webhook 为完整地址。不跟随重定向。", "Address of the API, usually ending with /v1; of a webhook, the whole address. Redirects are not followed.", _API, required=True, example='"http://127.0.0.1:9001/v1"'),
            Setting("model", "模型名；qwen3guard 与 json_chat 必填。", "Name of the model; required for qwen3guard and json_chat.", Form(r"(\S.{0,199})?", _MODEL.zh, _MODEL.en), example='"Qwen/Qwen3Guard-Gen-0.6B"'),
            Setting("api_key_env", "存放密钥的环境变量名；webhook 用它签名，不发送。", "Environment variable that holds the key; a webhook's key signs and is not sent.", _ENV, example='"GUARD_API_KEY"'),
            Setting("api_key_file", "存放密钥的文件：一行，权限 600；相对路径从本文件所在目录算起。", "File that holds the key: one line, mode 600; a relative path starts at the folder of this file."),
            Setting("directions", "审查 input 输入、output 回答或 both 两者。", "Whether it examines the input, the output or both."),
            Setting("timeout_ms", "一次审查的时限，含排队；超过即“未能审查”。", "Time for one examination, its wait included; beyond it the text was not examined.", Span(1, 60_000, "ms"), source="Measures Art. 4"),
            Setting("connect_timeout_ms", "等待连接。", "Wait for a connection.", Span(1, 60_000, "ms")),
            Setting("concurrency", "每个网关进程同时发出的审查数。", "Examinations at a time from one gateway process.", Span(1, 10_000)),
            Setting("queue", "可以排队等待的审查数；超过即“未能审查”。", "Examinations that may wait; beyond it a text was not examined.", Span(0, 100_000)),
            Setting("every_characters", "流式回答在分句处审查，最迟每隔多少字一次。", "A streamed answer is examined at ends of clauses, and at the latest after so many characters.", Span(8, 100_000, "characters")),
            Setting("window_characters", "一次给它看的文字上限；更长的分段。", "Characters shown to it at once; a longer text is shown in parts.", Span(100, 1_000_000, "characters")),
            Setting("lag_characters", "边送边审时，送出的文字最多领先审查多少字。", "Where text leaves while it is examined, how far it may run ahead.", Span(1, 1_000_000, "characters")),
            Setting("breaker_failures", "多少次失败后暂停使用。", "After how many failures it is left alone.", Span(1, 1_000)),
            Setting("breaker_window_ms", "这些失败须发生在多长时间内。", "Within what time these failures must lie.", _WAIT),
            Setting("breaker_open_ms", "暂停多久后用一个请求试探。", "After what time one request tries whether it is back.", _WAIT),
        ),
        repeated=True,
    ),
    Table(
        "service", Service, "向公众提供的服务。", "Services offered to the public.",
        (
            Setting("id", "标识，写入记录；启用后请勿更改。", "Identifier, in every record; do not change it once in use.", _NAME, required=True, example='"chat"'),
            Setting("name_zh", "中文名称。", "Chinese name.", _TITLE, required=True, source="Measures Art. 10", example='"对话服务"'),
            Setting("name_en", "英文名称。", "English name.", _TITLE, required=True, example='"Chat"'),
            Setting("upstreams", "模型服务，按先后；留空为全部。使用写明该模型的第一个，都没有写明则用第一个没有写 models 的。", "Model servers, in order; empty means all. Asked is the first that names the model in its models, else the first that names none.", _NAME, example='["main"]'),
            Setting("classifier", "内置分类器的结果作何用：off 不用；evidence 在回答之后由记录进程查看，命中交人复核，不影响回答；policy 随即查看，策略表中写明中或低把握的行决定处置。", "What the embedded classifier is to this service: off; evidence, gathered by the recorder after the answer, which goes to people and stops nothing; policy, asked at once, and rows of the policy that name medium or low confidence decide.", source="Measures Art. 4"),
            Setting("review_sample_per_mille", "该服务每千次往来抽取几次交人复核；-1 依 [screening]。", "How many of a thousand exchanges of this service go to a person; -1 as [screening] says.", Span(-1, 1_000, "‰"), source="Measures Art. 4"),
        ),
        repeated=True,
    ),
    Table(
        "service.policy", Policy, "审查结论如何处置；键为风险编号（A.1.f）、组（A.1）或 *。", "What a verdict does; keys are risks (A.1.f), groups (A.1) or *.",
        (
            Setting("rows", "策略表，一行五个词：风险 方向 读者 把握 处置；最具体的行决定。方向 input、output、both；读者 adult、minor（全部未成年人）、minor-0-3、minor-3-8、minor-8-12、minor-12-16、minor-16-18；把握 high、medium、low；* 为全部。处置：输入 deliver、warn、refuse、answer、hold，输出 deliver、stop、hold。没有行适用时看 on_input 与 on_output，把握低者只标记。控制台有在用版本的服务以该版本为准。", "The table of the policy, a row in five words: risk, direction, audience, confidence, action; the most particular row decides. Directions input, output, both; audiences adult, minor (all minors), minor-0-3, minor-3-8, minor-8-12, minor-12-16, minor-16-18; confidences high, medium, low; * is all. Actions of an input: deliver, warn, refuse, answer, hold; of an output: deliver, stop, hold. Where no row applies, on_input and on_output decide, and low confidence only flags. A version in force in the console takes the place of the table.", source="Measures Arts. 4, 10, 14", example='["* input minor medium refuse", "A.4.a input adult * answer"]'),
            Setting("default_audience", "应用没有说明读者时，按哪一类读者。", "Who reads where the application does not say.", source="Measures Art. 10"),
            Setting("approved_answers", "标准答案库：near 相近即答，exact 只答相同的问题，off 不用。", "Approved answers: near answers close questions too, exact only the same ones, off none.", source="Measures Art. 4"),
            Setting("on_input", "命中输入时：refuse 拒绝，deliver 放行并记录。", "A hit in the input: refuse it, or deliver and record.", source="Measures Art. 4", example='{ "*" = "refuse" }'),
            Setting("on_output", "命中输出时：stop 停止，deliver 放行并记录。", "A hit in the answer: stop it, or deliver and record.", source="Measures Arts. 4, 14", example='{ "*" = "stop" }'),
            Setting("personal_on_input", "输入含有个人信息或密钥时，按识别器代码（如 PI-MOBILE-PHONE）或 *：warn 提示并记录，refuse 拒绝，pass 不识别。", "Personal information or keys in the input, by detector code (such as PI-MOBILE-PHONE) or *: warn and record, refuse, or pass without looking.", source="Measures Art. 11; PIPL Art. 28", example='{ "*" = "warn", "PI-PRIVATE-KEY" = "refuse" }'),
            Setting("personal_on_output", "回答含有个人信息或密钥时：mask 遮盖，stop 停止，pass 不识别；用户在同一对话中自己给出的照原样交付。", "Personal information or keys in the answer: mask it, stop the answer, or pass without looking. What the person gave in the same conversation is delivered as it is.", source="Measures Art. 4(4); PIPL Art. 28", example='{ "*" = "mask", "PI-ORGANISATION-CODE" = "pass" }'),
            Setting("attack_on_input", "用户消息含有提示词攻击时，按种类代码（如 PA-INSTRUCTION-OVERRIDE）或 *：flag 标记并记录，refuse 在把握高或同时命中违法内容时拒绝（否则标记），pass 不识别。", "A prompt attack in a person's message, by the kind's code (such as PA-INSTRUCTION-OVERRIDE) or *: flag and record, refuse where it is sure or comes with harm (else flag), or pass without looking.", source="Measures Art. 4; GB/T 45654-2025", example='{ "*" = "flag", "PA-INVISIBLE" = "refuse" }'),
            Setting("attack_on_documents", "工具结果、文件与检索文档含有提示词攻击时，同上。", "The same for a prompt attack in what tools, files and retrieved documents brought.", source="Measures Art. 4; GB/T 45654-2025", example='{ "*" = "flag", "PA-EXFILTRATION" = "refuse" }'),
            Setting("could_not_examine", "输入无法完成审查时：stop 拒绝，deliver 放行并记录；回答无法完成审查时一律停止；流式回答审查完毕、只有标记查找失败的，按此处理。", "Where an input could not be examined: stop it, or deliver and record. An answer that could not be examined always stops; one that streamed, examined, and in which only flags could not be looked for, as set here.", source="Measures Art. 4"),
            Setting("stop_notice_zh", "回答被停止时给用户的中文告知。", "Notice in Chinese when an answer is stopped.", _NOTICE, source="Measures Art. 14"),
            Setting("stop_notice_en", "回答被停止时给用户的英文告知。", "Notice in English when an answer is stopped.", _NOTICE, source="Measures Art. 14"),
        ),
    ),
    Table(
        "service.guard", GuardUse, "服务使用的外部审查。", "Guards of a service.",
        (
            Setting("guards", "使用的 [[guard]] 名称；留空不使用。", "Names of the [[guard]] tables that it has; empty means none.", _NAME, source="Measures Art. 4", example='["qwen"]'),
            Setting("input", "wait：回答的第一个字等待输入审查完毕；alongside：不等，但回答的结尾总要等。", "wait: the first byte of an answer waits until the input is examined; alongside: it does not, but the end always does."),
            Setting("release", "after_guard：流式回答的文字审查后才送出；alongside：先送出，发现违法内容时停止并撤回。", "after_guard: streamed text leaves when it was examined; alongside: it leaves before, and is stopped and retracted.", source="Measures Art. 14"),
            Setting("could_not_examine", "外部审查未能完成时：stop 停止，deliver 放行并记录。", "Where a guard could not examine: stop, or deliver and record.", source="Measures Art. 4"),
            Setting("moderations", "送到 /v1/moderations 的文本是否也给外部审查：on 或 off。", "Whether texts sent to /v1/moderations are shown to the guards too: on or off."),
        ),
    ),
    Table(
        "service.label", Label, "生成内容标识。", "Labels of generated content.",
        (
            Setting("mode", "显式标识的位置：suffix 文末，prefix 文首，both 首尾，interface 由界面持续显示。", "Where the explicit label stands: suffix, prefix, both, or interface (the interface shows it all the time).", source="Measures Art. 12; GB 45438-2025 §5.1"),
            Setting("text", "显式标识文字，须含“人工智能”或“AI”，并含“生成”或“合成”。", "Words of the explicit label; they must hold 人工智能 or AI, and 生成 or 合成.", _WORDS, source="GB 45438-2025 §5.1"),
            Setting("content_producer", "生成服务提供者的 27 位编码或名称；使用真实上游时必填。文件的标识须用编码，只填名称则只能标识文字。", "The provider's 27-character code, or its name; required with a real upstream. Labels of files need the code: with a name, only texts are labelled.", source="GB 45438-2025 Annex E; TC260-PG-20252A"),
            Setting("signature", "文件标识的 ReservedCode1 用什么签名：none 不签，sm2（须安装扩展 sm2），ed25519。密钥在发布时自动生成，存于数据目录 keys/，公钥在 /label-keys.json 公布。", "What signs ReservedCode1 of files: none, sm2 (needs the extra sm2) or ed25519. The key is made at publishing and lies in keys/ of the data folder; its public half is published at /label-keys.json.", source="GB 45438-2025 Annex E; TC260-PG-202511A"),
            Setting("c2pa_chain_file", "C2PA 证书链（PEM，从签名证书开始）；须安装扩展 c2pa，并同时设 c2pa_key_file。文件在写入标识之后以它签署。", "Certificates for C2PA manifests (PEM, the signer's first); needs the extra c2pa, and c2pa_key_file. Files are signed with it behind the label.", example='"c2pa.pem"'),
            Setting("c2pa_key_file", "签名证书的私钥文件（PKCS #8 PEM，未加密，权限 600）。", "File with the key of the signer's certificate (PKCS #8 PEM, not encrypted, mode 600).", example='"c2pa.key"'),
            Setting("watermark", "图片是否加只有本站能读出的水印：off 或 on。仅供自查，不是标识，不能代替显式和隐式标识；裁剪后读不出。", "Whether pictures get a watermark that only this site can read: off or on. An aid for audits, no label, and no stand-in for one; cropping loses it.", source="Labelling Measures Art. 5"),
        ),
    ),
    Table(
        "service.label.style", ExplicitStyle, "文件的显式标识：图片、声音、视频、文档。", "Explicit labels of files: pictures, sounds, films, documents.",
        (
            Setting("text", "标识文字，须含“人工智能”或“AI”，并含“生成”或“合成”。", "Words of the label; they must hold 人工智能 or AI, and 生成 or 合成.", _WORDS, source="GB 45438-2025 §5"),
            Setting("place", "在画面的哪个角或边。", "At which corner or edge of the picture.", source="GB 45438-2025 §5.2"),
            Setting("height_percent", "最矮一字的字高占画面最短边的百分比，不少于 5。", "Height of the shortest glyph in per cent of the shortest side, never under 5.", Span(5, 20, "%"), source="GB 45438-2025 §5.2, §5.4"),
            Setting("opacity_percent", "文字底板的不透明度；对比度不足时自动加大。文字本身不透明。", "Opacity of the plate behind the words; raised where the contrast asks for it. The words are opaque.", Span(60, 100, "%")),
            Setting("margin_percent", "与画面边缘的距离，占最短边的百分比。", "Distance from the edge, in per cent of the shortest side.", Span(1, 10, "%")),
            Setting("font_file", "字体文件，须含标识的每个字；留空则在本机寻找中文字体。", "A font with every glyph of the words; empty looks for a Chinese font on the machine."),
            Setting("film", "视频中的文字：opening 只在开头，whole 从头到尾。", "Words in a film: opening, or the whole of it.", source="GB 45438-2025 §5.4"),
            Setting("opening_ms", "开头的文字持续多久，不少于 2 秒；不足此长的视频从头到尾。", "How long the words at the opening stand, never under 2 s; a shorter film has them throughout.", Span(2_000, 60_000, "ms"), source="GB 45438-2025 §5.4"),
            Setting("sound_place", "声音标识的位置。", "Where a sound is labelled.", source="GB 45438-2025 §5.3"),
            Setting("prompt_file", "语音标识的录音，1–30 秒，语速每分钟 120–160 字（guiju 不能核对）；留空用节奏标识。", "A recorded voice that says the label, 1–30 s, at 120–160 characters a minute (guiju cannot check that); empty gives the rhythm.", source="GB 45438-2025 §5.3"),
            Setting("unit_ms", "节奏标识（短长 短短）中“短”的时长。", "Length of the short tone of the rhythm (short-long short-short).", Span(60, 300, "ms")),
            Setting("pitch_hz", "节奏标识的音高。", "Pitch of the rhythm.", Span(300, 3_000, "Hz")),
            Setting("level_db", "节奏标识的峰值电平。", "Peak level of the rhythm.", Span(-18, -1, "dBFS")),
            Setting("document_place", "文档中文字的位置。", "Where a document has the words.", source="GB 45438-2025 §5.1"),
        ),
    ),
)  # fmt: skip

BY_PATH: Final[dict[str, Table]] = {table.path: table for table in TABLES}
