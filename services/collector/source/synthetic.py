"""The simulator as a source: the last hour at full speed, then as it happens, and on from there.

On its first start the simulated stream begins `history_seconds` ago, so there is something to look at
at once. The cursor holds where and when the stream began and the next index. A new start goes on at
that index, so that no id comes twice: what happened meanwhile comes at full speed. If that would be
more than twice the history, the simulated world is taken to have slept: a new stretch of the stream
begins `history_seconds` ago, at the next index. So what there is to catch up on is bounded, and
nothing is ever skipped.

Arrivals are made in a thread, a bounded piece ahead, and given out once they are due.
"""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator
from itertools import islice
from typing import TYPE_CHECKING, Final

import msgspec

from services.collector.simulator.rhythm import Rhythm
from services.collector.simulator.stream import Simulated, Stream
from services.collector.source.port import Frame, Source
from services.shared.runtime.clock import Clock
from services.shared.runtime.exits import Refused

RATE: Final = 35.0
HISTORY_S: Final = 3600.0
_AHEAD: Final = 200
_LOOK_EVERY_S: Final = 0.25


class _Cursor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`index` is the next arrival; the stretch it is in began at `start_ms` with `first`."""

    seed: int
    rate: float
    start_ms: int
    first: int
    index: int


class Synthetic:
    """A simulated stream; endless unless `events` limits the arrivals over all starts.

    `speed` is how fast it goes on once it has caught up: 1 in real time, None as fast as it is
    taken. A limited stream at full speed lies in the past as a whole; an endless one runs ahead of
    the clock.
    """

    def __init__(
        self,
        seed: int,
        clock: Clock,
        *,
        rate: float = RATE,
        events: int | None = None,
        history_seconds: float = HISTORY_S,
        speed: float | None = 1.0,
    ) -> None:
        if rate <= 0 or (speed is not None and speed <= 0):
            raise Refused("the simulator needs a rate and a speed above 0")
        self._seed = seed
        self._clock = clock
        self._rate = rate
        self._events = events
        self._history_s = history_seconds
        self._speed = speed

    @property
    def name(self) -> str:
        return f"demo:{self._seed}"

    @property
    def description(self) -> str:
        return f"simulated changes (seed {self._seed}, {self._rate:g} a second on average)"

    async def frames(self, cursor: str | None) -> AsyncIterator[Frame]:
        at = self._begin(cursor)
        stream = Stream(at.seed, at.rate, at.start_ms, at.first)
        began_s = self._clock.now()
        from_s = max(began_s, _reached_ms(at) / 1000)
        while self._events is None or at.index < self._events:
            left = _AHEAD if self._events is None else min(_AHEAD, self._events - at.index)
            ahead = await asyncio.to_thread(_piece, stream, at.index, left)
            while ahead:
                due = self._due(ahead, began_s, from_s)
                if due:
                    at = msgspec.structs.replace(at, index=at.index + due)
                    yield Frame(tuple(a.raw for a in ahead[:due]), _written(at))
                    ahead = ahead[due:]
                else:
                    await asyncio.sleep(self._wait(ahead[0], began_s, from_s))

    def _begin(self, cursor: str | None) -> _Cursor:
        span_ms = self._span_s() * 1000
        now_ms = self._clock.now() * 1000
        if cursor is None:
            return _Cursor(self._seed, self._rate, int(now_ms - span_ms), 0, 0)
        at = self._read(cursor)
        reached_ms = _reached_ms(at)
        if reached_ms < now_ms - 2 * span_ms:
            reached_ms = now_ms - span_ms
        elif at.rate == self._rate:
            return at
        return _Cursor(self._seed, self._rate, int(reached_ms) + 1, at.index, at.index)

    def _span_s(self) -> float:
        """How much of the past comes at first; all of a limited stream at full speed.

        At its quietest hour the stream has about four fifths of its rate.
        """
        if self._events is None or self._speed is not None:
            return self._history_s
        return max(self._history_s, 1.3 * self._events / self._rate)

    def _read(self, cursor: str) -> _Cursor:
        try:
            at = msgspec.json.decode(cursor, type=_Cursor)
        except msgspec.MsgspecError:
            raise Refused(
                f"{self.name}: the stored cursor {cursor!r} is not the simulator's"
            ) from None
        if at.seed != self._seed or at.rate <= 0 or not 0 <= at.first <= at.index:
            raise Refused(f"{self.name}: the stored cursor {cursor!r} is of another stream")
        return at

    def _due(self, ahead: list[Simulated], began_s: float, from_s: float) -> int:
        """How many of them have arrived by now."""
        if self._speed is None:
            return len(ahead)
        reached_ms = (from_s + (self._clock.now() - began_s) * self._speed) * 1000
        return bisect_right(ahead, reached_ms, key=lambda arrival: arrival.at_ms)

    def _wait(self, next_one: Simulated, began_s: float, from_s: float) -> float:
        """Seconds to sleep; never long, because the wall clock may jump."""
        due_s = began_s + (next_one.at_ms / 1000 - from_s) / (self._speed or 1.0)
        return min(_LOOK_EVERY_S, max(0.001, due_s - self._clock.now()))


def _reached_ms(at: _Cursor) -> float:
    """The stream's own time at its next arrival; after the clock's where it ran ahead of it."""
    return Rhythm(at.rate, at.start_ms).time(at.index - at.first)


def _piece(stream: Stream, index: int, count: int) -> list[Simulated]:
    return list(islice(stream.since(index), count))


def _written(cursor: _Cursor) -> str:
    return msgspec.json.encode(cursor).decode()


if TYPE_CHECKING:
    _: type[Source] = Synthetic
