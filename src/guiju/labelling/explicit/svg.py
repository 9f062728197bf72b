"""Words in an SVG: a plate and a text element are put in before the end, in a style of their own; every other byte stays.

The viewer's own font draws the words, so the height is a reckoning: the size is one at which the shortest glyph of a common Chinese
font is high enough. Source: GB 45438-2025 §5.2.
"""

import re
from typing import Final
from xml.parsers import expat
from xml.sax.saxutils import escape

from guiju.core.errors import GuijuError
from guiju.labelling.explicit.drawing import ink_height, wrap
from guiju.labelling.explicit.errors import LABEL_MEDIUM, LABEL_NOT_SEEN, LABEL_TOO_SMALL, LABEL_UNDECODABLE
from guiju.labelling.explicit.fonts import Font
from guiju.labelling.values import ExplicitStyle, Marked

_NUMBER: Final = re.compile(r"\s*([0-9.]+(?:[eE][+-]?\d+)?)\s*(px|pt|mm|cm|in|pc)?\s*$")
_UNITS: Final = {None: 1.0, "px": 1.0, "pt": 4 / 3, "pc": 16.0, "mm": 96 / 25.4, "cm": 96 / 2.54, "in": 96.0}
_SPARE: Final = 1.1
"""A tenth above the reckoning: fonts differ."""
_SHOWN: Final = {
    "display": "inline", "visibility": "visible", "opacity": "1", "fill-opacity": "1", "stroke-opacity": "1", "transform": "none", "filter": "none",
    "mask": "none", "clip-path": "none", "animation": "none", "stroke-dasharray": "none",
}  # fmt: skip
_WORDS: Final = {
    "fill": "#000", "stroke": "none", "font-family": "sans-serif", "font-weight": "bold", "text-anchor": "middle", "letter-spacing": "normal",
    "word-spacing": "normal", "writing-mode": "horizontal-tb", "dominant-baseline": "auto", "baseline-shift": "0",
}  # fmt: skip
_NAMESPACE: Final = "http://www.w3.org/2000/svg"


def mark_svg(data: bytes, style: ExplicitStyle, font: Font) -> Marked:
    """Return the drawing with the words in it. Raises GuijuError LABEL-UNDECODABLE, LABEL-MEDIUM, LABEL-TOO-SMALL."""
    attributes, end, prefix = _root(data)
    left, top, width, height = _view(attributes)
    short = min(width, height)
    face = font.at(200)
    shortest = min(ink_height(face, sign) for sign in set(style.text) if sign.isalnum())
    size = _SPARE * max(style.height_percent, 5) / 100 * short * 200 / shortest
    unit = size / 200
    margin, pad = style.margin_percent / 100 * short, size / 4
    lines = wrap(style.text, face, int((width - 2 * margin - 2 * pad) / unit))
    across = max((face.getlength(line) for line in lines), default=0) * unit * _SPARE + 2 * pad
    along = len(lines) * size * 1.2 + 2 * pad
    if not lines or across > width - 2 * margin + pad or along > height - 2 * margin:
        raise GuijuError(LABEL_TOO_SMALL, width=round(width), height=round(height), glyph_px=round(size), text=style.text)
    x = left + (
        width - margin - across if style.place.endswith("right") else margin if style.place.endswith("left") else (width - across) / 2
    )
    y = top + (margin if style.place.startswith("top") else height - margin - along)
    element = _element(prefix, lines, x, y, across, along, size, pad)
    marked = data[:end] + element.encode() + data[end:]
    _read_back(marked, style)
    how = f"picture;form=SVG;size={width:g}x{height:g};place={style.place};lines={len(lines)};font_size={size:.4g};share_percent={100 * _SPARE * style.height_percent / 100:.2f};measured=no"  # fmt: skip
    return Marked(data=marked, medium="picture", how=how)


