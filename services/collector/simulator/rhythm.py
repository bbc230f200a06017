"""When things happen: index <-> time, and who is awake.

Bots work round the clock, humans most in the evening (UTC): the rate is

    r(t) = rate x (1 + swing x cos(day angle of t from the evening)),   swing = HUMANS x DEPTH

so `rate` is the mean over a day. Its integral has a closed form; `Rhythm.time` inverts it by Newton's
method. So an index has a time without anything before it being made, and a stream that was stopped
knows how far it should be.
"""

import math
from typing import Final, NamedTuple

from services.collector.simulator import wikis

DEPTH: Final = 0.4
"""How much more (and less) than on average humans do at their busiest (and quietest) hour."""
EVENING_S: Final = 19 * 3600
_A_DAY_S: Final = 86_400
_ANGLE: Final = math.tau / _A_DAY_S
_SWING: Final = (1 - wikis.BOT_SHARE) * DEPTH
_CLOSE_S: Final = 1e-4


class Rhythm(NamedTuple):
    """The course of a stream that begins at `start_ms` with `rate` changes a second on average."""

    rate: float
    start_ms: int

    def time(self, count: float) -> float:
        """Milliseconds since 1970 after which `count` changes have happened since the start."""
        seconds = count / self.rate
        while True:
            excess = self._happened(seconds) - count
            step = excess / (self.rate * (1 + _SWING * self._evening(seconds)))
            seconds -= step
            if abs(step) < _CLOSE_S:
                return self.start_ms + seconds * 1000

    def bots(self, at_ms: float) -> float:
        """The part of bots in what happens at this time."""
        evening = self._evening((at_ms - self.start_ms) / 1000)
        return wikis.BOT_SHARE / (1 + _SWING * evening)

    def _happened(self, seconds: float) -> float:
        """How many changes happen in the first seconds of the stream."""
        before, after = math.sin(self._angle(0)), math.sin(self._angle(seconds))
        return self.rate * (seconds + _SWING / _ANGLE * (after - before))

    def _evening(self, seconds: float) -> float:
        return math.cos(self._angle(seconds))

    def _angle(self, seconds: float) -> float:
        return _ANGLE * (self.start_ms / 1000 % _A_DAY_S - EVENING_S + seconds)
