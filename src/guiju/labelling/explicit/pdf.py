"""Words on every page of a PDF, as an increment: the original bytes stay, page by page a little is said anew behind them.

The words are real text (they can be searched and copied): each glyph is drawn once and goes into a small Type 3 font with its Unicode value,
so no font of anybody's is embedded. Source: Labelling Measures Art. 4; GB 45438-2025 §5.1.
"""

import io
import math
import zlib
from typing import Any, Final, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from guiju.core.errors import GuijuError
from guiju.labelling.explicit.drawing import INK
from guiju.labelling.explicit.errors import LABEL_LIBRARY, LABEL_MEDIUM, LABEL_NOT_SEEN, LABEL_TOO_LARGE, LABEL_TOO_SMALL, LABEL_UNDECODABLE
from guiju.labelling.explicit.fonts import Font, find_font
from guiju.labelling.values import ExplicitStyle, Marked

PAGES_AT_MOST: Final = 5_000
_OBJECTS_AT_MOST: Final = 8_000_000
_GLYPH_PX: Final = 128
_SHARE: Final = 0.02
_LEAST_PT: Final = 9.0
_NAME: Final = "GuijuLabel"


class _Glyph(NamedTuple):
    advance: int
    stream: bytes


class _Writer:
    """New objects and pages behind the original: their bytes, and where each begins."""

    def __init__(self, data: bytes, free: int) -> None:
        self.out = bytearray(data if data.endswith((b"\n", b"\r")) else data + b"\n")
        self.places: dict[int, tuple[int, int]] = {}
        self.free = free

    def add(self, body: bytes) -> int:
        number, self.free = self.free, self.free + 1
        self.put(number, 0, body)
        return number

    def add_stream(self, body: bytes, more: str = "") -> int:
        packed = zlib.compress(body, 9)
        return self.add(f"<< /Length {len(packed)} /Filter /FlateDecode {more}>>\nstream\n".encode() + packed + b"\nendstream")

    def put(self, number: int, generation: int, body: bytes) -> None:
        self.places[number] = (len(self.out), generation)
        self.out += f"{number} {generation} obj\n".encode() + body + b"\nendobj\n"

    def runs(self) -> list[list[int]]:
        """Return the numbers that were written, those that follow each other together."""
        runs: list[list[int]] = []
        for number in sorted(self.places):
            if runs and runs[-1][-1] == number - 1:
                runs[-1].append(number)
            else:
                runs.append([number])
        return runs


def mark_pdf(data: bytes, style: ExplicitStyle) -> Marked:
    """Return the PDF with the words at a corner or edge of every page. Raises as `media.mark` does."""
    try:
        import pypdf
    except ImportError:
        raise GuijuError(LABEL_LIBRARY, form="PDF", library="pypdf", extra="documents") from None
    font = find_font(style.text, style.font_file)
    faults = (pypdf.errors.PyPdfError, ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError, NotImplementedError, OSError, RecursionError, zlib.error, OverflowError)  # fmt: skip
    try:
        reader = pypdf.PdfReader(io.BytesIO(data), strict=True)
        _check(reader)
        marked, letter_pt = _marked(data, reader, style, font)
        _read_back(pypdf.PdfReader(io.BytesIO(marked), strict=True), len(reader.pages), style)
    except faults as error:
        raise GuijuError(LABEL_UNDECODABLE, form="PDF", reason=f"{type(error).__name__}: {error}"[:200]) from error
    if not marked.startswith(data):
        raise GuijuError(LABEL_NOT_SEEN, form="PDF", reason="the original bytes are not there", reason_zh="原文件的字节不完整")
    return Marked(data=marked, medium="document", how=f"document;form=PDF;place={style.place}_of_every_page;pages={len(reader.pages)};letter_pt={letter_pt:.1f};original_bytes=same")  # fmt: skip


def _check(reader: Any) -> None:
    if reader.is_encrypted:
        raise GuijuError(LABEL_MEDIUM, form="PDF", reason="it is encrypted", reason_zh="它已加密")
    root = reader.trailer["/Root"].get_object()
    form = root.get("/AcroForm")
    flags = form.get_object().get("/SigFlags", 0) if form is not None else 0
    if "/Perms" in root or int(flags) & 1:
        raise GuijuError(
            LABEL_MEDIUM,
            form="PDF",
            reason="it is signed, and would be no longer as it was signed",
            reason_zh="它有数字签名，改动会使签名失效",
        )
    if not 0 < len(reader.pages) <= PAGES_AT_MOST:
        raise GuijuError(LABEL_TOO_LARGE, form="PDF", found=len(reader.pages), unit="pages", unit_zh="页", most=PAGES_AT_MOST)
    if not 0 < int(reader.trailer["/Size"]) < _OBJECTS_AT_MOST:
        raise ValueError("the number of its objects cannot be")


# ── the increment ───────────────────────────────────────────────────────────────────────────────────────────────────


