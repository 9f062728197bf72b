"""A text can be looked for in all records although none of them holds it.

Guarded line: the condition in `browse.find_fingerprint`, on SQLite and PostgreSQL.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from guiju.core.fingerprint import fingerprint
from guiju.core.keys import load_pseudonym_key
from guiju.records.browse import find_fingerprint
from guiju.records.tests.site import Site, make_postgresql_site, make_site

WRITE = """
from django.db import transaction
from guiju.core.master_keys import load_master_keys
from guiju.records.recorder.ingest import write_entries
from guiju.records.tests.site import entry
texts = os.environ["TEXTS"].split(" ")
with transaction.atomic():
    write_entries([entry(output={"texts": [text]}) for text in texts], load_master_keys(settings.DATA_FOLDER.keys))
"""


def look(site: Site, *arguments: str, text: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "guiju.cli", "records", "fingerprint", "-", "--data", str(site.data.root), *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=60)


def test_a_text_is_found_by_its_fingerprint_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = make_site(tmp_path / "data")
    key = load_pseudonym_key(site.data.keys)
    texts = ("今天天气晴好。", "今天天气晴好", "other")
    monkeypatch.setenv("TEXTS", " ".join(fingerprint(key, "chat", text) for text in texts))
    site.run(WRITE)
    found = json.loads(look(site, "--service", "chat", "--find", "--json", text=texts[1]).stdout)
    assert found["fingerprint"] == fingerprint(key, "chat", texts[1])
    assert [row["index"] for row in found["records"]] == [1]
    nothing = look(site, "--service", "talk", "--find", text=texts[1])
    assert nothing.returncode == 0
    assert "No record names it" in nothing.stdout
    assert look(site, "--service", "chat", text=texts[1]).stdout.strip() == found["fingerprint"]


def test_on_postgresql_too(tmp_path: Path, postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    site = make_postgresql_site(tmp_path / "data", postgresql_url, "fingerprint")
    monkeypatch.setenv("TEXTS", "a" * 32 + " " + "b" * 32)
    site.run(WRITE)
    assert (
        site.run(f"from guiju.records.browse import find_fingerprint; print([r.index for r in find_fingerprint('{'b' * 32}')])").strip()
        == b"[1]"
    )


@pytest.mark.parametrize("wrong", ["", "x" * 32, "a" * 31, "%"])
def test_what_is_no_fingerprint_is_not_looked_for(wrong: str) -> None:
    with pytest.raises(ValueError, match="32"):
        find_fingerprint(wrong)