def _element(prefix: str, lines: list[str], x: float, y: float, across: float, along: float, size: float, pad: float) -> str:
    words = "".join(
        f'<{prefix}text x="{x + across / 2:.6g}" y="{y + pad + (place + 0.95) * size * 1.2 - size * 0.2:.6g}" font-size="{size:.6g}" '
        f'style="{_kept({**_WORDS, "font-size": f"{size:.6g}px"})}">{escape(line)}</{prefix}text>'
        for place, line in enumerate(lines)
    )
    edge = {"fill": "#fff", "stroke": "#000", "stroke-width": f"{size / 30:.6g}px"}
    plate = f'<{prefix}path d="M{x:.6g} {y:.6g}h{across:.6g}v{along:.6g}h{-across:.6g}z" style="{_kept(edge)}"/>'
    return f'<{prefix}g id="guiju-explicit-label" style="{_kept({})}">{plate}{words}</{prefix}g>'


def _kept(own: dict[str, str]) -> str:
    """Return a style that the rules of the drawing do not change: `text { font-size: 12px }` would make the words small."""
    return ";".join(f"{name}:{value}!important" for name, value in (_SHOWN | own).items())


def _parser() -> expat.XMLParserType:
    parser = expat.ParserCreate()

    def refuse(*_: object) -> None:
        raise GuijuError(LABEL_UNDECODABLE, form="SVG", reason="it declares entities")

    parser.EntityDeclHandler = refuse
    return parser


def _root(data: bytes) -> tuple[dict[str, str], int, str]:
    """Return the attributes of the root element, where its end tag begins, and the prefix of its names."""
    parser = _parser()
    depth = 0
    attributes: dict[str, str] = {}
    prefix, end = "", -1

    def opened(name: str, found: dict[str, str]) -> None:
        nonlocal depth, prefix
        if depth == 0:
            attributes.update(found)
            prefix = name[: -len("svg")]
        depth += 1

    def closed(_: str) -> None:
        nonlocal depth, end
        depth -= 1
        if depth == 0:
            end = parser.CurrentByteIndex

    parser.StartElementHandler = opened
    parser.EndElementHandler = closed
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise GuijuError(LABEL_UNDECODABLE, form="SVG", reason=str(error)) from error
    if data[end : end + 2] != b"</":
        raise GuijuError(LABEL_MEDIUM, form="SVG", reason="it is empty", reason_zh="它是空的")
    if attributes.get("xmlns" + (f":{prefix[:-1]}" if prefix else "")) != _NAMESPACE:
        raise GuijuError(LABEL_MEDIUM, form="SVG", reason="its root has no SVG namespace", reason_zh="根元素没有 SVG 命名空间")
    return attributes, end, prefix


def _view(attributes: dict[str, str]) -> tuple[float, float, float, float]:
    """Return left, top, width and height of what is shown, in the drawing's own units."""
    if "slice" in attributes.get("preserveAspectRatio", ""):
        raise GuijuError(LABEL_MEDIUM, form="SVG", reason="it is cut at its edges (slice)", reason_zh="其边缘会被裁掉（slice）")
    box = attributes.get("viewBox", "").replace(",", " ").split()
    try:
        if len(box) == 4:
            left, top, width, height = map(float, box)
        else:
            left = top = 0.0
            width, height = (_length(attributes[name]) for name in ("width", "height"))
    except (KeyError, ValueError):
        width = height = left = top = 0.0
    if not (0 < width < 1e9 and 0 < height < 1e9):
        raise GuijuError(LABEL_MEDIUM, form="SVG", reason="it has neither a viewBox nor a width and a height", reason_zh="它没有 viewBox，也没有宽和高")  # fmt: skip
    return left, top, width, height


def _length(text: str) -> float:
    found = _NUMBER.match(text)
    if found is None:
        raise ValueError(text)
    return float(found[1]) * _UNITS[found[2]]


def _read_back(data: bytes, style: ExplicitStyle) -> None:
    """Look whether the words stand in the drawing that will be delivered. Raises LABEL-NOT-SEEN."""
    words: list[str] = []
    parser = _parser()
    parser.CharacterDataHandler = words.append
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise GuijuError(LABEL_NOT_SEEN, form="SVG", reason=str(error), reason_zh=str(error)) from error
    if "".join(style.text.split()) not in "".join("".join(words).split()):
        raise GuijuError(LABEL_NOT_SEEN, form="SVG", reason="the words are not in it", reason_zh="其中没有标识文字")
