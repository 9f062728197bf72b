"""What is wrong with the keys that settings name: looked at before the settings are put in force, and told at a start."""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from guiju.core.errors import GuijuError, Text, define
from guiju.core.key_files import KeyUnusable, read_key_file
from guiju.core.settings import Settings

SETTING_KEY = define(
    "SETTING-KEY",
    status=400,
    kind="invalid_request_error",
    zh=Text(
        "{setting} 的密钥文件 {file} 不能用：{reason_zh}。",
        "没有发布，正在使用的设置（如有）保持不变。",
        "请让该文件只含一行密钥，并只许运行 guiju 的用户读取（权限 600），然后再次发布。",
    ),
    en=Text(
        "The key file {file} of {setting} cannot be used: {reason}.",
        "Nothing was published; the settings in force, if any, stay in force.",
        "Let the file hold the key alone, on one line, and let only the user that runs guiju read it (mode 600); then publish again.",
    ),
)
_OTHERS: Final = 0o077


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with a key that the settings name."""

    setting: str
    place: str
    """The file, or the environment variable behind a `$`."""
    zh: str
    en: str
    grave: bool
    """Whether nothing can be asked with it; else it works, or may work in another environment."""

    def lines(self) -> tuple[str, str]:
        """Return what is wrong, in Chinese and in English."""
        return f"{self.setting} 的密钥 {self.place}：{self.zh}。", f"The key {self.place} of {self.setting}: {self.en}."


def find_faults(settings: Settings) -> Iterator[Fault]:
    """Yield what is wrong, here and now, with the keys and the password that the settings name: upstreams, guards, the database."""
    keyed = [(f"upstream {each.name}", each.api_key_env, each.api_key_file) for each in settings.upstreams]
    keyed += [(f"guard {each.name}", each.api_key_env, each.api_key_file) for each in settings.guards]
    keyed.append(("database", settings.database.password_env, settings.database.password_file))
    for setting, variable, file in keyed:
        if variable and not os.environ.get(variable):
            yield Fault(setting, f"${variable}", "此处没有设置；服务运行之处若也没有，则不带密钥", "not set here; where it is not set for the service either, no key is sent", False)  # fmt: skip
        if not file:
            continue
        if setting != "database":
            try:
                read_key_file(file)
            except KeyUnusable as problem:
                yield Fault(setting, file, problem.zh, str(problem), True)
                continue
        elif not os.access(file, os.R_OK):
            yield Fault(setting, file, "无法读取", "it cannot be read", True)
            continue
        mode = stat.S_IMODE(Path(file).stat().st_mode)
        if mode & _OTHERS:
            yield Fault(
                setting, file, f"其他用户也可读写（权限 {mode:o}）；请改为 600", f"others may use it (mode {mode:o}); make it 600", False
            )


def refuse_unusable(faults: Iterable[Fault]) -> None:
    """Raise SETTING-KEY for the first key that nothing can be asked with; the fact `others` holds the errors of the others."""
    errors = [
        GuijuError(SETTING_KEY, setting=each.setting, file=each.place, reason_zh=each.zh, reason=each.en) for each in faults if each.grave
    ]
    if errors:
        errors[0].facts["others"] = tuple(errors[1:])
        raise errors[0]
