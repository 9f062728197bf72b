"""Every mistake in `guiju.toml` is told with its code and its line, and no secret is repeated."""

import re
from pathlib import Path

import pytest

from guiju.core.errors import GuijuError
from guiju.core.key_faults import find_faults
from guiju.core.settings import Settings, default_settings, read_settings
from guiju.core.settings_tables import TABLES
from guiju.core.settings_text import commented_toml, settings_page, toml_value

UPSTREAM = '[[upstream]]\nname = "main"\nbase_url = "http://127.0.0.1:9/v1"\n'
SERVICE = '[[service]]\nid = "chat"\nname_zh = "对话"\nname_en = "Chat"\n'
GUARD = '[[guard]]\nname = "hook"\nkind = "webhook"\nbase_url = "http://127.0.0.1:9/judge"\n'
PRODUCER = '[service.label]\ncontent_producer = "example-provider"\n'


def _read(folder: Path, text: str | bytes) -> Settings:
    path = folder / "guiju.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_settings(path)


def _refused(folder: Path, text: str | bytes) -> GuijuError:
    with pytest.raises(GuijuError) as caught:
        _read(folder, text)
    return caught.value


def test_reads_everything(tmp_path: Path) -> None:
    text = f"""
[server]
host = "0.0.0.0"
port = 9000
workers = 3
[console]
allowed_hosts = ["a.example.com", ".b.example.com"]
public_url = "https://a.example.com"
[database]
url = "postgresql://guiju@db/guiju"
password_file = "db.secret"
[ledger]
origin = "example.com/log"
[limits]
drain_ms = 0
{UPSTREAM}api_key_env = "MODEL_KEY"
models = ["m-1"]
rename = {{ "m-1" = "x" }}
{SERVICE}upstreams = ["main"]
[service.policy]
on_input."A.1" = "deliver"
on_output = {{ "*" = "stop", "A.4.f" = "deliver" }}
could_not_examine = "deliver"
{PRODUCER}mode = "interface"
text = "AI 生成"
"""
    read = _read(tmp_path, text)
    assert (read.server.host, read.server.port, read.server.worker_count()) == ("0.0.0.0", 9000, 3)  # a value read, not bound
    assert read.console.allowed_hosts == ("a.example.com", ".b.example.com")
    assert read.database.password_file == str(tmp_path / "db.secret")
    assert read.ledger.origin == "example.com/log"
    assert (read.limits.drain_ms, read.limits.body_bytes) == (0, 10 * 2**20)
    assert read.upstreams[0].rename == {"m-1": "x"}
    service = read.services[0]
    assert service.policy.action("input", "A.1.f") == "deliver"
    assert service.policy.action("input", "A.2.a") == "refuse"
    assert service.policy.action("output", "A.4.f") == "deliver"
    assert (service.label.mode, service.label.text, service.label.content_producer) == ("interface", "AI 生成", "example-provider")


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    assert _read(tmp_path, "") == default_settings()
    assert _read(tmp_path, b"\xef\xbb\xbf[server]\r\nport = 8000\r\n") == default_settings()


