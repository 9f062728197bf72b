"""Reading `guiju.toml` strictly: unknown names, wrong types, figures out of range and secrets are refused with their line."""

import difflib
import re
import tomllib
import typing
from datetime import date
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from guiju.core.errors import ErrorCode, GuijuError, Text, define
from guiju.core.settings import Calendar, Console, Database, Ledger, Records, Retention, Screening, Server, Settings, Verify
from guiju.core.settings_tables import BY_PATH, Form, Setting, Span, Table
from guiju.core.toml_errors import told_of
from guiju.core.toml_lines import find_lines
from guiju.gateway.bundle import Guard, Limits, Media, Service, Upstream
from guiju.labelling.explicit import holds_elements
from guiju.labelling.implicit import is_label_value, is_provider_code
from guiju.labelling.values import ExplicitStyle
from guiju.screening.guards import FORMS
from guiju.screening.risks import BY_ID, GROUPS
from guiju.screening.table import Mistake, mistakes_of, read_row
from guiju.screening.values import PolicyRow

_KEPT_ZH: Final = "正在使用的设置（如有）保持不变。"
_KEPT_EN: Final = "The settings in force, if any, stay in force."


def _define(code: str, zh: str, en: str, todo_zh: str, todo_en: str) -> ErrorCode:
    return define(code, status=400, kind="invalid_request_error", zh=Text(zh, _KEPT_ZH, todo_zh), en=Text(en, _KEPT_EN, todo_en))


SETTING_FILE = _define(
    "SETTING-FILE", "设置文件 {file} 无法读取：{reason_zh}。", "The settings file {file} cannot be read: {reason}.",
    "请检查路径和权限。", "Check the path and its permissions.",
)  # fmt: skip
SETTING_SYNTAX = _define(
    "SETTING-SYNTAX", "{file} 第 {line} 行不是有效的 TOML：{reason_zh}。", "{file} line {line} is not valid TOML: {reason_en}.",
    "{hint_zh}请改正该行后重新加载。", "{hint_en}Correct the line and reload.",
)  # fmt: skip
SETTING_UNKNOWN = _define(
    "SETTING-UNKNOWN", "没有名为 {setting} 的设置（{file} 第 {line} 行）。", "There is no {setting} ({file} line {line}).",
    "{hint_zh}请改正该行后重新加载；全部设置见 docs/settings.md。", "{hint_en}Correct the line and reload; docs/settings.md lists them all.",
)  # fmt: skip
SETTING_TYPE = _define(
    "SETTING-TYPE", "{setting} 是{found_zh}（{file} 第 {line} 行），应为：{wanted_zh}。", "{setting} is {found_en} ({file} line {line}); it must be {wanted_en}.",
    "请改正该行后重新加载。", "Correct the line and reload.",
)  # fmt: skip
SETTING_RANGE = _define(
    "SETTING-RANGE", "{setting} 是 {value}（{file} 第 {line} 行），应为：{wanted_zh}。", "{setting} is {value} ({file} line {line}); it must be {wanted_en}.",
    "请改正该行后重新加载。", "Correct the line and reload.",
)  # fmt: skip
SETTING_MISSING = _define(
    "SETTING-MISSING", "缺少 {setting}（{place_zh}）：{reason_zh}。", "{setting} is missing ({place_en}): {reason_en}.",
    "请补上后重新加载。", "Add it and reload.",
)  # fmt: skip
SETTING_SECRET = _define(
    "SETTING-SECRET", "{setting} 中写有秘密（{file} 第 {line} 行）。", "{setting} holds a secret ({file} line {line}).",
    "请把它移到环境变量或权限为 600 的文件中，改用 {instead}；若文件曾被他人读取，请更换该秘密。",
    "Move it to an environment variable or a file of mode 600 and use {instead}; replace the secret if others may have read the file.",
)  # fmt: skip

