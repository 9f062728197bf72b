"""The rhythm of the label in sounds, short-long short-short, and the ear that finds it.

Source: GB 45438-2025 §5.3 fixes the order of the tones. Their length, pitch, level and the gaps are ours; a public implementation without
the longer gap in the middle is heard as well.
"""

from typing import Any, Final, NamedTuple

import numpy as np

from guiju.labelling.values import ExplicitStyle

Array = np.ndarray[Any, np.dtype[Any]]

SILENCE_S: Final = 0.5
"""Between the label and what it labels."""
_RAMP_S: Final = 0.005
_TONES: Final = ((1, 1), (3, 3), (1, 1), (1, 0))
"""Units of each tone and of the gap behind it: `.-` then `..`."""
_GAPS: Final = {"letters": (1, 3, 1), "even": (1, 1, 1)}
_STEP_S: Final = 0.01
_UNIT_S: Final = (0.045, 0.33)
_OFF: Final = 0.35
"""How far a tone or gap may be from its length, in units."""
_SAME_HZ: Final = 60
_PURE: Final = 0.6
"""Share of a tone's energy that lies at its pitch."""


class Rhythm(NamedTuple):
    """A rhythm that was heard: where it begins and ends, its unit and pitch, and how its gaps are set."""

    start_s: float
    end_s: float
    unit_ms: float
    pitch_hz: float
    profile: str


def make_rhythm(rate: int, style: ExplicitStyle) -> Array:
    """Return the rhythm as samples of one channel, -1 to 1, without the silence around it."""
    unit = style.unit_ms / 1000
    parts = []
    for tone, gap in _TONES:
        count = round(tone * unit * rate)
        wave = np.sin(2 * np.pi * style.pitch_hz * np.arange(count) / rate) * 10 ** (style.level_db / 20)
        ramp = np.minimum(np.arange(count) / max(_RAMP_S * rate, 1), 1)
        parts += [wave * ramp * ramp[::-1], np.zeros(round(gap * unit * rate))]
    return np.concatenate(parts)


def find_rhythm(samples: Array, rate: int) -> Rhythm | None:
    """Return the first rhythm in samples of one channel; None when there is none.

    Whoever plays it louder or softer, faster or slower, in a pitch of their own, is understood; other sounds must not run into it.
    """
    step = max(round(_STEP_S * rate), 1)
    count = len(samples) // step
    if count < 10:
        return None
    envelope = np.abs(samples[: count * step]).reshape(count, step).max(axis=1)
    loudest = float(envelope.max())
    for share in (0.5, 0.25, 0.12, 0.06) if loudest > 0.001 else ():
        edges = np.flatnonzero(np.diff(np.concatenate([[0], (envelope > share * loudest).astype(np.int8), [0]])))
        tones = list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
        for first in range(len(tones) - 3):
            found = _heard(samples, rate, step, tones, first)
            if found is not None:
                return found
    return None


def _heard(samples: Array, rate: int, step: int, all_tones: list[tuple[int, int]], first: int) -> Rhythm | None:
    tones = all_tones[first : first + 4]
    lengths = [end - start for start, end in tones]
    gaps = [tones[place + 1][0] - tones[place][1] for place in range(3)]
    for profile, wanted in _GAPS.items():
        unit = (sum(lengths) + sum(gaps)) / (6 + sum(wanted))
        if not _UNIT_S[0] <= unit * step / rate <= _UNIT_S[1]:
            continue
        slack = _OFF * unit + 1.5
        if all(abs(length - tone * unit) <= slack for length, (tone, _) in zip(lengths, _TONES, strict=True)) and all(
            abs(gap - each * unit) <= slack for gap, each in zip(gaps, wanted, strict=True)
        ):
            pitches = [_pitch(samples[start * step : end * step], rate) for start, end in tones]
            beside = [
                _pitch(samples[start * step : end * step], rate)
                for start, end in (*all_tones[max(first - 1, 0) : first], *all_tones[first + 4 : first + 5])
                if start - tones[3][1] < 2 * unit and tones[0][0] - end < 2 * unit
            ]
            # A tone of the same pitch right before or behind makes another letter of it.
            alike = [pure for pitch, pure in beside if abs(pitch - pitches[1][0]) < _SAME_HZ and pure >= _PURE]
            apart = max(pitch for pitch, _ in pitches) - min(pitch for pitch, _ in pitches)
            if not alike and apart < _SAME_HZ and min(pure for _, pure in pitches) >= _PURE:
                return Rhythm(tones[0][0] * step / rate, tones[3][1] * step / rate, 1000 * unit * step / rate, pitches[1][0], profile)
    return None


def _pitch(tone: Array, rate: int) -> tuple[float, float]:
    """Return the strongest pitch of a tone in Hz, and the share of the energy around it."""
    power = np.abs(np.fft.rfft(tone * np.hanning(len(tone)))) ** 2
    total = float(power.sum())
    if len(tone) < 8 or total <= 0:
        return 0.0, 0.0
    top, width = int(power.argmax()), max(round(60 * len(tone) / rate), 2)
    return top * rate / len(tone), float(power[max(top - width, 0) : top + width + 1].sum()) / total