def _marked(data: bytes, reader: Any, style: ExplicitStyle, font: Font) -> tuple[bytes, float]:
    text = f"（{style.text}）"
    signs = list(dict.fromkeys(text))
    writer = _Writer(data, int(reader.trailer["/Size"]))
    glyphs = {sign: _bracket(sign) if sign in "（）" else _glyph(sign, font) for sign in signs}
    face = _font(writer, signs, glyphs)
    before = writer.add_stream(b"q\n")
    least = math.inf
    seen: set[int] = set()
    for page in reader.pages:
        reference = page.indirect_reference
        if reference is None or reference.idnum in seen:
            raise ValueError("a page stands there twice, or is no object of its own")
        seen.add(reference.idnum)
        code, letter = _words(page, text, signs, glyphs, style)
        least = min(least, letter)
        writer.put(reference.idnum, reference.generation, _page(page, before, writer.add_stream(code), face))
    _finish(writer, data, reader)
    return bytes(writer.out), least


def _page(page: Any, before: int, behind: int, face: int) -> bytes:
    """Return the page as it was, with our drawing behind its own and our font among its own."""
    from pypdf.generic import ArrayObject, DictionaryObject, IndirectObject, NameObject

    changed = DictionaryObject(dict.items(page))
    old = page.get("/Contents")
    inner = page.raw_get("/Contents") if old is not None else None
    parts = list(old.get_object()) if old is not None and isinstance(old.get_object(), list) else [inner] if inner is not None else []
    if not all(isinstance(part, IndirectObject) for part in parts):
        raise ValueError("the content of a page is no object of its own")
    changed[NameObject("/Contents")] = ArrayObject([IndirectObject(before, 0, page.pdf), *parts, IndirectObject(behind, 0, page.pdf)])
    resources = DictionaryObject(_entries(page, "/Resources"))
    fonts = DictionaryObject(_entries(resources, "/Font"))
    fonts[NameObject(f"/{_NAME}")] = IndirectObject(face, 0, page.pdf)
    resources[NameObject("/Font")] = fonts
    changed[NameObject("/Resources")] = resources
    out = io.BytesIO()
    changed.write_to_stream(out)
    return out.getvalue()


def _entries(owner: Any, key: str) -> Any:
    """Return the entries of a dictionary in a dictionary, references as they are; none where it is not there."""
    return dict.items(owner[key].get_object()) if key in owner else ()


def _finish(writer: _Writer, data: bytes, reader: Any) -> None:
    """Write where the objects are, in the way that the original says it: as a table or as a stream."""
    previous = int(data[data.rindex(b"startxref") + 9 :].split()[0])
    size = writer.free
    kept = b""
    for key in ("/Root", "/Info", "/ID"):
        if key in reader.trailer:
            out = io.BytesIO()
            reader.trailer.raw_get(key).write_to_stream(out)
            kept += key.encode() + b" " + out.getvalue() + b" "
    if data[previous : previous + 4] == b"xref":
        start = len(writer.out)
        writer.out += b"xref\n0 1\n0000000000 65535 f\r\n"
        for run in writer.runs():
            writer.out += f"{run[0]} {len(run)}\n".encode()
            writer.out += b"".join(b"%010d %05d n\r\n" % writer.places[number] for number in run)
        writer.out += b"trailer\n<< /Size %d /Prev %d " % (size, previous) + kept + b">>\n"
    else:
        start = len(writer.out)
        writer.places[size] = (start, 0)
        runs = writer.runs()
        rows = b"".join(
            b"\1" + writer.places[number][0].to_bytes(5, "big") + writer.places[number][1].to_bytes(2, "big")
            for run in runs
            for number in run
        )
        index = " ".join(f"{run[0]} {len(run)}" for run in runs)
        packed = zlib.compress(rows, 9)
        head = f"{size} 0 obj\n<< /Type /XRef /Size {size + 1} /Prev {previous} /W [1 5 2] /Index [{index}] /Length {len(packed)} /Filter /FlateDecode "
        writer.out += head.encode() + kept + b">>\nstream\n" + packed + b"\nendstream\nendobj\n"
    writer.out += b"startxref\n%d\n%%%%EOF\n" % start


# ── words on a page ─────────────────────────────────────────────────────────────────────────────────────────────────


def _words(page: Any, text: str, signs: list[str], glyphs: dict[str, _Glyph], style: ExplicitStyle) -> tuple[bytes, float]:
    """Return the drawing of one page and the size of its letters in points: a white plate, a thin edge, black words."""
    box = page.cropbox
    x0, y0, x1, y1 = (float(each) for each in (box.left, box.bottom, box.right, box.top))
    turn = int(page.get("/Rotate", 0) or 0) % 360
    width, height = (y1 - y0, x1 - x0) if turn in (90, 270) else (x1 - x0, y1 - y0)
    letter = max(_SHARE * min(width, height), _LEAST_PT)
    long = sum(glyphs[sign].advance for sign in text) / 1000 * letter
    across, along, margin = long + letter, letter * 1.6, max(style.margin_percent / 100 * min(width, height), 1)
    if not (across + 2 * margin <= width and along + 2 * margin <= height):
        raise GuijuError(LABEL_TOO_SMALL, width=round(width), height=round(height), glyph_px=round(letter), text=style.text)
    left = width - margin - across if style.place.endswith("right") else margin if style.place.endswith("left") else (width - across) / 2
    top = height - margin - along if style.place.startswith("top") else margin
    turned = {0: (1, 0, 0, 1, x0, y0), 90: (0, 1, -1, 0, x1, y0), 180: (-1, 0, 0, -1, x1, y1), 270: (0, -1, 1, 0, x0, y1)}.get(turn)
    if turned is None:
        raise ValueError(f"a page is turned by {turn} degrees")
    code = "".join(f"{signs.index(sign) + 1:02x}" for sign in text)
    drawing = (
        f"Q q {' '.join(f'{each:g}' for each in turned)} cm 0.5 w 1 g 0 G {left:.2f} {top:.2f} {across:.2f} {along:.2f} re B "
        f"0 g BT /{_NAME} {letter:.2f} Tf 0 Tr {left + letter / 2:.2f} {top + 0.45 * letter:.2f} Td <{code}> Tj ET Q\n"
    )
    return drawing.encode(), letter


