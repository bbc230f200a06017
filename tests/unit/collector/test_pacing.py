"""Reconnects are quick after an ordinary cut, rarer and rarer while nothing comes, and polite."""

from datetime import UTC, datetime
from email.utils import format_datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collector.source.pacing import LONGEST_ASKED, Pacing, retry_after

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC).timestamp()


@given(st.lists(st.booleans(), max_size=40), st.integers(0, 1 << 32))
def test_a_wait_is_a_random_part_of_a_bound_that_doubles(outcomes: list[bool], seed: int) -> None:
    pacing, bound = Pacing(1.0, 60.0, _random=Random(seed)), 1.0
    for progress in outcomes:
        bound = 1.0 if progress else min(60.0, bound * 2)
        assert 0 <= pacing.wait(progress=progress, lasted=900.0) <= bound


def test_the_whole_bound_is_used() -> None:
    pacing = Pacing(1.0, 60.0, _random=Random(1))
    waits = [pacing.wait(progress=False, lasted=900.0) for _ in range(1_000)][10:]
    assert min(waits) < 2
    assert max(waits) > 58


@given(st.floats(0, 5), st.integers(0, 1 << 32))
def test_two_connections_never_begin_within_the_base(lasted: float, seed: int) -> None:
    wait = Pacing(1.0, 60.0, _random=Random(seed)).wait(progress=True, lasted=lasted)
    assert wait + lasted >= 1.0


def test_what_the_upstream_asks_for_is_obeyed() -> None:
    pacing = Pacing(1.0, 60.0)
    assert pacing.wait(progress=False, lasted=0, asked=300.0) == 300.0
    assert pacing.wait(progress=False, lasted=0, asked=1e9) == LONGEST_ASKED
    pacing.obey(None)
    pacing.obey(20.0)
    assert pacing.wait(progress=True, lasted=0) >= 20.0
    pacing.obey(1e6)
    assert pacing.base == 60.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("", None),
        ("-3", None),
        ("soon", None),
        ("٣", None),
        ("9" * 400, float("inf")),
        (format_datetime(datetime(2026, 7, 1, 12, 2, tzinfo=UTC), usegmt=True), 120.0),
        (format_datetime(datetime(2026, 7, 1, 11, tzinfo=UTC), usegmt=True), 0.0),
        ("Wed, 01 Jul 2026 12:00:30", 30.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds
