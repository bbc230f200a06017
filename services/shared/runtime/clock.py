"""The only place that reads a clock; everything else is handed one.

`now` is for what is stored or shown (wall clock, may jump), `monotonic` for intervals. Laws,
simulations and tests drive a `ManualClock`, so that a day passes when they say so.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since the epoch; may jump when the machine's clock is set."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment; never goes back."""
        ...


class SystemClock:
    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


class ManualClock:
    """Stands still until told; setting it moves the wall clock only, as on a real machine."""

    def __init__(self, now: float = 0.0) -> None:
        self._now = now
        self._monotonic = 0.0

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError(f"time does not go back: advance({seconds}); use set() for a jump")
        self._now += seconds
        self._monotonic += seconds

    def set(self, now: float) -> None:
        """The wall clock jumps, forwards or back."""
        self._now = now


if TYPE_CHECKING:
    _system: type[Clock] = SystemClock
    _manual: type[Clock] = ManualClock
