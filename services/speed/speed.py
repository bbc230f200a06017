"""The speed layer: follows the log and keeps the speed view within a moment of its end.

    log.follow --> prepare (thread) --> view.write (one transaction, moves W)

Each takes its batches from a queue of one: while a batch is being written the next one is prepared, and
the one after that is read. Nothing is waited for to make a batch
larger: a quiet log gives batches of one at once, a full one gives large ones by itself. All state is
the visible position, kept by the view in the transaction of the documents; so a crash anywhere
repeats at most what had not been acknowledged, and repeats change nothing.

A session ends when the process stops, when a rebuild is asked for, when the log no longer holds what comes
next, or when the view has been lost; the latter three empty the view and another session fills it again.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from services.shared.batchview.port import BatchView
from services.shared.domain.positions import Vector, reaches
from services.shared.log.port import Batch, EventLog, OutOfRange
from services.shared.runtime import crash, metrics
from services.shared.runtime.clock import Clock
from services.shared.runtime.settings import Settings
from services.shared.runtime.unavailable import Unavailable
from services.shared.speedview.port import BegunAnew, Busy, SpeedView
from services.speed import rebuild, upkeep
from services.speed.prepare import Prepared, prepare

_BATCH: Final = 4_096
_LOOK_EVERY: Final = 1.0
_LET_GO_EVERY: Final = 60.0
_LOST: Final = "the speed view has been lost"

_log = structlog.get_logger(__name__)
Batches = asyncio.Queue[Batch | None]
Prepareds = asyncio.Queue[Prepared | None]
"""What is read or prepared and not yet being taken further; None ends it."""


async def run(
    log: EventLog,
    view: SpeedView,
    batchview: BatchView,
    *,
    settings: Settings,
    clock: Clock,
    stop: asyncio.Event,
    directory: Path,
    until: Vector | None = None,
) -> None:
    """Follow the log until `stop`, or until everything before `until` is visible.

    `directory` is the data directory, where a rebuild is asked for. Raises `Refused` if the view
    can't follow this log, and `Defect` if the log holds what is no change.
    """
    window_ms = round(settings.dedupe_window * 1000)
    if await asyncio.to_thread(rebuild.requested, directory):
        await rebuild.carry_out(log, view, batchview, window_ms, directory, why="requested")
    else:
        await rebuild.reconcile(log, view, batchview, window_ms, directory)
    while not stop.is_set():
        session = _Session(log, view, batchview, settings, clock, directory, until)
        await session.run(stop)
        if session.reached:
            return
        if session.rebuild:
            why = session.rebuild
            await rebuild.carry_out(log, view, batchview, window_ms, directory, why=why)


@dataclass
class _Session:
    """From the visible position on, until `ended` is set: what is not yet being written then is left to
    the next one, so that a stop is quick.
    """

    log: EventLog
    view: SpeedView
    batchview: BatchView
    settings: Settings
    clock: Clock
    directory: Path
    until: Vector | None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    reached: bool = False
    rebuild: str = ""
    """Why the view must be rebuilt; empty if it needn't."""

    async def run(self, stop: asyncio.Event) -> None:
        batches, prepareds = Batches(maxsize=1), Prepareds(maxsize=1)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(batches), name="speed: read")
                group.create_task(self._prepare(batches, prepareds), name="speed: prepare")
                group.create_task(self._write(prepareds), name="speed: write")
                group.create_task(self._upkeep(), name="speed: upkeep")
                await _either(stop, self.ended)
                self.ended.set()
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None

    async def _read(self, queue: Batches) -> None:
        try:
            visible = await self.view.visible()
        except Unavailable as error:
            await self._wait("speed_view_unavailable", error)
            self.ended.set()
        else:
            if visible is None:
                self._end(_LOST)
            else:
                await self._read_from(visible.positions, queue)
        await queue.put(None)

    async def _read_from(self, positions: Vector, queue: Batches) -> None:
        self._note(positions)
        batches = self.log.follow(positions, limit=_BATCH)
        try:
            async with contextlib.aclosing(_while_not(self.ended, batches)) as until_ended:
                async for batch in until_ended:
                    crash.point("speed.batch-read")
                    await queue.put(batch)
        except OutOfRange as error:
            _log.error("speed_out_of_range", since=error.since, start=error.start)
            self._end("the log no longer holds what comes next")
        except Unavailable as error:
            await self._wait("log_unavailable", error)
            self.ended.set()

    async def _prepare(self, batches: Batches, prepareds: Prepareds) -> None:
        while (batch := await batches.get()) is not None:
            if not self.ended.is_set():
                await prepareds.put(await asyncio.to_thread(prepare, batch))
        await prepareds.put(None)

    async def _write(self, queue: Prepareds) -> None:
        while (prepared := await queue.get()) is not None:
            # Nor what follows a batch that was not taken: it must not move W beyond it.
            if not self.ended.is_set():
                await self._take(prepared)

    async def _take(self, prepared: Prepared) -> None:
        """Returns once it is visible, or has ended: by a stop, or because the view has been begun anew."""
        crash.point("speed.before-write")
        while True:
            try:
                with metrics.SPEED_INDEX_SECONDS.time():
                    await self.view.write(
                        prepared.documents, prepared.since, prepared.until, prepared.times
                    )
            except BegunAnew as error:
                _log.warning("speed_view_begun_anew", reason=str(error))
                self.ended.set()  # the next session goes on from where the view stands
                return
            except (Busy, Unavailable) as error:
                await self._wait("speed_view_busy", error)
                if self.ended.is_set():
                    return
            else:
                break
        crash.point("speed.after-write")
        metrics.SPEED_DOCUMENTS.inc(len(prepared.documents))
        self._note(prepared.until)

    async def _upkeep(self) -> None:
        since_let_go = _LET_GO_EVERY
        while not self.ended.is_set():
            try:
                if since_let_go >= _LET_GO_EVERY:
                    await upkeep.let_go(self.view, self.batchview, self.settings)
                    since_let_go = 0.0
                if not await upkeep.measure(self.log, self.view, self.clock):
                    self._end(_LOST)
            except (Busy, Unavailable, OutOfRange) as error:
                _log.warning("speed_upkeep_put_off", reason=str(error))
            if await asyncio.to_thread(rebuild.requested, self.directory):
                self._end("requested")
            await _pause(self.ended, _LOOK_EVERY)
            since_let_go += _LOOK_EVERY

    def _note(self, positions: Vector) -> None:
        if self.until is not None and reaches(positions, self.until):
            self.reached = True
            self.ended.set()

    def _end(self, why: str) -> None:
        self.rebuild = why
        self.ended.set()

    async def _wait(self, event: str, error: Busy | Unavailable) -> None:
        _log.warning(event, reason=str(error), retry_after=error.retry_after)
        await _pause(self.ended, error.retry_after)


async def _while_not(
    ended: asyncio.Event, batches: AsyncIterator[Batch]
) -> AsyncGenerator[Batch, None]:
    """The batches, but no more of them once it has ended, however long the next one takes."""
    end = asyncio.create_task(ended.wait())
    try:
        while not ended.is_set():
            coming = asyncio.create_task(_next(batches))
            try:
                await asyncio.wait({end, coming}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                coming.cancel()
                await asyncio.wait({coming})
            if not coming.cancelled():
                yield coming.result()
    finally:
        end.cancel()
        if isinstance(batches, AsyncGenerator):
            await batches.aclose()


async def _next(batches: AsyncIterator[Batch]) -> Batch:
    return await anext(batches)


async def _either(*events: asyncio.Event) -> None:
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def _pause(ended: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await ended.wait()
