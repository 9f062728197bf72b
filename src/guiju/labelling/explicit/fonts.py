"""A font that really has the glyphs of the label: named in the settings, or found on the machine."""

import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from PIL import ImageFont

from guiju.core.errors import GuijuError
from guiju.labelling.explicit.errors import LABEL_FONT

_FOLDERS: Final = ("/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts", "/System/Library/Fonts")
_LIKELY: Final = ("cjk", "sourcehan", "notosanssc", "notosanshans", "wqy", "droidsansfallback", "simhei", "msyh", "pingfang", "heiti", "alibabapuhuiti", "uming", "ukai", "song", "hei", "kai")  # fmt: skip
_SUFFIXES: Final = frozenset({".ttf", ".ttc", ".otf", ".otc"})
_NO_GLYPH: Final = "\U0010fffe"
"""A character that no font has: what is drawn for it is the box for missing glyphs."""
_WAIT_S: Final = 10


class Font(NamedTuple):
    """A font file, and which of its faces."""

    file: str
    face: int

    def at(self, size_px: int) -> ImageFont.FreeTypeFont:
        """Return the face at a size; the plain layout engine, so that a picture looks alike on every machine."""
        return ImageFont.truetype(self.file, size_px, index=self.face, layout_engine=ImageFont.Layout.BASIC)


def find_font(text: str, font_file: str = "") -> Font:
    """Return a font with every glyph of the text. Raises GuijuError LABEL-FONT when there is none.

    A font that fontconfig offers for Chinese may lack the glyphs and draw boxes; so every candidate is tried.
    """
    if font_file:
        missing = missing_glyphs(text, Font(font_file, 0))
        if missing:
            raise GuijuError(LABEL_FONT, missing=missing, reason=f"{font_file} lacks them or is no font", reason_zh=f"{font_file} 缺少这些字或不是字体")  # fmt: skip
        return Font(font_file, 0)
    font = _found(text)
    if font is None:
        raise GuijuError(LABEL_FONT, missing=text, reason="no installed font has them", reason_zh="已安装的字体都没有这些字")
    return font


@lru_cache(maxsize=16)
def _found(text: str) -> Font | None:
    return next((font for font in (*_from_fontconfig(text), *_from_folders()) if not missing_glyphs(text, font)), None)


def missing_glyphs(text: str, font: Font) -> str:
    """Return the characters that the font does not have; all of them when it is no font."""
    try:
        face = font.at(32)
    except (OSError, ValueError):
        return text
    box = _shape(face, _NO_GLYPH)
    return "".join(sign for sign in dict.fromkeys(text) if not sign.isspace() and _shape(face, sign) in (box, b""))


def _shape(face: ImageFont.FreeTypeFont, sign: str) -> bytes:
    mask = face.getmask(sign, mode="L")
    return bytes(mask) if mask.size[0] and any(bytes(mask)) else b""


def _from_fontconfig(text: str) -> list[Font]:
    """Return the fonts that fontconfig knows to have the characters, the plainest first; none where there is no fontconfig."""
    wanted = " ".join(f"{ord(sign):x}" for sign in dict.fromkeys(text) if not sign.isspace())
    try:
        done = subprocess.run(
            ["fc-list", "-f", "%{file}\t%{index}\t%{family[0]}\t%{style[0]}\n", f":charset={wanted}"],
            check=False, capture_output=True, text=True, timeout=_WAIT_S,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return []
    found = []
    for line in done.stdout.splitlines():
        file, _, rest = line.partition("\t")
        face, _, name = rest.partition("\t")
        if Path(file).suffix.lower() in _SUFFIXES and face.isdigit() and int(face) < 1 << 16:
            found.append((_rank(name), Font(file, int(face))))
    return [font for _, font in sorted(found)]


def _rank(name: str) -> int:
    """Prefer a plain, upright, sans-serif face with mainland forms: it is legible when it is small."""
    name = name.lower()
    bad = ("serif", "mono", "italic", "oblique", "thin", "light", "ming", "song", "kai", "fang")
    return 10 * sum(word in name for word in bad) - 5 * (" sc" in name) - 2 * ("medium" in name or "regular" in name)


def _from_folders() -> list[Font]:
    """Return the font files that lie where fonts usually lie, those with a Chinese name first."""
    files = [path for folder in (*_FOLDERS, str(Path.home() / ".fonts")) for path in sorted(Path(folder).rglob("*")) if path.suffix.lower() in _SUFFIXES]  # fmt: skip
    likely = [path for path in files if any(word in path.name.lower() for word in _LIKELY)]
    return [Font(str(path), 0) for path in likely]
