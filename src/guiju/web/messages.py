"""The English catalogue: find every Chinese text of templates and code, keep its English, compile it.

`python -m guiju.web.messages` rewrites `locale/en/LC_MESSAGES/django.po` (new texts get an empty English, gone texts
leave) and compiles `django.mo`. It exits with 1 while an English text is missing. Needs babel.
"""

import io
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

PACKAGE: Final = Path(__file__).parent.parent
CATALOGUE: Final = Path(__file__).parent / "locale" / "en" / "LC_MESSAGES" / "django.po"
_PINNED: Final = datetime(2023, 8, 15, tzinfo=UTC)  # a date of its own would make every compilation differ
_KEYWORDS: Final = {"_": None, "gettext": None, "gettext_lazy": None, "ngettext": (1, 2), "pgettext": ((1, "c"), 2)}
_TRANSLATE: Final = re.compile(r"""\{%\s*translate\s+(?:"([^"]*)"|'([^']*)')[^%]*%\}""")
_INNER: Final = re.compile(r"""_\((?:"([^"]*)"|'([^']*)')\)""")
_BLOCK: Final = re.compile(r"\{%\s*blocktranslate\b([^%]*)%\}(.*?)\{%\s*endblocktranslate\s*%\}", re.DOTALL)
_VARIABLE: Final = re.compile(r"\{\{\s*(\w+)\s*\}\}")


def find_texts() -> dict[str, list[tuple[str, int]]]:
    """Return each text with the places (path below the package, line) where it stands, in the order of the files."""
    texts: dict[str, list[tuple[str, int]]] = {}
    for path in sorted([*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.html")]):
        if "tests" in path.parts or "migrations" in path.parts:
            continue
        name = path.relative_to(PACKAGE).as_posix()
        for line, text in _in_template(path.read_text()) if path.suffix == ".html" else _in_code(path.read_bytes()):
            texts.setdefault(text, []).append((name, line))
    return texts


def _in_code(raw: bytes) -> Iterator[tuple[int, str]]:
    for line, message, _comments, _context in extract("python", io.BytesIO(raw), keywords=_KEYWORDS):
        yield line, message if isinstance(message, str) else message[0]


def _in_template(text: str) -> Iterator[tuple[int, str]]:
    found = [(match.start(), match[1] or match[2]) for pattern in (_TRANSLATE, _INNER) for match in pattern.finditer(text)]
    # Django looks a block up with its variables in the %-form, and doubles every other percent sign.
    found += [(match.start(), _VARIABLE.sub(r"%(\1)s", match[2].replace("%", "%%"))) for match in _BLOCK.finditer(text)]
    for start, message in sorted(found):
        yield text.count("\n", 0, start) + 1, message


def refreshed() -> Catalog:
    """Return the catalogue with exactly the texts in use and the English that is known for them."""
    known = read_catalogue()
    catalogue = Catalog(locale="en", project="guiju", fuzzy=False)
    for text, places in find_texts().items():
        before = known.get(text)
        flags = {"python-format"} if "%(" in text else set()
        catalogue.add(
            text, before.string if before else "", locations=[(name, 0) for name in dict.fromkeys(name for name, _ in places)], flags=flags
        )
    return catalogue


def read_catalogue() -> Catalog:
    """Return the catalogue as it is kept."""
    with CATALOGUE.open("rb") as file:
        return read_po(file, locale="en", charset="utf-8")


def missing(catalogue: Catalog) -> list[str]:
    """Return the texts without an English."""
    return [str(message.id) for message in catalogue if message.id and not message.string]


def compiled(catalogue: Catalog) -> bytes:
    """Return the catalogue in the form that gettext reads; equal catalogues give equal bytes."""
    pinned = Catalog(locale="en", fuzzy=False, creation_date=_PINNED, revision_date=_PINNED)
    for message in catalogue:
        if message.id and message.string:
            pinned.add(message.id, message.string)
    out = io.BytesIO()
    write_mo(out, pinned)
    return out.getvalue()


def main() -> int:
    """Rewrite and compile the catalogue; return the exit status."""
    catalogue = refreshed()
    out = io.BytesIO()
    write_po(out, catalogue, width=0, sort_output=True, omit_header=False, include_lineno=False)
    lines = [
        line
        for line in out.getvalue().decode().splitlines(keepends=True)
        if not line.startswith(
            (
                '"POT-Creation',
                '"PO-Revision',
                '"Generated-By',
                '"Last-Translator',
                '"Language-Team',
                '"Report-Msgid',
                "# FIRST",
                "# Copyright",
                "# English translations",
                "# This file is distributed",
            )
        )
    ]
    CATALOGUE.write_text("".join(lines))
    CATALOGUE.with_suffix(".mo").write_bytes(compiled(catalogue))
    gaps = missing(catalogue)
    for text in gaps:
        print(f"no English: {text}", file=sys.stderr)
    print(f"{len(find_texts())} texts, {len(gaps)} without English")
    return 1 if gaps else 0


if __name__ == "__main__":
    sys.exit(main())
