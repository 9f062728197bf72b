"""Pages, Markdown and plain text: labels as others write them, what is no place of a label, hints, and the file beside a text."""

import json
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from guiju.core.errors import GuijuError
from guiju.labelling.containers import html, markdown
from guiju.labelling.containers.documents import hinted
from guiju.labelling.containers.html_tags import Unclosed, list_tags
from guiju.labelling.containers.source import Broken, Source
from guiju.labelling.containers.tests.documents import PAGE, TEXT
from guiju.labelling.containers.tests.samples import CODE, INNER, LABEL, OLD, OTHER, WRAPPED, escaped, exiftool, sample
from guiju.labelling.files import first_label, inspect, read, read_file, write, write_file
from guiju.labelling.values import Damaged, FileLabel

META = f'<meta name="AIGC" content="{escaped(INNER)}">'
MAP = "AIGC:\n" + "".join(f"  {key}: '{value}'\n" for key, value in json.loads(INNER).items())
SORTED = "AIGC:\n" + "".join(f'    {key}: "{value}"\n' for key, value in sorted(json.loads(INNER).items()))
BARE = "AIGC:\n  Label: 1\n" + "".join(f"  {key}: {value or '~'}\n" for key, value in json.loads(INNER).items() if key != "Label")


def page(head: str = "", body: str = "") -> str:
    return f"<!DOCTYPE html>\n<html><head><title>x</title>{head}</head><body>{body}</body></html>"


PAGES: dict[str, str | bytes] = {
    "double quotes": page(META),
    "single quotes": page(f"<META NAME='aigc' CONTENT='{INNER}'/>"),
    "other order": page(f'<meta content="{escaped(WRAPPED)}" name=AIGC>'),
    "property": page(f'<meta property="x:AIGC" content="{escaped(INNER)}">'),
    "numbers": page(META.replace("&quot;", "&#34;")),
    "in the body": page(body=META),
    "utf-16": page(META).encode("utf-16"),
    "utf-16 big": b"\xfe\xff" + page(META + "山").encode("utf-16-be"),
    "utf-8 with a mark": page(META).encode("utf-8-sig"),
    "gb18030": page('<meta charset="gb18030">' + META, "山高水长").encode("gb18030"),
    "behind a script": page('<script>if (a < b) { "<!-- <script>" } --></script>' + META),
    "behind a comment": page("<!-- > -- --!>" + META),
    "no head": "<!doctype html>" + META + "<p>words",
    "xhtml behind an empty script": '<?xml version="1.0"?>\n<!DOCTYPE html>\n'
    + page('<script src="x"/>' + META.replace(">", "/>")).partition("\n")[2],
    "xhtml": '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE html PUBLIC "a" "b">\n' + page(META.replace(">", "/>")).partition("\n")[2],
}


def data(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


@pytest.mark.parametrize("name", PAGES)
def test_labels_of_pages_are_read_and_one_is_left(name: str) -> None:
    file = data(PAGES[name])
    assert read(file) == OLD
    written = write(file, first_label(OTHER, "second"))
    seen = inspect(written)
    assert len(seen.places) == 1
    assert seen.label
    assert (seen.label.content_producer, seen.label.content_propagator) == ("MiniMax", OTHER)


NO_PLACES = [
    page(f"<!-- {META} -->"),
    page(f"<script>{META}</script>"),
    page(f"<script><!-- <script> </script> {META} --></script>"),
    page(f"<style>{META}</style>"),
    f"<!doctype html><title>{META}</title>",
    page(body=f"<textarea>{META}</textarea><xmp>{META}</xmp><iframe>{META}</iframe>"),
    page(body=f"<svg><![CDATA[ > {META} ]]></svg>"),
    page(body=f"<p title='{META}'>"),
    page(body=f'<p title = "{META.replace(chr(34), chr(39))}">'),
    page(body=f"&lt;{META[1:]}"),
    page(body=f"<plaintext>{META}"),
    page(f'<meta name="other" content="{escaped(INNER)}">'),
    page(f'<link name="AIGC" content="{escaped(INNER)}">'),
    page(f"< {META[1:]}"),
    page(f"<!x {META[:-1]}>"),
    page(f'<meta name="other" name="AIGC" content="{escaped(INNER)}">'),
]  # fmt: skip


@pytest.mark.parametrize("text", NO_PLACES, ids=range(len(NO_PLACES)))
def test_comments_scripts_and_values_are_no_places(text: str) -> None:
    assert read(text.encode()) is None
    written = write(text.encode(), LABEL)
    assert read(written) == LABEL
    assert _browser_reads(written.decode()) == [LABEL.produce_id]


class _Metas(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "meta" and ("name", "AIGC") in attrs and attrs[0][1] == "AIGC":
            self.found.append(json.loads(dict(attrs)["content"] or "")["ProduceID"])

    handle_startendtag = handle_starttag


def _browser_reads(text: str) -> list[str]:
    """Return what another parser finds in the head, which ends where the label does."""
    reader = _Metas()
    reader.feed(text[: text.index(LABEL.produce_id) + 400])
    return reader.found[-1:]


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("<!doctype html><html><head><title>x</title></head><body>", "</head>"),
        ("<!doctype html><html><head><meta charset=utf-8><title>x</title><body>", "<body>"),
        ("<!doctype html><meta charset=utf-8><title>x</title><script>a</script><p>x", "<p>"),
        ("<!doctype html><title>x</title>words", "words"),
        ("<!doctype html><title>x</title>words<meta charset=utf-8>", "words"),
        ("<html><body>x", "<body>"),
        ("<!doctype html><!-- a --><html lang=zh><!-- b --><head><link rel=x></head>", "</head>"),
        ("<head></head>", "</head>"),
        ("<!doctype html><template><template></template>x</template>", "<template>"),
    ],
)
def test_the_label_is_the_last_of_the_head_or_stands_where_a_head_would_end(text: str, before: str) -> None:
    written = write(text.encode(), LABEL).decode()
    at = written.index('<meta name="AIGC"')
    assert written[:at] + written[written.index(" />", at) + 3 :] == text
    assert written[written.index(" />", at) + 3 :].startswith(before)


