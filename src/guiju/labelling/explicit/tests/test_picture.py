"""Words in pictures: high enough, in view, upright; the rest of the picture and its metadata as they were; bad files refused."""

import io
import random
import subprocess
import sys
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin, TiffImagePlugin

from guiju.core.errors import GuijuError
from guiju.labelling.explicit import drawing, fonts, picture, png
from guiju.labelling.explicit.media import find_form, mark
from guiju.labelling.explicit.tests.canvas import STYLE, code_of, encoded, facts, needs_font, pixels, waves
from guiju.labelling.files import first_label, read, write
from guiju.labelling.values import ExplicitStyle, FileLabel

pytestmark = needs_font
PHOTO = Image.fromarray(waves(400, 300))
FORMS: list[tuple[str, dict[str, Any]]] = [
    ("JPEG", {"quality": 80}), ("JPEG", {"quality": 92, "subsampling": 0, "progressive": True}), ("PNG", {}), ("WEBP", {"quality": 80}),
    ("WEBP", {"lossless": True}), ("GIF", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("AVIF", {"quality": 70}),
]  # fmt: skip


@pytest.mark.parametrize(("form", "options"), FORMS, ids=str)
def test_the_words_are_there_and_high_enough(form: str, options: dict[str, Any]) -> None:
    marked = mark(encoded(PHOTO, form, **options), STYLE)
    found = facts(marked.how)
    assert marked.medium == "picture"
    assert found["form"].upper() == form
    assert int(found["glyph_px"]) >= 15
    assert float(found["share_percent"]) >= 5
    assert float(found["contrast"]) >= 4.5
    # In the corner there is now the most contrast of all.
    corner = pixels(marked.data, "L")[-40:, -140:]
    assert corner.max() - corner.min() > 180


@settings(max_examples=30, deadline=None)
@given(
    st.integers(90, 1200),
    st.integers(90, 1200),
    st.integers(5, 12),
    st.sampled_from(["人工智能生成", "AI生成", "由AI合成", "本内容由人工智能生成 AI"]),
)
def test_the_shortest_glyph_has_the_height_whatever_the_size(width: int, height: int, share: int, text: str) -> None:
    style = ExplicitStyle(text=text, height_percent=share)
    try:
        found = drawing.sketch(width, height, style, fonts.find_font(text))
    except GuijuError as error:
        if error.code.code != "LABEL-TOO-SMALL":
            raise
        return
    least = max(-(-share * min(width, height) // 100), 12)
    assert found.glyph_px >= least
    assert found.left > 0
    assert found.top > 0
    assert found.left + found.width < width
    assert found.top + found.height < height
    if found.lines == 1:
        rows = np.flatnonzero((found.ink >= drawing.INK).any(axis=1))
        assert rows[-1] - rows[0] + 1 >= least


def test_a_font_size_of_five_per_cent_would_be_too_small() -> None:
    face = fonts.find_font(STYLE.text).at(52)
    assert min(drawing.ink_height(face, sign) for sign in STYLE.text) < 52
    found = drawing.sketch(1024, 1024, STYLE, fonts.find_font(STYLE.text))
    assert found.glyph_px >= 52


@pytest.mark.parametrize("shade", [0, 60, 118, 130, 200, 255])
@pytest.mark.parametrize("opacity", [60, 100])
def test_words_stand_out_on_any_ground(shade: int, opacity: int) -> None:
    marked = mark(encoded(Image.new("RGB", (300, 300), (shade,) * 3), "PNG"), ExplicitStyle(opacity_percent=opacity))
    assert float(facts(marked.how)["contrast"]) >= 4.5


def test_a_thin_plate_becomes_denser_until_the_words_stand_out() -> None:
    grey = np.full((20, 40, 3), 140, np.uint8)
    assert drawing.choose_inks(grey, 0.6).opacity == 0.6
    inks = drawing.choose_inks(np.where(np.arange(40)[None, :, None] % 2, 255, 0) * np.ones((20, 1, 3)), 0.1)
    assert inks.opacity > 0.3
    assert inks.contrast >= 4.5


def test_a_style_below_the_standard_is_not_followed() -> None:
    found = facts(mark(encoded(Image.new("RGB", (400, 400)), "PNG"), ExplicitStyle(height_percent=1, opacity_percent=5)).how)
    assert float(found["share_percent"]) >= 5
    assert float(found["opacity_percent"]) >= 60
    with pytest.raises(GuijuError) as caught:
        mark(encoded(PHOTO, "PNG"), ExplicitStyle(text="智能生成"))
    assert code_of(caught) == "LABEL-WORDING"


def test_words_stand_out_on_black_and_white_stripes() -> None:
    stripes = np.zeros((300, 300, 3), np.uint8)
    stripes[:, ::2] = 255
    assert float(facts(mark(encoded(Image.fromarray(stripes), "PNG"), ExplicitStyle(opacity_percent=60)).how)["contrast"]) >= 4.5


@pytest.mark.parametrize("place", ["bottom_right", "bottom_left", "top_right", "top_left", "bottom", "top"])
def test_places(place: Any) -> None:
    blank = encoded(Image.new("RGB", (400, 300), (90, 90, 90)), "PNG")
    changed = np.argwhere((pixels(mark(blank, ExplicitStyle(place=place)).data) != 90).any(axis=2))
    (top, left), (bottom, right) = changed.min(axis=0), changed.max(axis=0)
    assert (top <= 10) == place.startswith("top")
    assert (bottom >= 290) == place.startswith("bottom")
    assert (right >= 390) == place.endswith("right")
    assert (left <= 10) == place.endswith("left")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("deep", [False, True])
def test_upright_for_the_viewer(orientation: int, deep: bool) -> None:
    """What the viewer sees of a turned picture is, pixel for pixel, what an unturned one shows."""
    upright = Image.new("RGB", (220, 160), (90, 90, 90))
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = upright.transpose(picture._BACK[orientation]) if orientation > 1 else upright
    if deep:
        chunk = b"eXIf" + exif.tobytes()[6:]
        data = _deep_png(
            np.asarray(turned).astype(np.uint16) * 257, (len(chunk) - 4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
        )
    else:
        data = encoded(turned, "PNG", exif=exif)
    with Image.open(io.BytesIO(mark(data, STYLE).data)) as found:
        assert found.getexif()[0x0112] == orientation
        back = found.convert("RGB").transpose(picture._TURNS[orientation]) if orientation > 1 else found.convert("RGB")
    wanted = pixels(mark(encoded(upright, "PNG"), STYLE).data)
    assert np.abs(np.asarray(back).astype(int) - wanted).max() <= 1


# ── what stays ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA", "P"])
def test_a_png_changes_below_the_plate_only_and_keeps_its_mode(mode: str) -> None:
    image = PHOTO.quantize(64) if mode == "P" else Image.fromarray(waves(400, 300, 4)).convert(mode)
    data = encoded(image, "PNG")
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(mark(data, STYLE).data)) as after:
        assert after.mode == before.mode == mode
        changed = np.argwhere((np.asarray(before.convert("RGBA")) != np.asarray(after.convert("RGBA"))).any(axis=2))
    assert changed.min(axis=0)[0] > 260
    assert changed.min(axis=0)[1] > 200


def test_a_full_palette_without_black_and_white_becomes_true_colour() -> None:
    image = Image.frombytes("P", (256, 256), bytes(range(256)) * 256)
    image.putpalette([part for at in range(256) for part in (at, 255 - at, 77)])
    data = encoded(image, "PNG")
    marked = mark(data, STYLE).data
    assert (pixels(marked)[:200] == pixels(data)[:200]).all()


def test_a_colour_that_is_transparent_is_not_the_ink() -> None:
    data = encoded(Image.new("RGB", (300, 300), (250, 250, 250)), "PNG", transparency=(0, 0, 0))
    found = pixels(mark(data, STYLE).data, "RGBA")
    assert (found[..., 3] == 255).all()


def test_where_something_shines_through_the_plate_is_dense() -> None:
    found = mark(encoded(Image.new("RGBA", (300, 300), (0, 0, 0, 0)), "PNG"), STYLE)
    shown = pixels(found.data, "RGBA")
    assert facts(found.how)["opacity_percent"] == "100"
    assert (shown[:200, :, 3] == 0).all()
    assert (shown[280, 200:290, 3] == 255).all()


@pytest.mark.parametrize(("options", "most"), [({"quality": 75}, 2.0), ({"quality": 95, "subsampling": 0}, 0.6), ({"quality": 30}, 2.0)])
def test_a_jpeg_away_from_the_words_changes_little(options: dict[str, Any], most: float) -> None:
    data = encoded(PHOTO, "JPEG", **options)
    marked = mark(data, STYLE).data
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(marked)) as after:
        assert before.quantization == after.quantization  # type: ignore[attr-defined]
        assert [layer[:3] for layer in before.layer] == [layer[:3] for layer in after.layer]  # type: ignore[attr-defined]
    assert np.abs(pixels(data)[:240] - pixels(marked)[:240]).mean() < most


def test_a_cmyk_jpeg_stays_cmyk() -> None:
    data = encoded(PHOTO.convert("CMYK"), "JPEG", quality=90)
    marked = mark(data, STYLE).data
    with Image.open(io.BytesIO(marked)) as after:
        assert after.mode == "CMYK"
    assert np.abs(pixels(data)[:240] - pixels(marked)[:240]).mean() < 2


def test_a_jpeg_of_rgb_stays_rgb() -> None:
    data = encoded(PHOTO, "JPEG", quality=90, keep_rgb=True)
    marked = mark(data, STYLE).data
    with Image.open(io.BytesIO(marked)) as after:
        assert after.info["adobe_transform"] == 0
    assert np.abs(pixels(data)[:240] - pixels(marked)[:240]).mean() < 1


def _deep_png(samples: Any, extra: bytes = b"", filters: tuple[int, ...] = (0,)) -> bytes:
    """Return a PNG of 16 bits whose lines have these filters by turns."""
    height, width, channels = samples.shape
    raw = np.frombuffer(samples.astype(">u2").tobytes(), np.uint8).reshape(height, -1).astype(int)
    step, lines, above = 2 * channels, [], np.zeros(raw.shape[1], int)
    for place, row in enumerate(raw):
        kind = filters[place % len(filters)]
        left, corner = np.concatenate([np.zeros(step, int), row[:-step]]), np.concatenate([np.zeros(step, int), above[:-step]])
        guess = left + above - corner
        a, b, c = np.abs(guess - left), np.abs(guess - above), np.abs(guess - corner)
        paeth = np.where((a <= b) & (a <= c), left, np.where(b <= c, above, corner))
        lines.append(bytes([kind]) + bytes(((row - (0, left, above, (left + above) // 2, paeth)[kind]) & 255).astype(np.uint8)))
        above = row
    head = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([16, {1: 0, 3: 2, 2: 4, 4: 6}[channels], 0, 0, 0])
    parts = [head, b"IDAT" + zlib.compress(b"".join(lines)), b"IEND"]
    made = [(len(part) - 4).to_bytes(4, "big") + part + zlib.crc32(part).to_bytes(4, "big") for part in parts]
    return b"".join((b"\x89PNG\r\n\x1a\n", made[0], extra, made[1], made[2]))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bits_stay_sixteen(channels: int) -> None:
    samples = np.random.default_rng(7).integers(0, 65536, (150, 200, channels), dtype=np.uint16)
    data = _deep_png(samples, filters=(0, 1, 2, 3, 4))
    assert (png.read_deep(data) == samples).all()
    after = png.read_deep(mark(data, STYLE).data)
    assert (after[:100] == samples[:100]).all()
    assert (after[-30:] != samples[-30:]).any()


def test_metadata_of_a_png_stay() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "a river")
    text.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta xmlns:x='adobe:ns:meta/'/>")
    data = encoded(PHOTO, "PNG", pnginfo=text, icc_profile=b"profile", dpi=(300, 300))
    before = {(name, part) for name, part in png.chunks(data) if name != b"IDAT"}
    after = {(name, part) for name, part in png.chunks(mark(data, STYLE).data) if name != b"IDAT"}
    assert before == after


def test_metadata_of_a_jpeg_stay() -> None:
    exif = Image.Exif()
    exif[0x010F] = "maker"
    data = encoded(
        PHOTO,
        "JPEG",
        exif=exif,
        icc_profile=b"p" * 70_000,
        comment=b"a river",
        dpi=(300, 300),
        xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>",
    )
    marked = mark(data, STYLE).data
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(marked)) as after:
        assert before.applist == after.applist  # type: ignore[attr-defined]
        assert before.info == after.info


@pytest.mark.parametrize(("form", "options"), [("WEBP", {}), ("AVIF", {}), ("TIFF", {})])
def test_metadata_of_the_others_stay(form: str, options: dict[str, Any]) -> None:
    exif = Image.Exif()
    exif[0x010F] = "maker"
    if form == "TIFF":
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags[0x010F], tags[0x010E], tags[700] = "maker", "a river", b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
        data = encoded(PHOTO, form, tiffinfo=tags, icc_profile=b"profile", dpi=(300, 300))
    else:
        data = encoded(PHOTO, form, exif=exif, icc_profile=b"profile" * 20 if form == "AVIF" else b"profile", xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>", **options)  # fmt: skip
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(mark(data, STYLE).data)) as after:
        assert after.getexif()[0x010F] == "maker"
        assert after.info["icc_profile"] == before.info["icc_profile"]
        assert after.info.get("xmp") == before.info.get("xmp")
        if form == "TIFF":
            assert after.tag_v2[0x010E] == "a river"  # type: ignore[attr-defined]
            assert after.info["dpi"] == before.info["dpi"]


@pytest.mark.parametrize(("form", "options"), [("JPEG", {}), ("PNG", {}), ("WEBP", {}), ("GIF", {})])
def test_the_label_of_whoever_made_it_stays(form: str, options: dict[str, Any]) -> None:
    theirs = first_label("001191310104MACE0YX63918020", "7f3a")
    data = write(encoded(PHOTO, form, **options), theirs)
    marked = mark(data, STYLE).data
    assert read(marked) == theirs
    ours = read(write(marked, first_label("001191110102MACQD9K64010000", "9")))
    assert isinstance(ours, FileLabel)
    assert (ours.content_producer, ours.content_propagator) == ("001191310104MACE0YX63918020", "001191110102MACQD9K64010000")


# ── moving pictures ─────────────────────────────────────────────────────────────────────────────────────────────────


def _frames(count: int, clear: bool = False) -> list[Image.Image]:
    frames = []
    for place in range(count):
        frame = Image.new("RGBA", (240, 200), (0, 0, 0, 0) if clear else (40 * place, 120, 200, 255))
        frame.paste((255, 200, 0, 255), (20 * place, 30, 20 * place + 40, 80))
        frames.append(frame)
    return frames


@pytest.mark.parametrize(("form", "options"), [("GIF", {"disposal": 2}), ("PNG", {}), ("WEBP", {"lossless": True}), ("AVIF", {})])
@pytest.mark.parametrize("clear", [False, True])
def test_every_frame_has_the_words_and_its_time(form: str, options: dict[str, Any], clear: bool) -> None:
    first, *others = _frames(5, clear)
    more = {} if form == "AVIF" else {"loop": 3}
    data = encoded(first, form, save_all=True, append_images=others, duration=[100, 200, 300, 100, 500], **more, **options)
    marked = mark(data, STYLE).data
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(marked)) as after:
        assert after.n_frames == before.n_frames == 5  # type: ignore[attr-defined]
        for place in range(5):
            before.seek(place)
            after.seek(place)
            before.load()
            after.load()
            assert round(after.info["duration"]) == round(before.info["duration"])
            assert after.info.get("loop") == before.info.get("loop")
            old, new = np.asarray(before.convert("RGBA")).astype(int), np.asarray(after.convert("RGBA")).astype(int)
            seen = old[:150, :, 3:] > 0
            assert np.abs((old[:150] - new[:150]) * seen).max() <= (40 if form == "AVIF" else 0)
            assert new[-30:, -100:, :3].max() - new[-30:, -100:, :3].min() > 180


def test_a_picture_apart_from_the_frames_takes_no_time_of_theirs() -> None:
    first, *others = _frames(3)
    marked = mark(encoded(first, "PNG", save_all=True, append_images=others, default_image=True, duration=[100, 700]), STYLE).data
    with Image.open(io.BytesIO(marked)) as after:
        lasts = []
        for place in range(3):
            after.seek(place)
            after.load()
            lasts.append(after.info.get("duration"))
        assert lasts == [None, 100, 700]
        assert after.info["default_image"]


def test_a_comment_of_a_gif_stays() -> None:
    first, *others = _frames(3)
    data = encoded(first, "GIF", save_all=True, append_images=others, comment=b"a river", duration=100)
    with Image.open(io.BytesIO(mark(data, STYLE).data)) as after:
        after.seek(2)
        assert b"a river" in mark(data, STYLE).data


# ── what is refused ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (24, 24), (20, 1000)])
def test_a_picture_without_room_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(GuijuError) as caught:
        mark(encoded(Image.new("RGB", size), "PNG"), STYLE)
    assert code_of(caught) == "LABEL-TOO-SMALL"
    assert facts(mark(encoded(Image.new("RGB", (96, 96)), "PNG"), STYLE).how)["lines"] in ("1", "2")


def test_long_words_are_wrapped_and_never_made_smaller() -> None:
    found = facts(mark(encoded(Image.new("RGB", (200, 600)), "PNG"), ExplicitStyle(text="本图片由人工智能生成，请注意辨别真伪")).how)
    assert int(found["lines"]) >= 2
    assert int(found["glyph_px"]) >= 12


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF"])
def test_a_cut_or_spoilt_file_is_refused_or_marked_and_nothing_else(form: str) -> None:
    data = encoded(Image.fromarray(waves(120, 110)), form)
    chance = random.Random(5)
    for place in [*range(0, len(data), max(len(data) // 12, 1)), len(data) - 1]:
        _refused_or_marked(data[:place])
    for _ in range(25):
        spoilt = bytearray(data)
        for _ in range(chance.randint(1, 4)):
            spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
        _refused_or_marked(bytes(spoilt))


def _refused_or_marked(data: bytes) -> None:
    try:
        marked = mark(data, STYLE)
    except GuijuError:
        return
    assert marked.data != data


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_a_picture_that_is_cut_is_refused(form: str) -> None:
    data = encoded(PHOTO, form)
    with pytest.raises(GuijuError) as caught:
        mark(data[: len(data) * 2 // 3], STYLE)
    assert code_of(caught) == "LABEL-UNDECODABLE"


def test_a_picture_of_too_many_pixels_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = bytearray(encoded(Image.new("L", (200, 200)), "PNG"))
    bomb[16:24] = (60_000).to_bytes(4, "big") * 2
    bomb[29:33] = zlib.crc32(bytes(bomb[12:29])).to_bytes(4, "big")
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(GuijuError) as caught:
        mark(bytes(bomb), STYLE)
    assert code_of(caught) == "LABEL-TOO-LARGE"


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"", "LABEL-MEDIUM"), (b"\0" * 50, "LABEL-MEDIUM"), (b"\0\0\0\x18ftypheic" + b"\0" * 40, "LABEL-UNDECODABLE"), (b"BM" + b"\0" * 60, "LABEL-MEDIUM")],
)  # fmt: skip
def test_other_files_are_refused(data: bytes, code: str) -> None:
    with pytest.raises(GuijuError) as caught:
        mark(data, STYLE)
    assert code_of(caught) == code


def test_further_pictures_in_a_jpeg_do_not_leave_without_a_label() -> None:
    second = encoded(PHOTO, "JPEG", quality=50)
    data = encoded(PHOTO, "MPO", save_all=True, append_images=[Image.fromarray(waves(400, 300)[::-1])])
    assert find_form(data) == "JPEG"
    marked = mark(data + second, STYLE).data
    assert marked.count(b"\xff\xd8\xff") == 1
    with Image.open(io.BytesIO(marked)) as after:
        assert after.format == "JPEG"


# ── fonts ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_font_without_the_glyphs_is_not_taken() -> None:
    found = fonts.find_font("人工智能生成")
    assert fonts.missing_glyphs("人工智能生成", found) == ""
    # Told by fontconfig, not by what is tested: these have Latin letters and no Chinese ones.
    poor = [font for font in fonts._from_fontconfig("A") if font not in fonts._from_fontconfig("人")]
    if not poor:
        pytest.skip("every installed font has Chinese glyphs")
    # Some draw a box for what they have not, some nothing.
    assert [font for font in poor if not fonts.missing_glyphs("人", font)] == []
    with pytest.raises(GuijuError) as caught:
        mark(encoded(PHOTO, "PNG"), ExplicitStyle(font_file=poor[0].file))
    assert code_of(caught) == "LABEL-FONT"
    assert "人工智能生成" in caught.value.text("zh")


def test_without_any_font_nothing_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_from_fontconfig", lambda text: [])
    monkeypatch.setattr(fonts, "_from_folders", list)
    fonts._found.cache_clear()
    with pytest.raises(GuijuError) as caught:
        mark(encoded(PHOTO, "PNG"), STYLE)
    fonts._found.cache_clear()
    assert code_of(caught) == "LABEL-FONT"
    assert "fonts-noto-cjk" in caught.value.text("en")


def test_the_folders_are_looked_through_where_there_is_no_fontconfig(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert fonts._from_fontconfig("人") == []
    if any(not fonts.missing_glyphs("人", font) for font in fonts._from_folders()):
        fonts._found.cache_clear()
        assert fonts.missing_glyphs("人", fonts.find_font("人工智能生成")) == ""
    fonts._found.cache_clear()


def test_a_worker_of_the_gateway_loads_none_of_it() -> None:
    code = "import sys, guiju.gateway.worker, guiju.labelling.explicit.media; print([name for name in ('PIL', 'av', 'pypdf') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