MISTAKES = [
    # code, line, what the text must name, file
    ("SETTING-SYNTAX", 2, "", "[server]\nport = \n"),
    ("SETTING-SYNTAX", 3, "", '[server]\nport = 1\nx = "open\n\n'),
    ("SETTING-SYNTAX", 3, "", "[server]\nport = 1\nport = 2\n"),
    ("SETTING-SYNTAX", 4, "[a.b] 已从第 2 行开始", '# x\n[a.b]\nx = 1\n["a".b]\n'),
    ("SETTING-SYNTAX", 5, "第 1 行的 [records] 之下", "[records]\nopening_people = 1\n[server]\nport = 1\n[records]\nerasure_people = 1\n"),
    ("SETTING-RANGE", 3, "screening.working_day_until", "[screening]\nworking_day_from = 18\nworking_day_until = 18\n"),
    ("SETTING-RANGE", 2, "calendar.days_off", '[calendar]\ndays_off = ["2026-02-30"]\n'),
    ("SETTING-RANGE", 2, "calendar.make_up_days", '[calendar]\nmake_up_days = ["soon"]\n'),
    ("SETTING-RANGE", 2, "review_sample_per_mille", "[screening]\nreview_sample_per_mille = 1001\n"),
    ("SETTING-SYNTAX", 2, "UTF-8", b"[server]\nhost = '\xff'\n"),
    ("SETTING-UNKNOWN", 3, "server.port", "[server]\n# x\nprot = 1\n"),
    ("SETTING-UNKNOWN", 2, "", "\n[sevrer]\nport = 1\n"),
    ("SETTING-UNKNOWN", 5, "main", f'{SERVICE}upstreams = ["mian"]\n{PRODUCER}{UPSTREAM}'),
    ("SETTING-UNKNOWN", 6, "A.9", SERVICE + '[service.policy]\non_input."A.9.x" = "refuse"\n'),
    (
        "SETTING-UNKNOWN",
        7,
        "PI-MOBILE-PHONE",
        SERVICE + '[service.policy]\npersonal_on_input."*" = "pass"\npersonal_on_input."PI-MOBIL-PHONE" = "warn"\n',
    ),
    ("SETTING-UNKNOWN", 6, "A.4.f", SERVICE + '[service.policy]\npersonal_on_output."A.4.f" = "mask"\n'),
    ("SETTING-RANGE", 6, "personal_on_output", SERVICE + "[service.policy]\npersonal_on_output.'*' = 'warn'\n"),
    ("SETTING-RANGE", 6, "refuse", SERVICE + "[service.policy]\npersonal_on_input.'PI-API-KEY' = 'mask'\n"),
    ("SETTING-UNKNOWN", 6, "PA-INVISIBLE", SERVICE + "[service.policy]\nattack_on_input.'PA-INVISIBEL' = 'flag'\n"),
    ("SETTING-RANGE", 6, "refuse", SERVICE + "[service.policy]\nattack_on_documents.'PA-INVISIBLE' = 'mask'\n"),
    ("SETTING-TYPE", 2, "server.port", '[server]\nport = "80"\n'),
    ("SETTING-TYPE", 2, "server.port", "[server]\nport = true\n"),
    ("SETTING-TYPE", 2, "limits.drain_ms", "[limits]\ndrain_ms = 1.5\n"),
    ("SETTING-TYPE", 2, "console.public_url", "[console]\npublic_url = 2026-01-01\n"),
    ("SETTING-TYPE", 1, "server", "server = 5\n"),
    ("SETTING-TYPE", 1, "upstream", "[upstream]\nname = 'x'\n"),
    ("SETTING-TYPE", 1, "service", "service = [1]\n"),
    ("SETTING-TYPE", 5, "service.label", SERVICE + "label = 'AI生成'\n"),
    ("SETTING-TYPE", 2, "console.allowed_hosts", "[console]\nallowed_hosts = 'a'\n"),
    ("SETTING-TYPE", 4, "console.allowed_hosts", "[console]\nallowed_hosts = [\n  'a',\n  7,\n]\n"),
    ("SETTING-TYPE", 6, "service.policy.on_input", SERVICE + "[service.policy]\non_input = 'refuse'\n"),
    ("SETTING-RANGE", 2, "server.port", "[server]\nport = 65536\n"),
    ("SETTING-RANGE", 3, "1–3600000 ms", "[limits]\n\nbody_idle_ms = 0\n"),
    ("SETTING-RANGE", 3, "console.port", "[server]\n[console]\nport = 8000\n"),
    ("SETTING-RANGE", 2, "ledger.origin", "[ledger]\norigin = 'has space'\n"),
    ("SETTING-RANGE", 3, "base_url", '[[upstream]]\nname = "x"\nbase_url = "127.0.0.1:9"\n'),
    ("SETTING-RANGE", 5, "upstream.name", UPSTREAM + '[[upstream]]\nname = "main"\nbase_url = "http://x/v1"\n'),
    ("SETTING-RANGE", 7, "api_key_file", UPSTREAM + 'api_key_env = "A"\n\n\napi_key_file = "b"\n'),
    ("SETTING-RANGE", 6, "生成", SERVICE + "[service.label]\ntext = '由 AI 助手回答'\n"),
    ("SETTING-RANGE", 6, "生成", SERVICE + "[service.label]\ntext = '自动生成'\n"),
    ("SETTING-RANGE", 7, "生成", SERVICE + "[service.label]\n[service.label.style]\ntext = '自动生成'\n"),
    ("SETTING-RANGE", 6, "5–20 %", SERVICE + "[service.label.style]\nheight_percent = 4\n"),
    ("SETTING-RANGE", 6, "60–100 %", SERVICE + "[service.label.style]\nopacity_percent = 59\n"),
    ("SETTING-RANGE", 6, "2000–60000 ms", SERVICE + "[service.label.style]\nopening_ms = 1999\n"),
    ("SETTING-RANGE", 6, "bottom_right", SERVICE + "[service.label.style]\nplace = 'middle'\n"),
    ("SETTING-TYPE", 6, "service.label.style", SERVICE + "[service.label]\nstyle = 'large'\n"),
    ("SETTING-UNKNOWN", 6, "height_percent", SERVICE + "[service.label.style]\nheight_per_cent = 5\n"),
    ("SETTING-RANGE", 6, "mode", SERVICE + "[service.label]\nmode = 'middle'\n"),
    ("SETTING-RANGE", 6, "27", SERVICE + "[service.label]\ncontent_producer = '001191110108MA01KP2T5X00000'\n"),
    ("SETTING-RANGE", 6, "content_producer", SERVICE + "[service.label]\ncontent_producer = 'has space'\n"),
    ("SETTING-RANGE", 8, "五个词", SERVICE + "[service.policy]\nrows = [\n  'A.1 input * * refuse',\n  'A.2 input refuse',\n]\n"),
    ("SETTING-RANGE", 8, "第 1 行", SERVICE + "[service.policy]\nrows = [\n  'A.1 input * * refuse',\n  '* input minor * hold',\n]\n"),
    ("SETTING-UNKNOWN", 6, "service.policy.version", SERVICE + "[service.policy]\nversion = 'x'\n"),
    ("SETTING-RANGE", 6, "default_audience", SERVICE + "[service.policy]\ndefault_audience = 'child'\n"),
    ("SETTING-RANGE", 2, "policy_people", "[screening]\npolicy_people = 3\n"),
    ("SETTING-RANGE", 6, "on_output", SERVICE + "[service.policy]\non_output.'*' = 'refuse'\n"),
    ("SETTING-RANGE", 6, "stop_notice_zh", SERVICE + "[service.policy]\nstop_notice_zh = ' '\n"),
    ("SETTING-MISSING", 3, "ledger.tsa_root_file", "[ledger]\n\ntsa_url = 'http://tsa.example.com/'\n"),
    ("SETTING-RANGE", 2, "ledger.tsa_url", "[ledger]\ntsa_url = 'file:///etc/hosts'\ntsa_root_file = 'x'\n"),
    ("SETTING-MISSING", 2, "upstream.base_url", "\n[[upstream]]\nname = 'x'\n"),
    ("SETTING-MISSING", 1, "service.name_en", "[[service]]\nid = 'a'\nname_zh = '甲'\n"),
    ("SETTING-MISSING", 4, "service.label.content_producer", UPSTREAM + SERVICE),
    ("SETTING-MISSING", 2, "[[service]]", "\n" + UPSTREAM),
    ("SETTING-MISSING", 8, "service.label.content_producer", UPSTREAM + SERVICE + "[service.label]\n"),
    ("SETTING-RANGE", 3, "webhook", GUARD.replace("webhook", "magic")),
    ("SETTING-MISSING", 3, "guard.api_key_env", GUARD),
    ("SETTING-MISSING", 3, "guard.model", GUARD.replace("webhook", "qwen3guard")),
    ("SETTING-MISSING", 1, "guard.kind", "[[guard]]\nname = 'x'\nbase_url = 'http://h/v1'\n"),
    ("SETTING-RANGE", 6, "api_key_env", GUARD + "api_key_env = 'A'\napi_key_file = 'a'\n"),
    ("SETTING-RANGE", 6, "guard.timeout_ms", GUARD + "api_key_env = 'A'\ntimeout_ms = 0\n"),
    ("SETTING-RANGE", 7, "guard.name", GUARD + "api_key_env = 'A'\n" + GUARD + "api_key_env = 'A'\n"),
    ("SETTING-SECRET", 6, "guard.api_key", GUARD + "api_key_env = 'A'\n" + 'api_key = "HIDDEN-VALUE"\n'),
    ("SETTING-RANGE", 6, "service.guard.guards", SERVICE + "[service.guard]\nguards = ['q']\n"),
    ("SETTING-RANGE", 6, "after_guard", SERVICE + "[service.guard]\nrelease = 'at once'\n"),
    ("SETTING-SECRET", 4, "upstream.api_key", UPSTREAM + 'api_key = "HIDDEN-VALUE"\n'),
    ("SETTING-SECRET", 4, "upstream.api_key_env", UPSTREAM + 'api_key_env = "HIDDEN-VALUE"\n'),
    ("SETTING-SECRET", 4, "upstream.api_key_env", UPSTREAM + 'api_key_env = "sk-HIDDENVALUE"\n'),
    ("SETTING-SECRET", 4, "upstream.api_key_file", UPSTREAM + 'api_key_file = "sk-HIDDENVALUE"\n'),
    ("SETTING-SECRET", 3, "upstream.base_url", '[[upstream]]\nname = "x"\nbase_url = "http://u:HIDDEN-VALUE@h/v1"\n'),
    ("SETTING-SECRET", 3, "upstream.base_url", '[[upstream]]\nname = "x"\nbase_url = "http://HIDDENVALUE@h/v1"\n'),
    ("SETTING-SECRET", 2, "database.url", '[database]\nurl = "postgresql://u:HIDDEN-VALUE@h/d"\n'),
    ("SETTING-SECRET", 2, "database.password", '[database]\npassword = "HIDDEN-VALUE"\n'),
]


