"""Index and time are functions of each other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.collector.simulator.rhythm import Rhythm

DAY_S = 86_400
NOON = 1_767_614_400_000

rates = st.floats(0.01, 10_000)
starts = st.integers(1_000_000_000_000, 4_000_000_000_000)


@given(rates, starts, st.lists(st.integers(0, 10**8), min_size=2, max_size=20))
def test_time_grows_with_the_index(rate: float, start: int, counts: list[int]) -> None:
    rhythm = Rhythm(rate, start)
    times = [rhythm.time(count) for count in sorted(set(counts))]
    assert times == sorted(times)
    assert abs(rhythm.time(0) - start) < 1


@given(rates, starts)
def test_a_day_has_the_mean_rate(rate: float, start: int) -> None:
    rhythm = Rhythm(rate, start)
    assert abs(rhythm.time(rate * DAY_S) - start - DAY_S * 1000) < 5


def test_the_evening_is_busier_and_more_human_than_the_morning() -> None:
    rhythm = Rhythm(35, NOON)
    morning, evening = NOON - 5 * 3_600_000, NOON + 7 * 3_600_000
    assert rhythm.bots(morning) > 0.55
    assert rhythm.bots(evening) < 0.45
    an_hour = [rhythm.time(count) for count in (0, 35 * 3600)]
    assert 0.9 < (an_hour[1] - an_hour[0]) / 3_600_000 < 1.1
    seven = Rhythm(35, evening)
    assert seven.time(25 * 60) - evening < 60_000 < seven.time(45 * 60) - evening