@pytest.mark.parametrize(
    "file",
    [
        page("<script>a").encode(),
        page().encode()[:-20] + b"<!-- ",
        b"<!doctype html><p title='x",
        page("<meta charset=iso-2022-jp>").encode(),
        page("<meta charset=utf-8>\x1b$B").encode(),
        b"<!doctype html>\0",
        b"\xff\xfe" + page().encode("utf-16-le") + b"x",
        b"<!doctype html>" + b" " * (17 << 20),
        page(f'<meta name="AIGC" content="{"x" * 70_000}">').encode(),
        page().encode()[:40] + META.encode()[:-2],
    ],
    ids=range(10),
)
def test_pages_that_cannot_be_told_are_damaged(file: bytes) -> None:
    assert inspect(file).verdict == "inconclusive"
    assert isinstance(read(file), Damaged)


def test_tags_are_read_once_however_they_are_made() -> None:
    started = time.process_time()
    for hostile in (
        b"<a " + b"=" * 2_000_000,
        b"<a " + b'"' * 2_000_000,
        b"<!--" * 500_000,
        b"<a x='" * 300_000,
        b"<script><!--" * 200_000,
        b"</a b=" * 200_000,
    ):
        try:
            for _ in list_tags(b"<!doctype html>" + hostile):
                pass
        except Unclosed:
            pass
    assert time.process_time() - started < 8


MARKDOWNS = {
    "map": f"---\n{MAP}---\n\n# x\n",
    "sorted, four spaces": f"---\n{SORTED}title: x\n---\nx",
    "bare values": f"---\ntitle: x\n{BARE}---\n",
    "lower case": f"---\n{MAP.replace('AIGC', 'aigc')}---\n",
    "string": f"---\nAIGC: '{INNER}'\n---\n",
    "string wrapped": f"---\ntitle: x\nAIGC: |\n  {WRAPPED}\n---\n",
    "quoted key": '---\n"' + MAP.replace("AIGC:", 'AIGC":') + "---\n",
    "with a mark": "\ufeff" + f"---\n{MAP}---\n",
    "carriage returns": f"---\n{MAP}title: x\n---\n\nx\n".replace("\n", "\r\n"),
    "dots": f"---\n{MAP}...\nx",
    "further down": f"# x\n\nwords\n\n---\n{MAP}---\n",
    "in two places": f"---\n{MAP}---\n\n---\n{MAP}---\n\n# x\n",
    "comment behind": f"---\n{MAP}# a comment\ntitle: x\n---\n",
}


