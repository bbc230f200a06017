"""The collector: source -> parse -> filters -> log, each event with the cursor that follows it.

Two intakes take turns. While one is being appended, the reader fills the other with the frames that
follow; it is appended as soon as the first is durable. So an event waits for nothing when the
stream is quiet, and batches grow by themselves when there is much to catch up with. The one that is
filled is bounded: the reader waits, and with it the source.

A stop ends reading; what has been read is still appended. If the log can't store now (a full
disk), the same intake is tried again until it can: the cursor moves only with its events, so a
process that is ended meanwhile loses nothing that its source can repeat.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Final

import structlog

from services.collector.filters import Filters
from services.collector.intake import APPENDED, CANARIES, FILTERED, RECEIVED, REJECTED, Intake
from services.collector.source.port import Frame, Reporting, Source
from services.shared.log.port import Cursor, EventLog
from services.shared.runtime import crash, metrics
from services.shared.runtime.clock import Clock
from services.shared.runtime.unavailable import Unavailable

FULL_EVENTS: Final = 2_000
FULL_BYTES: Final = 4 * 1024 * 1024
SLICE: Final = 200  # payloads that are parsed at a stretch: some 2 ms of the event loop
LONGEST_RETRY: Final = 30.0

_log = structlog.get_logger(__name__)


class Health:
    """Whether the collector can store what it reads; `check` is for the readiness probes."""

    def __init__(self) -> None:
        self.trouble: str | None = None

    async def check(self) -> None:
        if self.trouble is not None:
            raise Unavailable(self.trouble)


async def run(
    source: Source,
    log: EventLog,
    *,
    stop: asyncio.Event,
    clock: Clock,
    filters: Filters | None = None,
    gate: asyncio.Event | None = None,
    health: Health | None = None,
) -> None:
    """Collects until the source ends or `stop` is set. Reading pauses while `gate` is not set."""
    cursor = await log.cursor(source.name)
    _log.info("collecting", source=source.name, what=source.description, resumed=cursor is not None)
    pending = _Pending()
    reading = _read(source, cursor, pending, filters or Filters(), gate or _open_gate())
    reader = asyncio.create_task(reading, name="read source")
    stopper = asyncio.create_task(_end_at(stop, reader), name="stop reading")
    try:
        while intake := await pending.take():
            append = partial(_append, intake, source.name, log, clock)
            if not await _stored(append, len(intake), stop, health or Health()):
                _log.warning("not_stored", events=len(intake), way_out="they are read again")
                return
    finally:
        stopper.cancel()
        reader.cancel()
        await asyncio.gather(stopper, reader, return_exceptions=True)
    if not reader.cancelled():
        reader.result()  # raises what ended the source, once all that precedes it is stored
        _log.info("source_ended", source=source.name)


class _Pending:
    """The intake that is being filled: by one reader, for one appender."""

    def __init__(self) -> None:
        self._intake = Intake()
        self._ended = False
        self._changed = asyncio.Event()
        self._room = asyncio.Event()

    async def put(self, intake: Intake) -> None:
        while len(self._intake) >= FULL_EVENTS or self._intake.bytes >= FULL_BYTES:
            self._room.clear()
            await self._room.wait()
        self._intake.extend(intake)
        self._changed.set()

    async def take(self) -> Intake | None:
        """All that there is, once there is some; None after the end."""
        while not self._intake and not self._ended:
            self._changed.clear()
            await self._changed.wait()
        taken, self._intake = self._intake, Intake()
        self._room.set()
        return taken or None

    def end(self) -> None:
        self._ended = True
        self._changed.set()


async def _read(
    source: Source, cursor: str | None, pending: _Pending, filters: Filters, gate: asyncio.Event
) -> None:
    try:
        async with _closing(source.frames(cursor)) as frames:
            await gate.wait()
            async for frame in frames:
                crash.point("collector.frame-read")
                intake = await _sorted(frame, source.name, filters)
                if intake.tally[CANARIES] and isinstance(source, Reporting):
                    source.canary_came()
                await pending.put(intake)
                await gate.wait()
    finally:
        pending.end()


async def _sorted(frame: Frame, source: str, filters: Filters) -> Intake:
    intake = Intake()
    for start in range(0, len(frame.payloads), SLICE):
        end = min(start + SLICE, len(frame.payloads))
        intake.take(frame, range(start, end), source, filters)
        await asyncio.sleep(0)
    intake.close(frame)
    return intake


async def _stored(
    append: Callable[[], Awaitable[None]], events: int, stop: asyncio.Event, health: Health
) -> bool:
    """Appends, however long it takes; False if a stop comes before it can."""
    wait = 0.0
    while True:
        try:
            await append()
        except Unavailable as error:
            health.trouble = str(error)
            wait = min(max(error.retry_after, wait * 2), LONGEST_RETRY)
            _log.warning("log_unavailable", reason=str(error), events=events, retry_in=wait)
        else:
            health.trouble = None
            return True
        if await _set_within(stop, wait):
            return False


async def _append(intake: Intake, source: str, log: EventLog, clock: Clock) -> None:
    crash.point("collector.before-append")
    started = clock.monotonic()
    await log.append(
        intake.entries,
        cursor=None if intake.cursor is None else Cursor(source, intake.cursor),
        deadletters=intake.deadletters,
        gaps=intake.gaps,
        tally=intake.tally,
    )
    metrics.LOG_APPEND_SECONDS.observe(clock.monotonic() - started)
    crash.point("collector.after-append")
    _count(intake)


def _count(intake: Intake) -> None:
    metrics.EVENTS_RECEIVED.inc(intake.tally[RECEIVED])
    metrics.EVENTS_APPENDED.inc(intake.tally[APPENDED])
    metrics.CANARIES.inc(intake.tally[CANARIES])
    metrics.GAPS.inc(len(intake.gaps))
    for name, number in intake.tally.items():
        if name.startswith(REJECTED):
            metrics.EVENTS_REJECTED.labels(name.removeprefix(REJECTED)).inc(number)
        elif name.startswith(FILTERED):
            metrics.EVENTS_FILTERED.labels(name.removeprefix(FILTERED)).inc(number)
    if intake.newest is not None:
        metrics.LAST_EVENT_TIMESTAMP.set(intake.newest)


@contextlib.asynccontextmanager
async def _closing(frames: AsyncIterator[Frame]) -> AsyncIterator[AsyncIterator[Frame]]:
    """A source's file or connection is closed when reading ends, not when it is collected."""
    try:
        yield frames
    finally:
        if isinstance(frames, AsyncGenerator):
            await frames.aclose()


async def _end_at(stop: asyncio.Event, reader: asyncio.Task[None]) -> None:
    await stop.wait()
    reader.cancel()


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()


def _open_gate() -> asyncio.Event:
    gate = asyncio.Event()
    gate.set()
    return gate