_ROOT: Final = (
    "server",
    "console",
    "database",
    "ledger",
    "records",
    "screening",
    "calendar",
    "retention",
    "verify",
    "limits",
    "media",
    "upstream",
    "guard",
    "service",
)
_SECRET_NAMES: Final = re.compile(r"(?i)(^|_)(api_?key|key|token|password|passwd|secret|authorization|credential)s?$")
_SHOWN_CHARACTERS: Final = 60
_TYPES_ZH: Final = {bool: "布尔值", int: "整数", float: "小数", str: "文本", list: "数组", dict: "表"}
_TYPES_EN: Final = {bool: "true or false", int: "an integer", float: "a fraction", str: "text", list: "an array", dict: "a table"}


def parse_settings(raw: bytes, file: Path) -> Settings:
    """Return the settings in the bytes of `file`. Raises the SETTING- errors, as `read_settings` says."""
    try:
        text = raw.decode("utf-8-sig")
        tree = tomllib.loads(text)
    except UnicodeDecodeError as problem:
        line = raw.count(b"\n", 0, problem.start) + 1
        told = {"reason_zh": "不是 UTF-8", "reason_en": "not UTF-8", "hint_zh": "", "hint_en": ""}
        raise GuijuError(SETTING_SYNTAX, file=file.name, line=line, **told, others=()) from None
    except tomllib.TOMLDecodeError as problem:
        raise GuijuError(SETTING_SYNTAX, file=file.name, **told_of(str(problem), text), others=()) from None
    return _Check(tree, find_lines(text), file).settings()


