"""The watermark of pictures: read back after what pictures go through, by nobody without the key, and never where there is none.

Guarded: the check bits and the lattice's shift in `_read`, the read-back in `embed`, the sizes in `_opened`, `order.watermark_key` and `before` in
`publish`.
"""

import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from guiju.cli import whole_app
from guiju.core.errors import GuijuError
from guiju.core.ids import new_id
from guiju.core.keys import create_keys, load_pseudonym_key, load_watermark_key
from guiju.labelling import first_label, write
from guiju.labelling.publishing import Order, publish
from guiju.labelling.values import ExplicitStyle
from guiju.labelling.watermark import PREFIX_CHARACTERS, WATERMARK_UNEXAMINED, embed, extract

CODE, OTHER = "001191110102MACQD9K64010000", "001191110102MAD55U9H0F10002"
KEY = bytes(range(32))
NUMBER = "01M3250V00ABCDEFGHJKMNPQRS"
PREFIX = NUMBER[:PREFIX_CHARACTERS]
LEAST_PSNR_DB = 37


def drawn(kind: int, width: int = 512, height: int = 384, mode: str = "RGB") -> Image.Image:
    """Return a made picture: even shades, soft spots, spots with grain."""
    chance = np.random.default_rng(kind)
    if kind % 3 == 0:
        return Image.linear_gradient("L").rotate(90 * (kind % 4)).resize((width, height)).convert(mode)
    spots = Image.fromarray(chance.integers(0, 256, (height // 24, width // 24, 3), np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    grain = chance.normal(0, 10, (height, width, 3)) if kind % 3 == 2 else 0
    return Image.fromarray(np.clip(np.asarray(spots) + grain, 0, 255).astype(np.uint8)).convert(mode)


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def halved_and_back(image: Image.Image) -> bytes:
    half = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
    return encoded(half.resize(image.size, Image.Resampling.BICUBIC))


HARMS: dict[str, Callable[[Image.Image], bytes]] = {
    "as it is": encoded,
    "JPEG 95": lambda image: encoded(image, "JPEG", quality=95),
    "JPEG 85": lambda image: encoded(image, "JPEG", quality=85),
    "JPEG 70": lambda image: encoded(image, "JPEG", quality=70),
    "WebP 80": lambda image: encoded(image, "WEBP", quality=80),
    "half and back": halved_and_back,
}


@pytest.mark.parametrize("kind", range(3))
@pytest.mark.parametrize("size", [(256, 256), (512, 384), (1023, 769)])
def test_the_number_is_read_after_what_pictures_go_through(kind: int, size: tuple[int, int]) -> None:
    borne = embed(encoded(drawn(kind, *size)), NUMBER, KEY)
    assert not borne.skipped
    assert borne.psnr_db >= LEAST_PSNR_DB
    for name, harm in HARMS.items():
        found = extract(harm(opened(borne.data)), KEY)
        assert found is not None, name
        assert found.prefix == PREFIX, name


def test_a_picture_that_stayed_half_is_read_in_its_former_size() -> None:
    borne = embed(encoded(drawn(1, 800, 600)), NUMBER, KEY)
    half = encoded(opened(borne.data).resize((400, 300), Image.Resampling.LANCZOS))
    assert extract(half, KEY) is None
    found = extract(half, KEY, (800, 600))
    assert found is not None
    assert found.prefix == PREFIX


def test_cropping_and_turning_lose_it() -> None:
    image = opened(embed(encoded(drawn(2)), NUMBER, KEY).data)
    assert extract(encoded(image.crop((51, 38, 512, 384))), KEY) is None
    assert extract(encoded(image.transpose(Image.Transpose.ROTATE_180)), KEY) is None


def test_another_key_finds_nothing() -> None:
    """1,000 keys; the picture is small, so that it takes seconds."""
    data = embed(encoded(drawn(1, 256, 256, "L")), NUMBER, KEY).data
    assert extract(data, KEY) is not None
    assert [key for key in (number.to_bytes(32, "big") for number in range(1, 1_001)) if extract(data, key) is not None] == []


def test_pictures_without_one_read_as_none() -> None:
    assert [kind for kind in range(300) if extract(encoded(drawn(kind, 264, 256), compress_level=1), KEY) is not None] == []


@pytest.mark.parametrize(
    ("form", "mode", "options"),
    [
        ("PNG", "L", {}),
        ("PNG", "LA", {}),
        ("PNG", "RGBA", {}),
        ("JPEG", "L", {"quality": 80}),
        ("JPEG", "RGB", {"quality": 60}),
        ("JPEG", "RGB", {"quality": 90, "progressive": True, "subsampling": 0}),
        ("WEBP", "RGBA", {"lossless": True}),
        ("WEBP", "RGB", {"quality": 80}),
        ("TIFF", "RGB", {}),
        ("AVIF", "RGB", {"quality": 80}),
    ],
)
def test_form_mode_and_alpha_stay(form: str, mode: str, options: dict[str, object]) -> None:
    image = drawn(1, mode=mode)
    if mode.endswith("A"):
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    data = encoded(image, form, **options)
    borne = embed(data, NUMBER, KEY)
    assert not borne.skipped
    assert borne.psnr_db >= LEAST_PSNR_DB
    before, after = opened(data), opened(borne.data)
    assert (before.format, before.mode, before.size) == (after.format, after.mode, after.size)
    if mode.endswith("A"):
        assert before.getchannel("A").tobytes() == after.getchannel("A").tobytes()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (encoded(drawn(1, 255, 400)), "size 255x400"),
        (encoded(Image.new("1", (9_000, 9_000))), "size 9000x9000"),
        (encoded(Image.new("RGB", (300, 300))), "does not hold"),
        (encoded(drawn(1), "JPEG", quality=20), "does not hold"),
        (encoded(drawn(1).quantize(64)), "mode P"),
        (encoded(drawn(1), "GIF"), "form GIF"),
        (encoded(Image.fromarray(np.zeros((300, 300), np.uint16))), "16 bits"),
        (encoded(drawn(1), transparency=(1, 2, 3)), "mode RGB"),
        (encoded(drawn(1), save_all=True, append_images=[drawn(2)]), "more than one"),
        (encoded(drawn(1))[:3_000], "decoded"),
        (b"\x89PNG\r\n\x1a\n", "decoded"),
        (b"", "form unknown"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_cannot_bear_one_stays_as_it_is_and_says_why(data: bytes, why: str) -> None:
    borne = embed(data, NUMBER, KEY)
    assert borne.data is data
    assert why in borne.skipped


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_hostile_bytes_are_never_a_verdict_of_another_kind(form: str) -> None:
    data = bytearray(embed(encoded(drawn(1, 256, 256), form), NUMBER, KEY).data)
    chance = np.random.default_rng(7)
    for _ in range(40):
        hurt = bytearray(data)
        for at in chance.integers(0, len(data), 12):
            hurt[at] = int(chance.integers(256))
        for broken in (bytes(hurt), bytes(data[: int(chance.integers(len(data)))])):
            assert looked(broken) in ("unexamined", "none", PREFIX)
            embed(broken, NUMBER, KEY)


def looked(data: bytes) -> str:
    try:
        found = extract(data, KEY)
    except GuijuError as error:
        return "unexamined" if error.code is WATERMARK_UNEXAMINED else error.code.code
    return "none" if found is None else found.prefix


def test_what_is_black_stays_black() -> None:
    """Any change is seen there; the rest of the picture bears the number."""
    image = drawn(1)
    image.paste((3, 3, 3), (0, 0, 256, 384))
    borne = embed(encoded(image), NUMBER, KEY)
    assert not borne.skipped
    assert np.array_equal(np.asarray(opened(borne.data))[:, :256], np.asarray(image)[:, :256])


def test_a_number_of_another_form_is_not_borne() -> None:
    data = encoded(drawn(1))
    assert embed(data, "n-1", KEY).data is data


def test_off_changes_no_byte_and_on_is_told() -> None:
    data = encoded(drawn(1))
    order = Order(medium="picture", producer=CODE, number=new_id())
    off, told = publish(data, order)
    assert told.watermark == ""
    assert np.array_equal(np.asarray(opened(off))[:300, :300], np.asarray(opened(data))[:300, :300])
    assert extract(off, KEY) is None
    on, told = publish(data, Order(medium="picture", producer=CODE, number=order.number, watermark_key=KEY))
    assert told.watermark.startswith("held;psnr_db=")
    found = extract(on, KEY)
    assert found is not None
    assert found.prefix == order.number[:PREFIX_CHARACTERS]


@pytest.mark.parametrize("waived", [False, True])
def test_jpeg_bears_it_below_the_words(waived: bool) -> None:
    data = encoded(drawn(2), "JPEG", quality=75)
    file, told = publish(data, Order(medium="picture", producer=CODE, number=NUMBER, watermark_key=KEY, waived=waived))
    assert told.watermark.startswith("held;")
    found = extract(file, KEY)
    assert found is not None
    assert found.prefix == PREFIX


def test_what_the_words_cover_too_much_of_is_told_as_lost() -> None:
    """A small JPEG under a large plate: it held before the words were drawn, and not in the file that leaves."""
    data = encoded(drawn(1, 260, 256), "JPEG", quality=55)
    style = ExplicitStyle(height_percent=20)
    file, told = publish(data, Order(medium="picture", producer=CODE, number=NUMBER, watermark_key=KEY, style=style))
    assert told.watermark.startswith("lost;psnr_db=")
    assert extract(file, KEY) is None


def test_a_picture_of_another_producer_is_left_alone() -> None:
    theirs = write(encoded(drawn(1)), first_label(OTHER, "their-9"))
    file, told = publish(theirs, Order(medium="picture", producer=CODE, number=NUMBER, watermark_key=KEY))
    assert told.watermark == "skipped;reason=it came with a label"
    assert extract(file, KEY) is None


def test_the_command_tells_the_number(tmp_path: Path) -> None:
    keys = tmp_path / "site" / "keys"
    create_keys(keys)
    key = load_watermark_key(keys)
    assert key != load_pseudonym_key(keys)
    (tmp_path / "ours.png").write_bytes(embed(encoded(drawn(1)), NUMBER, key).data)
    (tmp_path / "other.png").write_bytes(embed(encoded(drawn(1)), NUMBER, os.urandom(32)).data)
    (tmp_path / "text.txt").write_text("words")
    for names, status in ((["ours.png"], 0), (["ours.png", "other.png"], 2), (["other.png", "text.txt"], 3), (["missing.png"], 3)):
        words = ["watermark", *(str(tmp_path / name) for name in names), "--data", str(tmp_path / "site")]
        assert CliRunner().invoke(whole_app(), words).exit_code == status, names
        assert CliRunner().invoke(whole_app(), [*words, "--json"]).exit_code == status, names
    done = CliRunner().invoke(whole_app(), ["watermark", str(tmp_path / "ours.png"), "--data", str(tmp_path / "site"), "--json"])
    told = json.loads(done.stdout)["watermark"]
    assert (told["number_prefix"], told["made_at"]) == (PREFIX, "2026-09-21T14:13:20.000+00:00")
