"""The ear of `guiju inspect`: whether the rhythm of a label is heard at the beginning or the end of a sound, whoever put it there.

A voice is not understood, and a label in the middle of a long sound is not looked for: "nothing" is never "no label".
Source: Labelling Measures Art. 6 (what a platform detects makes content suspected); GB 45438-2025 §5.3.
"""

from typing import IO, Any, Final

from guiju.core.errors import GuijuError
from guiju.labelling.explicit.compressed import faults, heard, load_av
from guiju.labelling.explicit.rhythm import find_rhythm
from guiju.labelling.values import Heard

LISTENED_S: Final = 20
_RATE: Final = 16_000
_MICROSECONDS: Final = 1_000_000
_DEMUXERS: Final = {"WAV": "wav", "MP3": "mp3", "FLAC": "flac", "Ogg": "ogg", "AAC": "aac", "MP4": "mov"}
"""By the name of the container: no other reader of FFmpeg ever sees a stranger's file."""
_SOUND_BRANDS: Final = (b"ftypM4A ", b"ftypM4B ")


def is_sound(container: str, head: bytes) -> bool:
    """Tell whether a file of this container is a sound that can be listened to; `head` are its first bytes."""
    return container in _DEMUXERS and (container != "MP4" or head[4:12] in _SOUND_BRANDS)


def listen(file: IO[bytes], container: str) -> Heard:
    """Return what is heard in the first and the last 20 seconds of a sound. Never raises for what the file holds."""
    try:
        av = load_av(container)
    except GuijuError:
        return Heard(result="unexamined", reason="PyAV is not installed (guiju[media])")
    try:
        with av.open(file, format=_DEMUXERS[container]) as source:
            return _told(source)
    except faults() as error:
        return Heard(result="unexamined", reason=f"it cannot be decoded ({type(error).__name__})")


def _told(source: Any) -> Heard:
    found = find_rhythm(heard(source, _RATE, 0, LISTENED_S), _RATE)
    place = "first"
    lasts_us = source.duration or 0
    if found is None and lasts_us > LISTENED_S * _MICROSECONDS:
        source.seek(lasts_us - LISTENED_S * _MICROSECONDS)
        found, place = find_rhythm(heard(source, _RATE, 0, 2 * LISTENED_S), _RATE), "last"
    if found is None:
        return Heard(result="nothing", reason=f"no rhythm in its first and last {LISTENED_S} s; a voice is for a person to hear")
    told = f"short-long short-short in its {place} {LISTENED_S} s, unit {found.unit_ms:.0f} ms, {found.pitch_hz:.0f} Hz"
    return Heard(result="rhythm", reason=told)
