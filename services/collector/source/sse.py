"""The live stream as a source: Wikimedia EventStreams, for days.

    connection (bytes) -> unpack -> eventstream (events) -> resume (cursor, gaps) -> frames

A connection is made, read until it ends, and made again from the cursor; how it asks is for `resume`, how
long it waits for `pacing`. No byte is read while a frame waits for its consumer: a slow log holds up the
socket, and memory stays bounded.

Silence has three measures. No byte for `watchdog` seconds: the connection is dead. Bytes, but no event
for five times that: whoever keeps it open has lost the stream. No canary for `canary_alarm` seconds,
though they come several times an hour whatever people do: somebody must look (see `report`).
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

import aiohttp
import structlog

from services.collector.source import connection
from services.collector.source.connection import NoSuchPoint, Passing, Stopped
from services.collector.source.eventstream import Event, Parser
from services.collector.source.pacing import SLOW, Pacing
from services.collector.source.port import Frame, Reporting, Source
from services.collector.source.resume import Ask, Elsewhere, Outcome, Resume
from services.shared.report import Report, State
from services.shared.runtime import metrics
from services.shared.runtime.clock import Clock

FRAME_EVENTS: Final = 500

_QUIET: Final = 5
_ERROR: Final = b"error"

_log = structlog.get_logger(__name__)
Sleep = Callable[[float], Awaitable[object]]


class Options(NamedTuple):
    """`contact` is whom the upstream's operators can write to; times in seconds."""

    url: str
    contact: str
    overlap: float = 10.0
    watchdog: float = 60.0
    canary_alarm: float = 1800.0
    largest: int = 1 << 20


class _Ended(NamedTuple):
    """Why a connection is over: a cause of few words, a reason for people, seconds to wait at least."""

    cause: str = "cut"
    reason: str = ""
    wait: float | None = None
    outcome: Outcome | None = None
    """None: what it has brought says it."""
    state: State = "waiting"


_CUT: Final = _Ended()


