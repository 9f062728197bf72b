"""Error pages show both languages as they are; stale and left-over pages are told."""

from pathlib import Path

import pytest
import typer

from guiju.core.errors import ErrorCode, Text
from guiju.handbook import error_pages, pages
from guiju.handbook.command_page import command_page, list_verbs

ERROR = ErrorCode(
    "TEST-ONE", 418, "invalid_request_error", True,
    Text("壶 {pot} 是空的 | <b>*。", "水没有动。", "请加水。"), Text("The pot {pot} is empty.", "The water is as it was.", "Fill it."),
)  # fmt: skip


def test_a_page_has_three_parts_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(error_pages, "REGISTRY", {ERROR.code: ERROR})
    monkeypatch.setattr(error_pages, "_declared_in", lambda _: "guiju.test")
    made = error_pages.error_pages()
    page = made["errors/TEST-ONE.md"]
    for part in ("水没有动。", "请加水。", "The pot ‹pot› is empty.", "The water is as it was.", "Fill it.", "418", "`pot`"):
        assert part in page
    assert r"壶 ‹pot› 是空的 \| \<b>\*。" in page  # shown as it is, never as markup
    assert "[`TEST-ONE`](TEST-ONE.md)" in made["errors/index.md"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(pages, "generated_pages", lambda: {"errors/A.md": "a\n", "commands.md": "c\n"})
    pages.write_pages(tmp_path)
    return tmp_path


def test_what_was_written_is_not_stale(folder: Path) -> None:
    assert pages.find_stale(folder) == []


@pytest.mark.parametrize("change", ["errors/A.md", "commands.md", "errors/GONE.md"])
def test_a_change_by_hand_is_stale_and_mended(folder: Path, change: str) -> None:
    (folder / change).write_text("by hand")
    assert pages.find_stale(folder) == [change]
    pages.write_pages(folder)
    assert pages.find_stale(folder) == []


def test_a_missing_page_is_stale(folder: Path) -> None:
    (folder / "commands.md").unlink()
    assert pages.find_stale(folder) == ["commands.md"]


def test_every_verb_is_on_the_page() -> None:
    app, keys = typer.Typer(), typer.Typer()
    app.add_typer(keys, name="keys")

    @app.command()
    def serve(port: int = typer.Option(8000, help="Where | to listen.")) -> None:
        """Run it."""

    @keys.command("create")
    def create(label: str) -> None:
        """Make a key."""

    @keys.command("hidden", hidden=True)
    def hidden() -> None:
        """Not for people."""

    page = command_page(app)
    assert [verb for verb, _ in list_verbs(app)] == ["guiju serve", "guiju keys create"]
    assert "## `guiju keys create`\n\nMake a key." in page
    assert r"| `--port` | `8000` | Where \| to listen. |" in page
    assert "必填 required" in page
    assert "hidden" not in page