@pytest.mark.parametrize("name", MARKDOWNS)
def test_labels_of_markdown_are_read_and_one_is_left(name: str) -> None:
    file = MARKDOWNS[name].encode()
    found = inspect(file, hint="x.md", strict=False)
    assert found.label is not None
    assert found.label.content_producer == "MiniMax"
    written = write(file, first_label(OTHER, "second"), hint="text/markdown", replace=name == "bare values")
    seen = inspect(written, hint="x.md")
    assert len(seen.places) == 1
    assert seen.label
    assert seen.label.content_propagator == OTHER
    front = yaml.safe_load(written.decode().lstrip("\ufeff").split("---")[1].partition("\n...")[0])
    assert front["AIGC"]["ContentPropagator"] == OTHER
    for kept in ("title: x", "# a comment", "# x", "words"):
        assert (kept in written.decode()) == (kept in MARKDOWNS[name])
    if "\r\n" in MARKDOWNS[name]:
        assert "\n" not in written.decode().replace("\r\n", "")


def test_the_front_matter_of_others_stays_byte_for_byte() -> None:
    written = write(TEXT.encode(), LABEL, hint="a.md").decode()
    start = written.index("AIGC:")
    assert written[:start] + written[written.index("---", start) :] == TEXT
    for text in ("# no front matter\n", "", "---\nwords, no map\n---\n", "---\n- a\n---\n", "---\n\n# x", "----\nx", "--- x\n"):
        written = write(text.encode(), LABEL, hint="a.md").decode()
        assert written.endswith(text)
        assert written.startswith("---\nAIGC:\n")
    assert write(b"---\n---\n", LABEL, hint="a.md").decode().count("---") == 2


@pytest.mark.parametrize(
    "text",
    [
        f"# x\n\n```yaml\n---\n{MAP}---\n```\n",
        f"# x\n\n~~~~\n```\n---\n{MAP}---\n~~~~\n",
        f"# x\n\n{MAP}\n",
        f"---\ntitle: x\nnotes: |\n  {MAP.replace(chr(10), chr(10) + '  ')}\n---\n",
        f"---\ntitle: x\n---\n\n---\nNote: see\n```\n---\n{MAP}---\n```\n",
        f"    ---\n{MAP}    ---\n",
    ],
    ids=range(6),
)
def test_code_and_prose_are_no_places(text: str) -> None:
    assert read(text.encode(), hint="a.md") is None
    assert read(write(text.encode(), LABEL, hint="a.md"), hint="a.md") == LABEL


@pytest.mark.parametrize(
    "text",
    [
        f"---\n{MAP}",
        "---\na: b: c\n---\n",
        "---\nAIGC: &x {}\nb: *y\n---\n",
        "---\nb: &x\n  Label: '1'\nAIGC: *x\n---\n",
        f"---\n{{AIGC: '{INNER}'}}\n---\n",
        "---\n" + "a: " * 3000 + "\n---\n",
        "---\n" + "[" * 5000 + "\n---\n",
        b"\xff\xfe#\0",
        b"# GB\xb0\xa1 \xff",
        "# x\0",
        "---\n" + "x: y\n" * 60_000 + "---\n",
        "# x\n" + f"---\n{MAP}---\n\n" * 200,
        "+++\nAIGC = [\n+++\n",
    ],
    ids=range(13),
)
def test_markdown_that_cannot_be_told_is_damaged(text: str | bytes) -> None:
    assert inspect(data(text), hint="a.md").verdict == "inconclusive"


def test_toml_is_read_and_not_written() -> None:
    text = f"+++\ntitle = 'x'\nAIGC = '{INNER}'\n+++\n# x\n"
    assert read(text.encode(), hint="a.md") == OLD
    with pytest.raises(GuijuError) as told:
        write(text.encode(), first_label(OTHER, "n"), hint="a.md")
    assert told.value.code.code == "LABEL-NO-ROOM"


def test_aliases_do_not_grow_and_dashes_cost_a_bounded_time() -> None:
    started = time.process_time()
    bomb = (
        "---\na: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9))
        + "---\n"
    )
    assert inspect(bomb.encode(), hint="a.md").verdict == "not_found"
    assert inspect(("---\n" * 500_000 + "AIGC: x").encode(), hint="a.md").verdict in ("not_found", "inconclusive")
    block = "---\nz: '\nAIGC: 1'\na: [" + "1," * 30_000 + "]\n---\n"
    assert inspect((block * 100).encode(), hint="a.md").verdict == "inconclusive"
    assert inspect(("# x\n" + "```\n" * 500_000 + "AIGC: x").encode(), hint="a.md").verdict == "not_found"
    assert time.process_time() - started < 10


