from __future__ import annotations

import pytest

from services.shared.runtime.clock import ManualClock, SystemClock


def test_advancing_moves_both_clocks() -> None:
    clock = ManualClock(now=1000)
    before = clock.monotonic()
    clock.advance(5)
    assert clock.now() == 1005
    assert clock.monotonic() - before == 5


def test_a_jump_of_the_wall_clock_is_no_interval() -> None:
    clock = ManualClock(now=1000)
    before = clock.monotonic()
    clock.set(10)
    assert clock.now() == 10
    assert clock.monotonic() == before


def test_time_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="does not go back"):
        ManualClock().advance(-1)


def test_the_system_clock_reads_epoch_seconds() -> None:
    clock = SystemClock()
    assert clock.now() > 1_700_000_000
    assert clock.monotonic() <= clock.monotonic()