@pytest.mark.parametrize(("code", "line", "named", "text"), MISTAKES, ids=[f"{code}-{place}" for place, (code, *_) in enumerate(MISTAKES)])
def test_a_mistake_is_told_with_its_line(tmp_path: Path, code: str, line: int, named: str, text: str | bytes) -> None:
    error = _refused(tmp_path, text)
    assert (error.code.code, error.facts["line"]) == (code, line), error
    assert named in error.text("zh")
    for told in (error.text("zh"), error.text("en")):
        assert f"{line}" in told
        assert "guiju.toml" in told
        assert "HIDDEN" not in told
    assert "HIDDEN" not in repr(error.facts)
    assert not re.search("[：。，] ", error.text("zh")), "Chinese punctuation brings its own space"
    assert "stay in force" in error.text("en")


def test_all_mistakes_are_told_in_the_order_of_the_file(tmp_path: Path) -> None:
    error = _refused(tmp_path, "[server]\nport = -1\nhots = 'x'\n[limits]\ndrain_ms = 'no'\n")
    told = [error, *error.facts["others"]]
    assert [(each.code.code, each.facts["line"]) for each in told] == [("SETTING-RANGE", 2), ("SETTING-UNKNOWN", 3), ("SETTING-TYPE", 5)]
    assert "server.host" in error.facts["others"][0].text("zh")