class Sse:
    """`sleep` and `pacing` are handed in, so that tests need not wait."""

    def __init__(
        self, options: Options, clock: Clock, *, pacing: Pacing, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._options = options
        self._clock = clock
        self._pacing = pacing
        self._sleep = sleep
        self._connections = 0
        self._state: State = "connecting"
        self._since = self._now()
        self._reason = ""
        self._retry_at: int | None = None
        self._event_at: int | None = None
        self._canary_at: int | None = None
        self._canary_heard = clock.monotonic()

    @property
    def name(self) -> str:
        return f"stream:{self._options.url}"

    @property
    def description(self) -> str:
        return f"live changes from {self._options.url}"

    def report(self) -> Report:
        quiet = self._clock.monotonic() - self._canary_heard
        return Report(
            at=self._now(),
            state=self._state,
            since=self._since,
            reason=self._reason,
            retry_at=self._retry_at,
            connections=self._connections,
            last_event_at=self._event_at,
            last_canary_at=self._canary_at,
            canaries_missing=quiet > self._options.canary_alarm,
        )

    def canary_came(self) -> None:
        self._canary_at = self._now()
        self._canary_heard = self._clock.monotonic()

    async def frames(self, cursor: str | None) -> AsyncIterator[Frame]:
        resume = Resume.read(cursor, round(self._options.overlap * 1000))
        async with connection.session(self._options.contact) as client:
            while True:
                began, ended = self._clock.monotonic(), _CUT
                try:
                    async with contextlib.aclosing(self._connection(client, resume)) as frames:
                        async for frame in frames:
                            yield frame
                except (Passing, NoSuchPoint, Elsewhere, Stopped) as error:
                    ended = _why(error)
                await self._pause(ended, resume, began)

    async def _connection(
        self, client: aiohttp.ClientSession, resume: Resume
    ) -> AsyncGenerator[Frame, None]:
        """The frames of one connection."""
        options, parser = self._options, Parser(self._options.largest)
        self._say("connecting", self._reason)
        opening = connection.opened(
            client, options.url, resume.request(), within=options.watchdog, now=self._clock.now()
        )
        async with opening as response:
            self._connections += 1
            self._say("connected")
            heard = self._clock.monotonic()
            pieces = connection.pieces(response, options.watchdog)
            async with contextlib.aclosing(pieces):
                async for piece in pieces:
                    events = parser.feed(piece)
                    self._pacing.obey(parser.retry)
                    if events:
                        heard = self._clock.monotonic()
                    elif self._clock.monotonic() - heard > _QUIET * options.watchdog:
                        raise Passing("silence", "heartbeats, but no event")
                    if events and resume.ask is Ask.PROBE:
                        resume.heard()
                        return
                    for frame in self._frames(events, resume):
                        yield frame

    def _frames(self, events: list[Event], resume: Resume) -> Iterator[Frame]:
        """The events in frames, up to an error that the upstream reports among them."""
        errors = [index for index, event in enumerate(events) if event.type == _ERROR]
        good = events[: errors[0]] if errors else events
        for start in range(0, len(good), FRAME_EVENTS):
            some = good[start : start + FRAME_EVENTS]
            gaps = resume.take(some)
            self._event_at = self._now()
            sizes = [event.size for event in some]
            cut = {}
            if max(sizes) > self._options.largest:
                cut = {n: size for n, size in enumerate(sizes) if size > self._options.largest}
            yield Frame(tuple([event.data for event in some]), resume.cursor, tuple(gaps), cut)
        if errors:
            said = events[errors[0]].data[:300].decode("utf-8", "replace")
            raise Passing("upstream_error", f"the upstream says: {said!a}")

    async def _pause(self, ended: _Ended, resume: Resume, began: float) -> None:
        progress = resume.outcome is Outcome.NEW and ended.outcome is None
        resume.ended(ended.outcome)
        lasted = self._clock.monotonic() - began
        wait = self._pacing.wait(progress=progress, lasted=lasted, asked=ended.wait)
        metrics.STREAM_RECONNECTS.labels(ended.cause).inc()
        if ended.reason and ended.reason != self._reason:  # the same again is no news
            said = _log.error if ended.state == "stopped" else _log.warning
            said("stream_interrupted", cause=ended.cause, reason=ended.reason, retry_in=wait)
        self._say(ended.state, ended.reason)
        self._retry_at = self._now() + round(wait * 1000)
        await self._sleep(wait)

    def _say(self, state: State, reason: str = "") -> None:
        self._state, self._since, self._reason = state, self._now(), reason
        self._retry_at = None
        metrics.STREAM_CONNECTED.set(state == "connected")

    def _now(self) -> int:
        return round(self._clock.now() * 1000)


async def unreachable(options: Options, clock: Clock, *, within: float) -> str | None:
    """Why the stream can't be had within so many seconds; None if it can."""
    opening = Resume(0).request()
    async with connection.session(options.contact) as client:
        try:
            async with (
                asyncio.timeout(within),
                connection.opened(client, options.url, opening, within=within, now=clock.now()),
            ):
                return None
        except (Passing, Stopped) as error:
            return str(error)
        except TimeoutError:
            return f"no answer within {within:g} s"


def _why(error: Exception) -> _Ended:
    if isinstance(error, Passing):
        outcome = None if error.made else Outcome.FAILED
        return _Ended(error.cause, str(error), error.retry_after, outcome)
    if isinstance(error, NoSuchPoint):
        return _Ended("resume_refused", str(error), outcome=Outcome.REFUSED)
    if isinstance(error, Elsewhere):
        return _Ended("elsewhere", str(error), outcome=Outcome.FAILED)
    return _Ended("stopped", str(error), SLOW, Outcome.FAILED, "stopped")


if TYPE_CHECKING:
    _source: type[Source] = Sse
    _reporting: type[Reporting] = Sse