def _font(writer: _Writer, signs: list[str], glyphs: dict[str, _Glyph]) -> int:
    procedures = " ".join(f"/g{place} {writer.add_stream(glyphs[sign].stream)} 0 R" for place, sign in enumerate(signs, 1))
    values = "\n".join(f"<{place:02x}> <{sign.encode('utf-16-be').hex()}>" for place, sign in enumerate(signs, 1))
    table = (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /GuijuLabel def /CMapType 2 def\n"
        f"1 begincodespacerange <00> <ff> endcodespacerange\n{len(signs)} beginbfchar\n{values}\nendbfchar\nendcmap end end\n"
    )
    unicode = writer.add_stream(table.encode())
    names = " ".join(f"/g{place}" for place in range(1, len(signs) + 1))
    widths = " ".join(str(glyphs[sign].advance) for sign in signs)
    return writer.add(
        f"<< /Type /Font /Subtype /Type3 /FontBBox [0 -300 1200 1000] /FontMatrix [0.001 0 0 0.001 0 0] /CharProcs << {procedures} >> "
        f"/Encoding << /Type /Encoding /Differences [1 {names}] >> /FirstChar 1 /LastChar {len(signs)} /Widths [{widths}] /ToUnicode {unicode} 0 R /Resources << >> >>".encode()
    )


def _glyph(sign: str, font: Font) -> _Glyph:
    """Return a glyph of 1000 units an em: a stencil of its ink."""
    face = font.at(_GLYPH_PX)
    scale = 1000 / _GLYPH_PX
    advance = round(face.getlength(sign) * scale)
    box = face.getbbox(sign, anchor="ls")
    left, top, right, bottom = math.floor(box[0]), math.floor(box[1]), math.ceil(box[2]), math.ceil(box[3])
    width, height = right - left, bottom - top
    if width <= 0 or height <= 0:
        return _Glyph(advance, f"{advance} 0 0 0 0 0 d1\n".encode())
    canvas = Image.new("L", (width, height))
    ImageDraw.Draw(canvas).text((-left, -top), sign, fill=255, font=face, anchor="ls")
    bits = np.packbits(np.asarray(canvas) >= INK, axis=1).tobytes().hex()
    x, y = left * scale, -bottom * scale
    return _Glyph(
        advance,
        (
            f"{advance} 0 {x:.0f} {y:.0f} {right * scale:.0f} {-top * scale:.0f} d1\nq {width * scale:.2f} 0 0 {height * scale:.2f} {x:.2f} {y:.2f} cm\n"
            f"BI /W {width} /H {height} /BPC 1 /IM true /D [1 0] /F /AHx ID {bits}> EI Q\n"
        ).encode(),
    )


def _bracket(sign: str) -> _Glyph:
    """Return a bracket as a line, so that no font needs it."""
    near, far = (250, 100) if sign == "（" else (100, 250)
    return _Glyph(350, f"350 0 80 -150 270 900 d1\n50 w {near} 880 m {far} 650 {far} 100 {near} -130 c S\n".encode())


def _read_back(reader: Any, pages: int, style: ExplicitStyle) -> None:
    """Look whether every page has the drawing and the ends of the document the words. Raises LABEL-NOT-SEEN."""
    for place, page in enumerate(reader.pages):
        parts = page["/Contents"].get_object()
        last = parts[-1].get_object().get_data()
        if f"/{_NAME} ".encode() not in last or f"/{_NAME}" not in page["/Resources"].get_object()["/Font"].get_object():
            raise GuijuError(
                LABEL_NOT_SEEN, form="PDF", reason=f"page {place + 1} has no words", reason_zh=f"第 {place + 1} 页没有标识文字"
            )
        if place in (0, pages - 1) and "".join(style.text.split()) not in "".join(page.extract_text().split()):
            raise GuijuError(
                LABEL_NOT_SEEN, form="PDF", reason=f"page {place + 1} has no words to be read", reason_zh=f"第 {place + 1} 页读不到标识文字"
            )
    if len(reader.pages) != pages:
        raise GuijuError(LABEL_NOT_SEEN, form="PDF", reason="it has another number of pages", reason_zh="页数不同")