def test_a_hint_is_believed_of_texts_alone() -> None:
    assert inspect(b"# x", hint="a.md").container == "Markdown"
    assert inspect(b"# x", hint="text/plain; charset=utf-8").container == "text"
    assert inspect(b"# x", hint="a/b.JSON").container == "text"
    assert inspect(b"<p>x", hint="a.htm").container == "HTML"
    assert inspect(b"# x").container == "unknown"
    assert inspect(b"# x", hint="a.png").container == "unknown"
    for name in ("plain.png", "plain.wav", "plain.docx", "plain.pdf"):
        for hint in ("a.md", "text/html", "a.txt"):
            assert inspect(sample(name), hint=hint).container not in ("Markdown", "HTML", "text", "unknown")
    assert inspect(b"\x89PNG\x00", hint="a.txt").container == "unknown"
    assert inspect(PAGE.encode(), hint="a.txt").container == "HTML"
    assert hinted("") is None


def test_a_plain_text_has_its_label_beside_it(tmp_path: Path) -> None:
    text = "山高水长\n"
    original, target = tmp_path / "a.txt", tmp_path / "b.txt"
    original.write_text(text)
    found = inspect(original)
    assert (found.container, found.verdict) == ("text", "not_found")
    assert found.warnings
    assert read_file(original) is None
    with pytest.raises(GuijuError) as told:
        write(text.encode(), LABEL, hint="a.txt")
    assert told.value.code.code == "LABEL-NO-ROOM"
    write_file(original, target, LABEL)
    assert target.read_text() == text
    assert read_file(target) == LABEL
    beside = json.loads((tmp_path / "b.txt.aigc.json").read_text())
    assert list(beside["AIGC"]) == [
        "Label",
        "ContentProducer",
        "ProduceID",
        "ReservedCode1",
        "ContentPropagator",
        "PropagateID",
        "ReservedCode2",
    ]
    assert inspect(target).verdict == "compliant"
    assert inspect(target).places[0].channel == "text:beside"
    write_file(target, target, first_label(OTHER, "second"))
    after = read_file(target)
    assert isinstance(after, FileLabel)
    assert (after.content_producer, after.content_propagator) == (CODE, OTHER)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.txt", "b.txt.aigc.json"]


def test_a_label_beside_a_text_that_was_changed_is_seen_and_not_overwritten_unasked(tmp_path: Path) -> None:
    target = tmp_path / "b.txt"
    target.write_text("one")
    write_file(target, target, LABEL)
    target.write_text("another")
    assert isinstance(read_file(target), Damaged)
    assert inspect(target).verdict == "inconclusive"
    with pytest.raises(GuijuError) as told:
        write_file(target, target, first_label(OTHER, "n"))
    assert told.value.code.code == "LABEL-CONFLICT"
    write_file(target, target, first_label(OTHER, "n"), replace=True)
    assert read_file(target) == first_label(OTHER, "n")
    for wrong in ("{", "[]", "{}", '{"SHA256": 1}'):
        (tmp_path / "b.txt.aigc.json").write_text(wrong)
        assert inspect(target).verdict != "compliant"
        assert not isinstance(read_file(target), FileLabel)


def test_another_reader_sees_the_label_of_a_page(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes(write(PAGE.encode(), LABEL))
    assert f'"ContentProducer":"{CODE}"' in exiftool(tmp_path / "a.html")


def _written_or_refused(file: bytes, hint: str) -> bytes:
    try:
        return write(file, LABEL, hint=hint)
    except GuijuError as error:
        if error.code.code in ("LABEL-DAMAGED", "LABEL-CONTAINER", "LABEL-NO-ROOM", "LABEL-CONFLICT"):
            return b""
        raise


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200), st.sampled_from(["", "<!doctype html>", "---\n", "---\ntitle: x\n---\n", "```\n", "\ufeff"]))
def test_any_text_takes_a_label_or_is_refused_and_keeps_every_character(text: str, begin: str) -> None:
    file = (begin + text).encode("utf-8", "surrogatepass")
    for hint in ("a.md", "a.html"):
        written = _written_or_refused(file, hint)
        if not written:
            continue
        assert read(written, hint=hint) == LABEL
        module = markdown if inspect(written, hint=hint).container == "Markdown" else html
        site = module.examine(Source(written)).sites[0]
        rest = written[: site.start] + written[site.stop :]
        assert (
            rest.replace(b"---\n---\n", b"", 1) == file.replace(b"---\n---\n", b"", 1)
            or rest == file
            or rest.replace(b"\n---", b"---", 1) == file
        )


def test_what_is_no_text_is_refused_by_each_reader() -> None:
    for module in (html, markdown):
        with pytest.raises(Broken):
            module.examine(Source(b"<!doctype html>\0"))
