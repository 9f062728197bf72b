"""What is declared is documented: settings, verbs, record kinds, errors, pages. Nothing is listed here by hand.

Each test can be made to fail by declaring one thing more, or by changing one character of a generated page.
"""

import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from guiju.core.errors import REGISTRY
from guiju.core.settings_tables import TABLES
from guiju.handbook.modules import import_everything
from guiju.handbook.pages import find_stale
from tests.import_rules import DUTIES

TOP = Path(__file__).parent.parent
DOCS = TOP / "docs"
HAN = re.compile("[\u4e00-\u9fff]")
LATIN = re.compile("[A-Za-z]{3}")
FETCHED = re.compile(r"""(?:\bsrc=|<link[^>]*\bhref=|@import\s+|url\()["']?(?:https?:)?//[^"'\s>)]*""")


@functools.cache
def page(path: str) -> str:
    return (DOCS / path).read_text()


def _pages() -> list[str]:
    return sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))


def _site() -> dict[str, object]:
    loaded: dict[str, object] = yaml.safe_load((TOP / "mkdocs.yml").read_text())
    return loaded


def _in_nav(item: object) -> set[str]:
    if isinstance(item, str):
        return {item}
    parts = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
    return {path for part in parts for path in _in_nav(part)}


# ── what is made from the code ──────────────────────────────────────────────────────────────────────────────────────


def test_no_generated_page_is_stale() -> None:
    assert find_stale(DOCS) == [], "run: python -m guiju.handbook"


def test_every_setting_is_documented() -> None:
    text = page("settings.md")
    for table in TABLES:
        heading = f"## `[[{table.path}]]`" if table.repeated else f"## `[{table.path}]`"
        section = text.partition(heading + "\n")[2].partition("\n## ")[0]
        missing = [setting.name for setting in table.settings if f"| `{setting.name}` |" not in section]
        assert section, f"docs/settings.md has no {heading}"
        assert not missing, f"{table.path}: {missing}"


def test_every_verb_is_documented() -> None:
    from guiju.cli import whole_app
    from guiju.handbook.command_page import list_verbs

    verbs = [verb for verb, _ in list_verbs(whole_app())]
    assert {"guiju serve", "guiju demo", "guiju verify", "guiju records prove"} <= set(verbs)
    assert [verb for verb in verbs if f"## `{verb}`\n" not in page("commands.md")] == []


def test_every_record_kind_is_documented_in_both_languages() -> None:
    import_everything()
    from guiju.records.kinds import KINDS

    rows = page("records.md").splitlines()
    for kind in KINDS.values():
        row = next((row for row in rows if f"`{kind.name}`" in row), "")
        assert all(name in row for name in (kind.zh, kind.en)), f"docs/records.md does not tell of {kind.name}: {row!r}"


def test_every_error_has_its_page_in_both_languages() -> None:
    import_everything()
    assert len(REGISTRY) > 40
    for error in REGISTRY.values():
        text = page(f"errors/{error.code}.md")
        chinese = text.partition("## 中文")[2].partition("## English")[0]
        english = text.partition("## English")[2].partition("## 给程序")[0]
        assert len(HAN.findall(chinese)) >= 10, error.code
        assert len(LATIN.findall(english)) >= 5, error.code
        assert f"({error.code}.md)" in page("errors/index.md")


def test_every_error_has_three_parts_in_both_languages() -> None:
    import_everything()
    for error in REGISTRY.values():
        for text in (error.zh, error.en):
            assert all((text.happened, text.kept, text.todo)), error.code
        facts = [set(re.findall(r"\{(\w+?)(?:_zh|_en)?\}", f"{text.happened}{text.kept}{text.todo}")) for text in (error.zh, error.en)]
        assert facts[0] == facts[1], f"{error.code} tells other facts in Chinese than in English"


# ── pages ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_page_is_reached() -> None:
    nav = _in_nav(_site()["nav"])
    assert nav <= set(_pages())
    unreached = [path for path in _pages() if path not in nav and not re.fullmatch(r"errors/[A-Z-]+\.md", path)]
    assert not unreached


# Decisions are for those who change the code; their index is in both languages.
@pytest.mark.parametrize("path", [path for path in _pages() if not path.startswith("decisions/0")])
def test_every_page_says_it_in_chinese_too(path: str) -> None:
    opening = page(path)[:1500]
    assert HAN.search(opening)
    assert LATIN.search(opening)


@pytest.mark.parametrize("path", _pages())
def test_links_lead_somewhere(path: str) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page(path)):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (DOCS / path).parent.joinpath(target).exists(), f"{path} links to {target}"


def test_tests_named_by_a_page_exist() -> None:
    for path in ("promises.md", "architecture.md"):
        for name in re.findall(r"`([\w/]*tests/[\w/]*(?:\.py)?)`", page(path)):
            assert (TOP / name).exists() or (TOP / "src" / "guiju" / name).exists(), f"{path} names {name}"


def test_every_article_is_answered_for() -> None:
    rows = [row.split("|")[1:-1] for row in page("articles.md").splitlines() if re.match(r"\| \d", row)]
    answered = {int(number) for row in rows for number in re.findall(r"\d+", re.sub(r"\(\d\)", "", row[0]))}
    assert answered == set(range(1, 25))
    for row in rows:
        for package in re.findall(r"`(\w+)`", row[2]):
            assert int(row[0]) in DUTIES[package], (
                f"{row[1]} lies with {package}, which does not answer to Article {row[0]} (tests/import_rules.py)"
            )


def test_the_site_builds_and_fetches_nothing_from_a_network(tmp_path: Path) -> None:
    """Anchors may lead out; styles, scripts, fonts and pictures may not. `highlightjs: false` in mkdocs.yml is the guarded line."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-f", str(TOP / "mkdocs.yml"), "-d", str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    built = [path for path in tmp_path.rglob("*") if path.suffix in {".html", ".css", ".svg"}]
    assert len(built) > 40
    for path in built:
        found = FETCHED.search(path.read_text())
        assert not found, f"{path.relative_to(tmp_path)} fetches {found[0]}"


@pytest.mark.parametrize(
    "text", ['<script src="https://a.b/c.js">', '<link rel=x href="//a.b/c.css">', "@import 'https://a.b'", "url(https://a.b/f.woff)"]
)
def test_what_would_be_fetched_is_seen(text: str) -> None:
    assert FETCHED.search(text)


def test_the_readme_fetches_nothing() -> None:
    assert not re.search(r"!\[[^\]]*\]\(\s*(?:https?:)?//", (TOP / "README.md").read_text())


@pytest.mark.parametrize("path", _pages())
def test_no_heading_within_a_page_begins_with_a_digit(path: str) -> None:
    """Its anchor would be no CSS selector: the theme's script stops there and leaves the page half made."""
    assert not re.search(r"^#{2,} [^\w\n]*\d", page(path), re.MULTILINE)
