"""All generated pages together, and the difference between them and a folder."""

from pathlib import Path

from guiju.core.settings_text import settings_page
from guiju.handbook.command_page import PAGE, command_page
from guiju.handbook.error_pages import error_pages
from guiju.handbook.modules import import_everything


def generated_pages() -> dict[str, str]:
    """Return every page made from the code, by its path below `docs/`."""
    import_everything()
    from guiju.cli import whole_app
    from guiju.obligations.articles_page import PAGE as ARTICLES
    from guiju.obligations.articles_page import articles_page

    return {"settings.md": settings_page(), PAGE: command_page(whole_app()), ARTICLES: articles_page(), **error_pages()}


def find_stale(folder: Path) -> list[str]:
    """Return the paths of pages that are missing, differ from the code, or tell of an error that is gone."""
    pages = generated_pages()
    differing = [path for path, text in pages.items() if not (folder / path).is_file() or (folder / path).read_text() != text]
    return sorted(differing + _left_over(folder, pages))


def write_pages(folder: Path) -> None:
    """Write the pages into `folder` and remove those of errors that are gone."""
    pages = generated_pages()
    for path, text in pages.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    for path in _left_over(folder, pages):
        (folder / path).unlink()


def _left_over(folder: Path, pages: dict[str, str]) -> list[str]:
    found = {str(path.relative_to(folder)) for path in (folder / "errors").glob("*.md")}
    return sorted(found - set(pages))
