"""The live feed: one follower of the speed view, and everybody who reads.

    speed view --(steps)--> follower --> groups of equal filters --> readers (connections)
                               |
                             recent --> readers that begin or come back, until they have caught up

Ids say where everybody stands, so any part of this can end and begin anew: a reader, a connection, the
process, the view. While nobody reads nothing is followed.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import Final

import structlog

from services.serving.feed.catching_up import CatchingUp
from services.serving.feed.fanout import FanOut
from services.serving.feed.reader import Reader
from services.serving.feed.recent import Recent
from services.shared.runtime import metrics
from services.shared.runtime.clock import Clock
from services.shared.speedview.port import SpeedView

BEAT: Final = 15.0
_BEGIN_WITHIN: Final = 5.0

_log = structlog.get_logger(__name__)


class Full(Exception):
    """There are as many readers as may be."""


class Feed:
    def __init__(
        self, speed: SpeedView, log: str, clock: Clock, *, most: int, beat: float = BEAT
    ) -> None:
        self._most = most
        self._fan_out = partial(FanOut, speed, log, clock, beat=beat)
        self._catching_up = CatchingUp(speed, log, beat=beat)
        self._seats = 0
        self._running: tuple[FanOut, asyncio.Task[None]] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._readers: set[Reader] = set()
        self._closed = False

    @contextlib.asynccontextmanager
    async def seat(self) -> AsyncIterator[tuple[FanOut, Recent]]:
        """A place for one reader. Raises `Full`, and `Unavailable` while nothing is visible."""
        if self._closed or self._seats >= self._most:
            raise Full
        self._seats += 1
        metrics.FEED_READERS.inc()
        try:
            fan_out = self._begin()
            yield fan_out, await fan_out.begun(within=_BEGIN_WITHIN)
        finally:
            self._seats -= 1
            metrics.FEED_READERS.dec()
            if not self._seats:
                self._stop()

    async def run(self, reader: Reader, fan_out: FanOut, recent: Recent) -> None:
        """Feeds one who has a seat, until it has ended."""
        self._readers.add(reader)
        if self._closed:
            reader.ended.set()
        catching_up = asyncio.create_task(self._catch_up(reader, fan_out, recent))
        try:
            await reader.ended.wait()
        finally:
            self._readers.discard(reader)
            catching_up.cancel()
            await asyncio.wait({catching_up})
            fan_out.leave(reader)

    async def close(self) -> None:
        """Ends all readers and takes no more."""
        self._closed = True
        self._end_readers()
        self._stop()
        if self._ending:
            await asyncio.wait(self._ending)

    async def _catch_up(self, reader: Reader, fan_out: FanOut, recent: Recent) -> None:
        try:
            await self._catching_up.run(reader, fan_out, recent)
        except ConnectionError:
            reader.ended.set()
        except Exception:  # noqa: BLE001 - it comes back with its id
            _log.exception("feed_reader_failed")
            reader.ended.set()

    def _begin(self) -> FanOut:
        if self._running is None:
            fan_out = self._fan_out()
            task = asyncio.create_task(fan_out.run(), name="feed")
            task.add_done_callback(self._over)
            self._running = fan_out, task
        return self._running[0]

    def _stop(self) -> None:
        if self._running is not None:
            _, task = self._running
            self._running = None
            self._ending.add(task)
            task.cancel()

    def _over(self, task: asyncio.Task[None]) -> None:
        """If it has failed, nobody knows who got what: all begin anew, each from its own id."""
        self._ending.discard(task)
        if not task.cancelled():
            _log.error("feed_failed", exc_info=task.exception())
            if self._running and self._running[1] is task:
                self._running = None
            self._end_readers()

    def _end_readers(self) -> None:
        for reader in self._readers:
            reader.ended.set()