class _Check:
    """One reading of one file; collects the mistakes so that all can be told at once."""

    def __init__(self, tree: dict[str, Any], lines: dict[tuple[str | int, ...], int], file: Path) -> None:
        self._tree = tree
        self._lines = lines
        self._file = file
        self._errors: list[GuijuError] = []

    def settings(self) -> Settings:
        for name in self._tree:
            if name not in _ROOT:
                self._unknown((name,), name, _ROOT)
        upstreams = tuple(Upstream(**values) for _, values in self._repeated("upstream"))
        services = tuple(self._service(path, values) for path, values in self._repeated("service"))
        settings = Settings(
            server=Server(**self._single("server")),
            console=Console(**self._single("console")),
            database=Database(**self._single("database")),
            ledger=Ledger(**self._single("ledger")),
            records=Records(**self._single("records")),
            screening=Screening(**self._single("screening")),
            calendar=Calendar(**self._single("calendar")),
            retention=Retention(**self._single("retention")),
            verify=Verify(**self._single("verify")),
            limits=Limits(**self._single("limits")),
            media=Media(**self._single("media")),
            upstreams=upstreams,
            guards=tuple(Guard(**values) for _, values in self._repeated("guard")),
            services=services or Settings().services,
        )
        self._check_together(settings)
        if self._errors:
            first, *others = sorted(self._errors, key=lambda error: int(error.facts["line"]))
            first.facts["others"] = tuple(others)
            raise first
        return settings

    # ── tables ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _single(self, name: str) -> dict[str, Any]:
        found = self._tree.get(name, {})
        if not isinstance(found, dict):
            self._wrong_type((name,), name, found, "表", "a table")
            return {}
        return self._table(BY_PATH[name], (name,), found)

    def _repeated(self, name: str) -> list[tuple[tuple[str | int, ...], dict[str, Any]]]:
        found = self._tree.get(name, [])
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            self._wrong_type((name,), name, found, f"[[{name}]] 表", f"[[{name}]] tables")
            return []
        return [((name, place), self._table(BY_PATH[name], (name, place), item)) for place, item in enumerate(found)]

    def _service(self, path: tuple[str | int, ...], values: dict[str, Any]) -> Service:
        found = self._tree["service"][path[-1]]
        for name in ("policy", "label", "guard"):
            inner = found.get(name, {})
            if isinstance(inner, dict):
                table = BY_PATH[f"service.{name}"]
                read = self._table(table, (*path, name), inner)
                if name == "label":
                    read["style"] = self._style((*path, name, "style"), inner.get("style", {}))
                values[name] = table.struct(**read)
            else:
                self._wrong_type((*path, name), f"service.{name}", inner, "表", "a table")
        return Service(**values)

    def _style(self, path: tuple[str | int, ...], found: Any) -> ExplicitStyle:
        if isinstance(found, dict):
            return ExplicitStyle(**self._table(BY_PATH["service.label.style"], path, found))
        self._wrong_type(path, "service.label.style", found, "表", "a table")
        return ExplicitStyle()

    def _table(self, table: Table, path: tuple[str | int, ...], found: dict[str, Any]) -> dict[str, Any]:
        """Return the valid values of one table; what is wrong is noted and its default (or an empty value) returned."""
        known = {setting.name: setting for setting in table.settings}
        nested = {other.path.rpartition(".")[2] for other in BY_PATH.values() if other.path.rpartition(".")[0] == table.path}
        values: dict[str, Any] = {}
        for name, value in found.items():
            if name in known:
                if self._valid(table, known[name], (*path, name), value):
                    values[name] = tuple(map(read_row, value) if name == "rows" else value) if isinstance(value, list) else value
                    if name.endswith("_file") and value:
                        values[name] = str((self._file.parent / value).absolute())
            elif name not in nested:
                self._unknown((*path, name), f"{table.path}.{name}", [f"{table.path}.{each}" for each in (*known, *nested)])
        for setting in table.settings:
            if setting.required and setting.name not in values:
                values[setting.name] = () if "tuple" in str(table.types[setting.name]) else ""
                if setting.name not in found:
                    self._missing(path, f"{table.path}.{setting.name}", "必填", "it is required")
        if table.path == "service":
            values.setdefault("upstreams", ())
        return values

    # ── one value ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _valid(self, table: Table, setting: Setting, path: tuple[str | int, ...], value: Any) -> bool:
        before = len(self._errors)
        kind = table.types[setting.name]
        name = f"{table.path}.{setting.name}"
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
        if kind is int:
            if not isinstance(value, int) or isinstance(value, bool):
                self._wrong_type(path, name, value, "整数", "an integer")
            elif isinstance(setting.form, Span) and not setting.form.low <= value <= setting.form.high:
                span = f"{setting.form.low}–{setting.form.high} {setting.form.unit}".rstrip()
                self._out_of_range(path, name, value, span, span)
        elif kind is str:
            self._text(setting, path, name, value)
        elif origin is typing.Literal:
            self._choice(path, name, value, arguments)
        elif origin is tuple:
            if not isinstance(value, list):
                self._wrong_type(path, name, value, "文本数组", "an array of texts")
            else:
                for place, item in enumerate(value):
                    self._text(setting, (*path, place), name, item)
                if setting.name == "rows" and len(self._errors) == before:
                    self._policy_rows(path, name, value)
        elif not isinstance(value, dict):
            self._wrong_type(path, name, value, "表", "a table")
        else:
            for key, item in value.items():
                self._row(setting, (*path, key), f'{name}."{key}"', key, item, arguments[1])
        return len(self._errors) == before

    def _row(self, setting: Setting, path: tuple[str | int, ...], name: str, key: str, value: Any, kind: Any) -> None:
        if typing.get_origin(kind) is typing.Literal:
            codes = _codes_of(setting.name)
            if key != "*" and not (key in codes if codes else key in BY_ID or key in GROUPS):
                self._unknown(path, name, [f'service.policy.{setting.name}."{code}"' for code in codes])
            input_or_output = ("refuse", "deliver") if setting.name == "on_input" else ("stop", "deliver")
            self._choice(path, name, value, typing.get_args(kind) if codes else input_or_output)
        else:
            self._text(setting, path, name, value)

    def _policy_rows(self, path: tuple[str | int, ...], name: str, rows: list[str]) -> None:
        read = [read_row(row) for row in rows]
        wrong = [row._replace(place=place) for place, row in enumerate(read) if isinstance(row, Mistake)]
        for mistake in wrong or mistakes_of([row for row in read if isinstance(row, PolicyRow)]):
            shown = rows[mistake.place] if mistake.place < len(rows) else len(rows)
            self._out_of_range((*path, mistake.place), name, shown, f"正确的行（{mistake.zh}）", f"a right row ({mistake.en})")

    def _text(self, setting: Setting, path: tuple[str | int, ...], name: str, value: Any) -> None:
        right = setting.form
        if not isinstance(value, str):
            self._wrong_type(path, name, value, "文本", "text")
        elif setting.name.endswith("_env") and not _matches(right, value):
            # What is no name of a variable is most likely the secret itself: it is not printed.
            self._secret(path, name, f'{name} = "NAME_OF_THE_VARIABLE"')
        elif re.match(r"sk-[A-Za-z0-9_-]{8}", value):
            self._secret(path, name, "api_key_env / api_key_file")
        elif "://" in value and "@" in value and _holds_password(value, setting.name):
            self._secret(path, name, "password_env / password_file" if setting.name == "url" else "api_key_env / api_key_file")
        elif isinstance(right, Form) and not _matches(right, value):
            self._out_of_range(path, name, value, right.zh, right.en)
        elif setting.name == "text" and not holds_elements(value):
            self._out_of_range(
                path, name, value, "同时含有“人工智能”或“AI”、“生成”或“合成”的文字", "words with 人工智能 or AI, and with 生成 or 合成"
            )
        elif setting.name == "content_producer":
            self._producer(path, name, value)

    def _producer(self, path: tuple[str | int, ...], name: str, value: str) -> None:
        if re.fullmatch(r"00[12][0-9A-Za-z]{24}", value) and not is_provider_code(value):
            self._out_of_range(path, name, value, "校验正确的 27 位编码", "a 27-character code with a right check character")
        elif not is_label_value(value) or len(value) > 100:
            self._out_of_range(
                path,
                name,
                value,
                "27 位编码，或不超过 100 个可见 ASCII 字符、不含空格、引号和反斜杠的名称",
                "a 27-character code, or a name of at most 100 visible ASCII characters without space, quote and backslash",
            )

    def _choice(self, path: tuple[str | int, ...], name: str, value: Any, allowed: tuple[str, ...]) -> None:
        if not isinstance(value, str):
            self._wrong_type(path, name, value, "文本", "text")
        elif value not in allowed:
            self._out_of_range(
                path, name, value, "、".join(allowed[:-1]) + f" 或 {allowed[-1]}", ", ".join(allowed[:-1]) + f" or {allowed[-1]}"
            )

    # ── settings that belong together ───────────────────────────────────────────────────────────────────────────────

    def _check_together(self, settings: Settings) -> None:
        if settings.server.port and settings.server.port == settings.console.port and settings.server.host == settings.console.host:
            self._out_of_range(
                ("console", "port"), "console.port", settings.console.port, "与 server.port 不同的端口", "another port than server.port"
            )
        people = settings.screening
        if people.working_day_from >= people.working_day_until:
            self._out_of_range(
                ("screening", "working_day_until"),
                "screening.working_day_until",
                people.working_day_until,
                f"晚于 working_day_from（{people.working_day_from}）的钟点",
                f"an hour after working_day_from ({people.working_day_from})",
            )
        for name in ("days_off", "make_up_days"):
            for day in getattr(settings.calendar, name):
                if not _is_day(day):
                    self._out_of_range(("calendar", name), f"calendar.{name}", day, "日历上有的日子", "days that the calendar has")
        self._unique("upstream", "name", [each.name for each in settings.upstreams])
        self._unique("service", "id", [each.id for each in settings.services])
        self._unique("guard", "name", [each.name for each in settings.guards])
        self._one_key("upstream", [(each.api_key_env, each.api_key_file) for each in settings.upstreams])
        self._one_key("guard", [(each.api_key_env, each.api_key_file) for each in settings.guards])
        self._guards(settings)
        if settings.database.password_env and settings.database.password_file:
            self._out_of_range(
                ("database", "password_file"),
                "database.password_file",
                settings.database.password_file,
                "空，因为已设 password_env",
                "empty, because password_env is set",
            )
        if settings.ledger.tsa_url and not settings.ledger.tsa_root_file:
            self._missing(
                ("ledger", "tsa_url"),
                "ledger.tsa_root_file",
                "设 tsa_url 时须写明其根证书文件",
                "with tsa_url, its root certificates must be named",
            )
        for place, service in enumerate(settings.services):
            for has, lacks in (("c2pa_chain_file", "c2pa_key_file"), ("c2pa_key_file", "c2pa_chain_file")):
                if getattr(service.label, has) and not getattr(service.label, lacks):
                    where = ("service", place, "label", has)
                    self._missing(where, f"service.label.{lacks}", "证书链与其私钥须同时写明", "certificates and their key go together")
        kept = settings.retention
        for setting, limit in (("content_days", "log_days"), ("case_content_days", "case_days")):
            days, longest = getattr(kept, setting), getattr(kept, limit)
            if days > longest:
                self._out_of_range(
                    ("retention", setting),
                    f"retention.{setting}",
                    days,
                    f"不超过 {longest}，即 retention.{limit}",
                    f"at most {longest}, which is retention.{limit}",
                )
        names = [each.name for each in settings.upstreams]
        for place, service in enumerate(settings.services):
            for number, name in enumerate(service.upstreams):
                if name not in names:
                    self._unknown(("service", place, "upstreams", number), f"upstream “{name}”", [f"upstream “{each}”" for each in names])
        if settings.upstreams and not self._errors and "service" not in self._tree:
            self._no_service()
        elif settings.upstreams and not self._errors:
            for place, service in enumerate(settings.services):
                if not service.label.content_producer:
                    self._missing(
                        ("service", place, "label"),
                        "service.label.content_producer",
                        "使用真实上游的服务须写明生成服务提供者",
                        "a service with a real upstream must name its provider",
                    )

    def _one_key(self, table: str, keyed: list[tuple[str, str]]) -> None:
        for place, (variable, file) in enumerate(keyed):
            if variable and file:
                self._out_of_range(
                    (table, place, "api_key_file"), f"{table}.api_key_file", file, "空，因为已设 api_key_env", "empty, because api_key_env is set"
                )  # fmt: skip

    def _guards(self, settings: Settings) -> None:
        for place, guard in enumerate(settings.guards):
            form = FORMS.get(guard.kind)
            if form is not None and form.needs_model and not guard.model:
                self._missing(
                    ("guard", place, "kind"), "guard.model", f"{guard.kind} 须写明模型名", f"{guard.kind} needs the name of a model"
                )
            if form is not None and form.signs and not (guard.api_key_env or guard.api_key_file):
                self._missing(
                    ("guard", place, "kind"), "guard.api_key_env", "请求须用密钥签名", "its requests are signed with a key"
                )  # fmt: skip
        names = [guard.name for guard in settings.guards]
        for at, service in enumerate(settings.services):
            for which, name in enumerate(service.guard.guards):
                if name not in names:
                    self._out_of_range(
                        ("service", at, "guard", "guards", which), "service.guard.guards", name,
                        f"[[guard]] 的名称（{'、'.join(names) or '没有'}）", f"the name of a [[guard]] ({', '.join(names) or 'there is none'})",
                    )  # fmt: skip

    def _unique(self, table: str, name: str, values: list[str]) -> None:
        for place, value in enumerate(values):
            if value and value in values[:place]:
                self._out_of_range((table, place, name), f"{table}.{name}", value, "不重复的名称", "a name that is not used twice")

    # ── mistakes ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _note(self, code: ErrorCode, path: tuple[str | int, ...], setting: str, **facts: Any) -> None:
        self._errors.append(GuijuError(code, setting=setting, file=self._file.name, line=self._line(path), path=path, **facts))

    def _line(self, path: tuple[str | int, ...]) -> int:
        for length in range(len(path), 0, -1):
            if path[:length] in self._lines:
                return self._lines[path[:length]]
        return 1

    def _unknown(self, path: tuple[str | int, ...], setting: str, known: typing.Sequence[str]) -> None:
        last = str(path[-1])
        if _SECRET_NAMES.search(last) and len(path) > 1:
            instead = "password_env / password_file" if path[0] == "database" else "api_key_env / api_key_file"
            self._secret(path, setting, instead)
            return
        near = difflib.get_close_matches(setting, known, n=1, cutoff=0.75)
        self._note(
            SETTING_UNKNOWN,
            path,
            setting,
            hint_zh=f"是否想写 {near[0]}？" if near else "",
            hint_en=f"Did you mean {near[0]}? " if near else "",
        )

    def _wrong_type(self, path: tuple[str | int, ...], setting: str, value: Any, wanted_zh: str, wanted_en: str) -> None:
        found = {"found_zh": _TYPES_ZH.get(type(value), "日期"), "found_en": _TYPES_EN.get(type(value), "a date")}
        self._note(SETTING_TYPE, path, setting, wanted_zh=wanted_zh, wanted_en=wanted_en, **found)

    def _out_of_range(self, path: tuple[str | int, ...], setting: str, value: object, wanted_zh: str, wanted_en: str) -> None:
        shown = repr(value) if isinstance(value, str) else str(value)
        shown = shown if len(shown) <= _SHOWN_CHARACTERS else shown[:_SHOWN_CHARACTERS] + "…"
        self._note(SETTING_RANGE, path, setting, value=shown, wanted_zh=wanted_zh, wanted_en=wanted_en)

    def _missing(self, path: tuple[str | int, ...], setting: str, reason_zh: str, reason_en: str) -> None:
        file, line = self._file.name, self._line(path)
        self._note(
            SETTING_MISSING, path, setting, reason_zh=reason_zh, reason_en=reason_en,
            place_zh=f"{file} 第 {line} 行所在的表", place_en=f"in the table at {file} line {line}",
        )  # fmt: skip

    def _no_service(self) -> None:
        file, line = self._file.name, self._line(("upstream", 0))
        self._note(
            SETTING_MISSING, ("upstream", 0), "[[service]]",
            place_zh=f"{file} 第 {line} 行有 [[upstream]]，全文没有 [[service]]", place_en=f"{file} has [[upstream]] at line {line} and no [[service]]",
            reason_zh="使用真实上游时须写明服务，并在其 [service.label] 中用 content_producer 写明生成服务提供者",
            reason_en="with a real upstream a service must be there, whose [service.label] names its provider by content_producer",
        )  # fmt: skip

    def _secret(self, path: tuple[str | int, ...], setting: str, instead: str) -> None:
        self._note(SETTING_SECRET, path, setting, instead=instead)


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _codes_of(name: str) -> tuple[str, ...]:
    """Return the codes that the rows of a table may name; none where they name risks. Imported here: their patterns take long to compile."""
    if name.startswith("personal_"):
        from guiju.screening.personal.detectors import CODES

        return tuple(CODES)
    if name.startswith("attack_"):
        from guiju.screening.attacks import CODES as ATTACKS

        return tuple(ATTACKS)
    return ()


def _matches(form: Form | Span, value: str) -> bool:
    return isinstance(form, Form) and re.fullmatch(form.pattern, value) is not None


def _holds_password(url: str, name: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.password is not None or (name != "url" and parts.username is not None)
