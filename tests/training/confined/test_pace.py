"""How fast a process may ask."""

from training.confined.pace import Pace


def test_who_asks_too_fast_is_made_to_wait():
    slept: list[float] = []
    pace = Pace(per_second=10, burst=5, clock=lambda: 0.0, sleep=slept.append)
    for _ in range(6):
        pace.take(1)
    assert slept == []
    pace.take(1)
    assert slept == [0.1]


def test_who_has_not_asked_for_a_while_may_ask_at_once():
    slept: list[float] = []
    times = iter([0.0, 0.0, 100.0])
    pace = Pace(per_second=1, burst=2, clock=times.__next__, sleep=slept.append)
    pace.take(10)
    pace.take(2)
    assert slept == []
