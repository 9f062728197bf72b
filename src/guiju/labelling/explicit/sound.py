"""A voice or a rhythm before or after a sound: WAV in its own samples, FLAC without loss, MP3, AAC and Opus joined packet by packet.

Source: Labelling Measures Art. 4; GB 45438-2025 §5.3.
"""

from pathlib import Path
from typing import Final

import numpy as np

from guiju.core.errors import GuijuError
from guiju.labelling.explicit import wav
from guiju.labelling.explicit.errors import LABEL_NOT_SEEN, LABEL_PROMPT
from guiju.labelling.explicit.rhythm import SILENCE_S, Array, find_rhythm, make_rhythm
from guiju.labelling.values import ExplicitStyle, Marked

_PROMPT_S: Final = (1.0, 30.0)
_PROMPT_BYTES: Final = 32 * 2**20
_LEAST_PEAK: Final = 0.1
_STEP_S: Final = 0.01
_LIKENESS: Final = 0.8


def mark_sound(data: bytes, form: str, style: ExplicitStyle) -> Marked:
    """Return the sound with its label. Raises as `media.mark` does."""
    if form != "WAV":
        from guiju.labelling.explicit import compressed

        return compressed.mark_compressed(data, form, style)
    parts = wav.parse(data)
    label = label_samples(parts.rate, style)
    head, tail = (wav.samples_of(each, parts) for each in around(label, parts.rate, style))
    marked = wav.build(parts, head, tail)
    again = wav.parse(marked)
    if again.samples[len(head) : len(again.samples) - len(tail)] != parts.samples:
        raise GuijuError(LABEL_NOT_SEEN, form=form, reason="the samples are not the same", reason_zh="原有样本不一致")
    for place, raw in (("start", again.samples[: len(head)]), ("end", again.samples[len(again.samples) - len(tail) :])):
        if raw:
            check_heard(wav.mono_of(raw, again), label, parts.rate, style, form, place)
    return Marked(data=marked, medium="sound", how=told(form, style, len(label) / parts.rate, parts.rate, "samples=same"))


def told(form: str, style: ExplicitStyle, seconds: float, rate: int, rest: str) -> str:
    """Return what was put where."""
    kind = "voice" if style.prompt_file else f"rhythm;unit_ms={style.unit_ms};pitch_hz={style.pitch_hz};level_db={style.level_db}"
    return f"sound;form={form};place={style.sound_place};label={kind};label_s={seconds:.2f};rate_hz={rate};{rest}"


def label_samples(rate: int, style: ExplicitStyle) -> Array:
    """Return the voice or the rhythm as samples of one channel. Raises GuijuError LABEL-PROMPT, LABEL-LIBRARY."""
    if not style.prompt_file:
        return make_rhythm(rate, style)
    from guiju.labelling.explicit import compressed

    file = Path(style.prompt_file)
    try:
        with file.open("rb") as opened:
            raw = opened.read(_PROMPT_BYTES + 1)
        if len(raw) > _PROMPT_BYTES:
            _no_prompt(file, "it is too large", "文件过大")
        voice = compressed.decoded(raw, rate, _PROMPT_S[1] + 1)
    except OSError as error:
        _no_prompt(file, error.strerror or "it cannot be read", "无法读取")
    except ValueError as error:
        _no_prompt(file, f"it cannot be decoded ({error})"[:200], "无法解码")
    seconds = len(voice) / rate
    if not _PROMPT_S[0] <= seconds <= _PROMPT_S[1]:
        _no_prompt(file, f"it lasts {seconds:.1f} s", f"时长 {seconds:.1f} 秒")
    if float(np.abs(voice).max()) < _LEAST_PEAK:
        _no_prompt(file, "it is too soft to be heard", "声音太小")
    return voice


def _no_prompt(file: Path, reason: str, reason_zh: str) -> None:
    raise GuijuError(LABEL_PROMPT, file=file.name, reason=reason, reason_zh=reason_zh)


def around(label: Array, rate: int, style: ExplicitStyle) -> tuple[Array, Array]:
    """Return what stands before the sound and what behind it, the silence between included."""
    silence = np.zeros(round(SILENCE_S * rate))
    head = np.concatenate([label, silence]) if style.sound_place != "end" else silence[:0]
    tail = np.concatenate([silence, label]) if style.sound_place != "start" else silence[:0]
    return head, tail


def check_heard(heard: Array, label: Array, rate: int, style: ExplicitStyle, form: str, place: str) -> None:
    """Listen to what will be delivered, where the label should be. Raises GuijuError LABEL-NOT-SEEN."""
    if style.prompt_file:
        found = _likeness(heard, label, rate) >= _LIKENESS
    else:
        rhythm = find_rhythm(heard, rate)
        found = rhythm is not None and abs(rhythm.unit_ms - style.unit_ms) < 15 and abs(rhythm.pitch_hz - style.pitch_hz) < 40
    if not found:
        raise GuijuError(LABEL_NOT_SEEN, form=form, reason=f"it is not heard at the {place}", reason_zh="听不到标识")


def _likeness(heard: Array, label: Array, rate: int) -> float:
    """Return the best correlation of the loudness of a voice with what is heard, 0–1."""
    step = max(round(_STEP_S * rate), 1)
    one, other = (np.abs(each[: len(each) // step * step]).reshape(-1, step).max(axis=1) for each in (heard, label))
    one = np.concatenate([np.zeros(20), one, np.zeros(20)])
    if len(one) < len(other):
        return 0.0
    other = other - other.mean()
    windows = np.lib.stride_tricks.sliding_window_view(one, len(other))
    centred = windows - windows.mean(axis=1, keepdims=True)
    below = np.linalg.norm(centred, axis=1) * np.linalg.norm(other)
    return float((centred @ other / np.maximum(below, 1e-9)).max())
