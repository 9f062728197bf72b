"""A guard that fails is left alone, and tried by one request at a time. Guarded lines: `_probes`, the window, the state after a failed probe."""

from hypothesis import given
from hypothesis import strategies as st

from guiju.gateway.guard_breaker import Breaker


def made() -> Breaker:
    return Breaker(failures=3, window_s=10.0, open_s=5.0)


def test_failures_within_the_window_open_it_and_a_probe_closes_it() -> None:
    breaker = made()
    assert [breaker.failed(at) for at in (0.0, 1.0, 2.0)] == [False, False, True]
    assert (breaker.state, breaker.admits(6.9)) == ("open", False)
    assert [breaker.admits(7.0), breaker.admits(7.0), breaker.state] == [True, False, "half_open"]
    assert breaker.succeeded()
    assert (breaker.state, breaker.admits(7.1), breaker.succeeded()) == ("closed", True, False)
    assert not breaker.failed(8.0)  # what was before is forgotten


def test_failures_that_lie_apart_do_not_open_it() -> None:
    breaker = made()
    assert not any(breaker.failed(at) for at in (0.0, 5.0, 10.1, 16.0))
    assert breaker.failed(17.0)


def test_a_probe_that_fails_opens_it_again_and_one_that_is_given_up_lets_the_next_try() -> None:
    breaker = made()
    for at in (0.0, 0.0, 0.0):
        breaker.failed(at)
    assert breaker.admits(5.0)
    assert not breaker.failed(6.0)  # it did not become unavailable: it was
    assert (breaker.state, breaker.admits(10.9), breaker.admits(11.0)) == ("open", False, True)
    breaker.gave_up()
    assert breaker.admits(11.0)


@given(st.lists(st.tuples(st.sampled_from(("ask", "ok", "fail")), st.floats(0, 3)), max_size=60))
def test_it_opens_and_closes_in_turn(script: list[tuple[str, float]]) -> None:
    breaker, now, told, probes = made(), 0.0, [True], 0
    for what, after in script:
        now += after
        if what == "ask":
            was = breaker.state
            admitted = breaker.admits(now)
            probes = probes + 1 if admitted and breaker.state == "half_open" else 0 if was == "closed" else probes
            assert admitted or breaker.state != "closed"
        elif what == "ok":
            told += [True] if breaker.succeeded() else []
            probes = 0
        else:
            told += [False] if breaker.failed(now) else []
            probes = 0
        assert probes <= 1
    assert all(a != b for a, b in zip(told, told[1:], strict=False))
