"""Fills the topics: all at once, or as fast as the stream itself was, and with its faults.

Happenings are made in a thread, a piece ahead at most. At a pace, the time of the first event is when the first
reader comes; the stream's own distances follow, divided by the pace. `ready` says that whoever reads now
finds what is there without waiting: the feed has come to its end, or to its first wait.

Canaries by the clock go on after the end. The stream's time goes with them, from the last message on.
"""

import asyncio
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Final

from services.collector.upstream import happenings
from services.collector.upstream.audience import Audience
from services.collector.upstream.faults import Script
from services.collector.upstream.happenings import Arrival, Happening, Pause, Put, Switch
from services.collector.upstream.history import CODFW, EQIAD, History

_PIECE: Final = 200
_BREATH: Final = 50  # messages between two chances for others on the event loop


class Feed:
    """`pace` is a multiple of the stream's own; None is all at once."""

    def __init__(
        self,
        history: History,
        audience: Audience,
        arrivals: Iterable[Arrival],
        script: Script,
        *,
        pace: float | None,
        seed: int,
        happened: Counter[str],
    ) -> None:
        self._history = history
        self._audience = audience
        self._happenings = happenings.happenings(arrivals, script, seed)
        self._script = script
        self._pace = pace
        self._seed = seed
        self._happened = happened
        self._topic = EQIAD
        self._other = CODFW
        self._away = 0
        self._begin: tuple[float, int] | None = None
        self.ready = asyncio.Event()
        self.own = 0
        """How many of the stream's events are in the topics."""
        self.finished = False

    async def run(self) -> None:
        thread = ThreadPoolExecutor(1, thread_name_prefix="feed")
        loop = asyncio.get_running_loop()
        canaries = [asyncio.create_task(self._canaries(every)) for every in self._by_clock()]
        try:
            while piece := await loop.run_in_executor(thread, _piece, self._happenings):
                for happening in piece:
                    await self._take(happening)
            self._audience.door.set()
            self.finished = True
            self.ready.set()
            await asyncio.gather(*canaries)
        finally:
            for task in canaries:
                task.cancel()
            thread.submit(_close, self._happenings)  # once it has made what it may be making
            thread.shutdown(wait=False)

    async def _take(self, happening: Happening) -> None:
        match happening:
            case Put():
                await self._put(happening)
            case Pause(seconds):
                await self._pause(seconds)
            case Switch(away):
                await self._switch(away)

    async def _put(self, put: Put) -> None:
        if self._pace:
            await self._until(put.at_ms, self._pace)
        self._history.append(put.raw, put.timestamp, self._topic, verbatim=put.verbatim)
        if len(self._history) % _BREATH == 0:
            await asyncio.sleep(0)
        if put.by:
            self._happened[put.by] += 1
            return
        self.own += 1
        self._away -= 1
        if self._away <= 0:
            self._audience.door.set()

    async def _until(self, at_ms: int, pace: float) -> None:
        now = asyncio.get_running_loop().time
        self.ready.set()
        if self._begin is None:
            await self._audience.came.wait()
            self._begin = now(), at_ms
        wait = self._begin[0] + (at_ms - self._begin[1]) / 1000 / pace - now()
        if wait > 0:
            await asyncio.sleep(wait)

    async def _pause(self, seconds: float) -> None:
        """From when somebody has all that there is."""
        self.ready.set()
        await self._audience.caught_up.wait()
        self._happened["pause"] += 1
        await asyncio.sleep(seconds)
        if self._begin:
            self._begin = self._begin[0] + seconds, self._begin[1]

    async def _switch(self, away: int) -> None:
        """The other data centre takes over while those who have all of this one are gone."""
        self.ready.set()
        await self._audience.caught_up.wait()
        self._audience.send_away()
        self._happened["switch"] += 1
        self._topic, self._other = self._other, self._topic
        self._away = away

    def _by_clock(self) -> Iterator[tuple[float, int]]:
        for fault in self._script:
            if fault.name == "canaries" and isinstance(fault["EVERY"], float):
                yield fault["EVERY"], fault["TIMES"]

    async def _canaries(self, every: tuple[float, int]) -> None:
        seconds, times = every
        await self._audience.came.wait()
        seen = -1
        for number in range(times):
            await asyncio.sleep(seconds)
            idle = len(self._history) == seen
            at_ms = self._history.latest_ms + (int(seconds * 1000) if idle else 0)
            raw = happenings.canary(self._seed, -1 - number, at_ms)
            self._history.append(raw, at_ms, self._topic)
            self._happened["canaries"] += 1
            seen = len(self._history)


def _piece(made: Iterator[Happening]) -> list[Happening]:
    return list(islice(made, _PIECE))


def _close(made: Iterator[Happening]) -> None:
    if isinstance(made, Generator):
        made.close()
