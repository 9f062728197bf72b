"""How far a percentile moves, as `bench service` tells it: steady, seeded, and wide where the turns disagree.

Guarded lines: the choice of whole rounds in `moved`, `SHARE`, the seed.
"""

import random

from bench.pooled import Round, moved

DRAWN = 200


def _round(draw: random.Random, slower: float, spread: float = 1.0) -> Round:
    """Return a turn without and one with people; commits of the disk make one answer in fifty slow, in both."""

    def turn(factor: float) -> list[float]:
        mood = draw.uniform(1, spread)
        return [factor * (draw.uniform(8, 12) * mood if draw.random() < 0.02 else draw.uniform(1, 2)) for _ in range(450)]

    return turn(1.0), turn(slower)


def test_what_was_made_slower_is_seen_and_nothing_where_nothing_was() -> None:
    draw = random.Random(1)
    same, slower = (moved([_round(draw, factor) for _ in range(20)], DRAWN) for factor in (1.0, 1.5))
    assert abs(same.percent) < 6
    assert abs(slower.percent - 50) < 9
    assert same.lowest < same.percent < same.highest < 15
    assert 30 < slower.lowest < slower.percent < slower.highest


def test_the_same_rounds_give_the_same_figures() -> None:
    rounds = [_round(random.Random(2), 1.2) for _ in range(10)]
    assert moved(rounds, DRAWN) == moved(rounds, DRAWN)


def test_turns_that_disagree_give_a_wider_interval() -> None:
    """Red when single answers are drawn instead of rounds: the mood of a turn would vanish in the crowd."""
    draw = random.Random(3)
    calm, moody = (moved([_round(draw, 1.0, spread) for _ in range(20)], DRAWN) for spread in (1.0, 6.0))
    assert moody.highest - moody.lowest > 2 * (calm.highest - calm.lowest)


def test_one_slow_turn_does_not_decide() -> None:
    draw = random.Random(4)
    rounds = [_round(draw, 1.0) for _ in range(19)]
    still, _ = _round(draw, 1.0)
    assert moved([*rounds, (still, [latency * 1.5 for latency in still])], DRAWN).percent < 6