def test_a_right_provider_code_is_taken(tmp_path: Path) -> None:
    from guiju.labelling.implicit import _USCC_ALPHABET

    body = "91110108MA01KP2T5"
    total = sum(_USCC_ALPHABET.index(character) * pow(3, place, 31) for place, character in enumerate(body))
    code = f"0011{body}{_USCC_ALPHABET[(31 - total % 31) % 31]}00000"
    assert _read(tmp_path, f'{SERVICE}[service.label]\ncontent_producer = "{code}"\n').services[0].label.content_producer == code


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(GuijuError, match="SETTING-FILE"):
        read_settings(tmp_path / "none.toml")


def test_the_first_file_holds_every_setting_and_changes_nothing(tmp_path: Path) -> None:
    text = commented_toml()
    assert _read(tmp_path, text) == default_settings()
    names = re.findall(r"^# (\w+) = ", text, re.MULTILINE)
    assert names == [setting.name for table in TABLES for setting in table.settings]


def test_the_first_file_stays_valid_with_every_line_in_force(tmp_path: Path) -> None:
    text = re.sub(r"^# (\w+ = |\[)", r"\1", commented_toml(), flags=re.MULTILINE)
    text = text.replace('api_key_file = ""\n', "").replace('content_producer = ""', 'content_producer = "example-provider"')
    read = _read(tmp_path, text)
    assert read.upstreams[0].name == "main"
    assert read.services[0].upstreams == ("main",)
    assert {each.place for each in find_faults(read)} == {"$MODEL_API_KEY", "$GUARD_API_KEY", "$GUIJU_DATABASE_PASSWORD"}


