"""What is wrong with a key is told before the settings that name it are put in force; no part of it is repeated."""

from pathlib import Path

import pytest

from guiju.core.errors import GuijuError
from guiju.core.key_faults import find_faults, refuse_unusable
from guiju.core.settings import Database, Settings
from guiju.gateway.bundle import Guard, Upstream

URL = "http://127.0.0.1:9/v1"


def _settings(file: Path) -> Settings:
    return Settings(upstreams=(Upstream(name="main", base_url=URL, api_key_file=str(file)),))


@pytest.mark.parametrize(
    ("content", "zh", "en"),
    [
        (None, "没有这个文件或目录", "No such file"),
        (b"\n", "其中没有密钥", "holds no key"),
        (b"sk-secret-1\nsk-secret-2\n", "不止一行", "more than one line"),
        ("密钥".encode(), "请求头中不能有", "no header may"),
        (b"\xff\xfe", "不是文本", "no text"),
    ],
)
def test_a_key_file_that_cannot_be_used_is_refused(tmp_path: Path, content: bytes | None, zh: str, en: str) -> None:
    """Guarded by `True` of the fault in `find_faults`, and by `if errors` in `refuse_unusable`."""
    file = tmp_path / "main.key"
    if content is not None:
        file.write_bytes(content)
        file.chmod(0o600)
    with pytest.raises(GuijuError, match="SETTING-KEY") as caught:
        refuse_unusable(find_faults(_settings(file)))
    assert zh in caught.value.text("zh")
    assert en in caught.value.text("en")
    assert caught.value.text("en").isascii()
    assert str(file) in caught.value.text("zh")
    assert "secret" not in caught.value.both()


def test_every_unusable_key_is_told_at_once(tmp_path: Path) -> None:
    guard = Guard(name="hook", kind="webhook", base_url=URL, api_key_file=str(tmp_path / "b"))
    with pytest.raises(GuijuError) as caught:
        refuse_unusable(find_faults(Settings(upstreams=_settings(tmp_path / "a").upstreams, guards=(guard,))))
    assert [each.facts["setting"] for each in (caught.value, *caught.value.facts["others"])] == ["upstream main", "guard hook"]


def test_a_file_that_others_may_read_and_a_variable_that_is_not_set_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guarded by the look at `_OTHERS` in `find_faults`."""
    file = tmp_path / "main.key"
    file.write_text("sk-secret\n")
    file.chmod(0o644)
    monkeypatch.delenv("DB_PASSWORD", raising=False)
    settings = Settings(upstreams=_settings(file).upstreams, database=Database(password_env="DB_PASSWORD"))
    first, second = faults = list(find_faults(settings))
    refuse_unusable(faults)
    assert "权限 644" in first.lines()[0]
    assert "$DB_PASSWORD" in second.lines()[1]
    file.chmod(0o600)
    monkeypatch.setenv("DB_PASSWORD", "x")
    assert list(find_faults(settings)) == []
