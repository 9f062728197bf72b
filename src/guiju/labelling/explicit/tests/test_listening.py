"""Listening to sounds of others: a rhythm at either end is found and makes a file suspected, never declared; bad files are told as unexamined."""

import random
from pathlib import Path
from typing import Any

import pytest

from guiju.labelling.explicit.media import mark
from guiju.labelling.explicit.tests.test_sound import compress, melody, wav_file
from guiju.labelling.files import first_label, inspect, write
from guiju.labelling.values import ExplicitStyle

SECONDS = 50
RATE = 16_000
SOUNDS = [("wav", ""), ("mp3", "libmp3lame"), ("ipod", "aac"), ("adts", "aac"), ("flac", "flac")]


def sound(form: str, codec: str, seconds: float = SECONDS) -> bytes:
    samples = melody(seconds, RATE)
    return compress(samples, form, codec, RATE) if codec else wav_file(samples, RATE)


@pytest.mark.parametrize(("form", "codec"), SOUNDS)
@pytest.mark.parametrize(("place", "told"), [("start", "first 20 s"), ("end", "last 20 s")])
def test_a_rhythm_is_heard_and_makes_it_suspected(form: str, codec: str, place: Any, told: str) -> None:
    found = inspect(mark(sound(form, codec), ExplicitStyle(sound_place=place)).data, listens=True)
    assert found.heard is not None
    assert found.heard.result == "rhythm"
    assert told in found.heard.reason
    assert (found.verdict, found.state, found.traces) == ("not_found", "suspected", ["rhythm"])
    assert [each.outcome for each in found.findings if each.check == "explicit_audio"] == ["pass"]


@pytest.mark.parametrize(("form", "codec"), SOUNDS)
def test_without_a_rhythm_nothing_is_said(form: str, codec: str) -> None:
    found = inspect(sound(form, codec), listens=True)
    assert found.heard is not None
    assert found.heard.result == "nothing"
    assert (found.state, found.traces) == ("none", [])
    assert [each.outcome for each in found.findings if each.check == "explicit_audio"] == ["not_examined"]


def test_a_label_or_a_declaration_says_more_than_a_rhythm(tmp_path: Path) -> None:
    marked = mark(sound("wav", "", 2), ExplicitStyle()).data
    assert inspect(marked, listens=True, user_declares=True).state == "possible"
    file = tmp_path / "a.wav"
    file.write_bytes(write(marked, first_label("001191440300708461136T1XGW3", "1")))
    assert inspect(file, listens=True).state == "declared"
    assert inspect(file).heard is None, "nobody asked to listen"


@pytest.mark.parametrize(("form", "codec"), SOUNDS)
def test_spoilt_sounds_are_never_more_than_suspected(form: str, codec: str) -> None:
    data, chance = mark(sound(form, codec, 2), ExplicitStyle()).data, random.Random(form)
    for _ in range(30):
        spoilt = bytearray(data)
        for _ in range(chance.randint(1, 40)):
            spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
        found = inspect(bytes(spoilt), listens=True)
        assert found.state in (None, "none", "suspected")
        assert found.heard is not None or found.damaged is not None or found.container not in ("WAV", "MP3", "FLAC", "AAC")