SYNTAX = [
    ("[server]\nport = \n", "值的写法不对"),
    ("host = local\n", "值的写法不对"),
    ("[server\nport = 1\n", "表头缺少右方括号"),
    ("[[upstream]\nname = 'x'\n", "表头缺少右方括号"),
    ("port 1\n", "名称之后应为等号"),
    ("= 1\n", "不是“名称 = 值”"),
    ("host = 'a' 'b'\n", "还有多余的内容"),
    ('host = "a\n', "没有写完"),
    ("host = 'a\n", "引号没有配对"),
    ("host = '''a\n", "引号没有配对"),
    ("days = ['a' 'b']\n", "数组缺少右方括号"),
    ("x = { a = 1 b = 2 }\n", "表缺少右花括号"),
    ("port = 1\nport = 2\n", "写了两次"),
    ('file = "C:\\keys"\n', "反斜杠"),
    ("x = 2026-02-30\n", "日期或时间不存在"),
    ("x = 'a\x01'\n", "解析器说“"),
]


@pytest.mark.parametrize(("text", "zh"), SYNTAX, ids=[text.strip() for text, _ in SYNTAX])
def test_why_a_file_is_no_toml_is_told_in_chinese(tmp_path: Path, text: str, zh: str) -> None:
    """Guarded by the table of `core/toml_errors.py`; the parser's own words stand in quotes."""
    told = _refused(tmp_path, text).text("zh")
    assert zh in told
    words = re.sub("“[^”]*”", "", told.removeprefix("SETTING-SYNTAX").replace("guiju.toml", "").replace("TOML", ""))
    assert not re.search("[A-Za-z]{3}", words), told


def test_the_first_file_says_which_lines_are_defaults_and_which_are_examples() -> None:
    """Guarded by `_shown` in `core/settings_text.py`."""
    lines = [line for line in commented_toml().splitlines() if re.match(r"# \w+ = ", line)]
    for line, (table, setting) in zip(lines, [(each, setting) for each in TABLES for setting in each.settings], strict=True):
        default = toml_value(table.defaults[setting.name])
        value = line.partition(" = ")[2]
        assert value == default or f"示例 example; 默认 default: {default}" in value or (setting.required and "必填 required" in value), (
            line
        )
    assert '# origin = "example.com/guiju"  # 示例 example; 默认 default: "guiju.local/ledger"' in lines


def test_every_setting_is_declared_and_explained() -> None:
    page = settings_page()
    for table in TABLES:
        fields = (
            set(table.types) - {"policy", "label", "guard", "style"} - ({"version"} if table.path == "service.policy" else set())
        )  # set by a version
        assert {setting.name for setting in table.settings} == fields, table.path
        for setting in table.settings:
            assert f"| `{setting.name}` |" in page
            assert setting.zh
            assert setting.en
