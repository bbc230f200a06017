"""What the collector does beside collecting: keep the log as long as it is needed, and the disk within
its budget.

The log keeps one dedupe window and a margin of log time. Over the disk budget the margin goes first;
what the removal rule protects (`domain.retention`) never does. Then a batch run is asked for, which expires
the lake's oldest days. If the disk is still over its budget, collection pauses until it is not: the source's
cursor stays, so nothing is lost that the source can repeat.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import structlog

from services.shared.batchview.port import BatchView
from services.shared.domain import retention
from services.shared.domain.positions import Vector
from services.shared.log.port import EventLog, OutOfRange
from services.shared.runtime import datadir, metrics, requests
from services.shared.runtime.clock import Clock
from services.shared.runtime.requests import BATCH_RUN
from services.shared.runtime.settings import Settings
from services.shared.runtime.unavailable import Unavailable
from services.shared.speedview.port import SpeedView

EVERY: Final = 30.0
LONGEST_TURN_MS: Final = 120_000
"""So long collection goes on over the budget for a batch run that was asked for."""

_log = structlog.get_logger(__name__)


async def run(
    log: EventLog,
    speed: SpeedView,
    batch: BatchView,
    *,
    settings: Settings,
    disk: "Disk",
    clock: Clock,
    gate: asyncio.Event,
    stop: asyncio.Event,
) -> None:
    """Looks every half minute until `stop`. `gate` is closed while collection must pause."""
    await disk.compare()
    while not stop.is_set():
        try:
            over = await disk.over_budget()
            await shorten(log, speed, batch, settings, keep_margin=not over)
            over = over and await disk.over_budget()
            await disk.admit(gate, batch, clock, over=over)
            await measure(log, batch, clock)
        except (Unavailable, OutOfRange) as error:
            # A full disk for instance; the collector says it too, and goes on once there is room.
            _log.warning("log_upkeep_put_off", reason=str(error))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), EVERY)


async def shorten(
    log: EventLog, speed: SpeedView, batch: BatchView, settings: Settings, *, keep_margin: bool
) -> None:
    """Remove from the log what is not needed, with or without the margin, and tidy up."""
    removable = await _removable_before(speed, batch, settings)
    if removable is not None:
        margin = round(settings.log_retention_margin * 1000) if keep_margin else 0
        await log.trim(await log.positions_at(removable - margin))
    await log.maintain()


async def measure(log: EventLog, batch: BatchView, clock: Clock) -> None:
    """How long the log is, and how far the batch layer is behind it."""
    for partition, offset in enumerate(await log.stable_end()):
        metrics.LOG_END.labels(str(partition)).set(offset)
    metrics.DEAD_LETTERS.set(await log.count_deadletters())
    current = await batch.current()
    if current is not None and current.log == log.identity:
        waiting = (await log.read(current.horizon, limit=1)).records
        ages = [clock.now() - record.appended_at / 1000 for record in waiting]
        metrics.HORIZON_AGE.set(max([0.0, *ages]))


class Disk:
    """The data directory against its budget; says when it comes near it, once each time.

    `used` tells the bytes by part; it looks at files.
    """

    def __init__(
        self, directory: Path, settings: Settings, used: Callable[[Path], Mapping[str, int]]
    ) -> None:
        self._directory = directory
        self._used_in = used
        self._budget = int(settings.disk_budget)
        self._near = settings.disk_warn_ratio * settings.disk_budget
        self._warned = False
        self._asked_at: int | None = None
        """When a batch run was asked for, because the log had nothing more to give (ms)."""

    async def compare(self) -> None:
        """Warn if the disk is full before the budget is."""
        used, free = (
            await self._used(),
            await asyncio.to_thread(datadir.free_bytes, self._directory),
        )
        if used + free < self._budget:
            _log.warning(
                "disk_smaller_than_budget",
                free=free,
                used=used,
                budget=self._budget,
                way_out="set BVW_DISK_BUDGET to what the disk has, or put --data on a larger one",
            )

    async def over_budget(self) -> bool:
        used = await self._used()
        near = used > self._near
        if near and not self._warned:
            _log.warning(
                "disk_budget_near",
                used=used,
                budget=self._budget,
                way_out="raise BVW_DISK_BUDGET, or let the oldest events go",
            )
        self._warned = near
        return used > self._budget

    async def admit(
        self, gate: asyncio.Event, batch: BatchView, clock: Clock, *, over: bool
    ) -> None:
        """Close the gate once neither log nor lake has anything to give; open it with room."""
        if not over:
            self._asked_at = None
            if not gate.is_set():
                _log.info("collection_resumed")
                gate.set()
        elif gate.is_set() and await self._lake_has_given(batch, round(clock.now() * 1000)):
            _log.error(
                "collection_paused",
                why="the data directory is over its disk budget",
                way_out="raise BVW_DISK_BUDGET",
            )
            gate.clear()

    async def _lake_has_given(self, batch: BatchView, now: int) -> bool:
        """Whether a batch run, asked for at the first look, has ended since, or none will."""
        if self._asked_at is None:
            self._asked_at = now
            await asyncio.to_thread(requests.leave, self._directory, BATCH_RUN)
            return False
        runs = await batch.runs(limit=5)
        had = any(run.ended_at for run in runs if run.started_at > self._asked_at)
        return had or now - self._asked_at > LONGEST_TURN_MS

    async def _used(self) -> int:
        parts = await asyncio.to_thread(self._used_in, self._directory)
        for part, used in parts.items():
            metrics.DISK_BYTES.labels(part).set(used)
        return sum(parts.values())


async def _removable_before(speed: SpeedView, batch: BatchView, settings: Settings) -> int | None:
    """The log time (ms) before which nothing that is stored is needed any more."""
    visible, readable = await speed.visible(), await batch.generations()
    if visible is None or not readable or visible.log != readable[0].log:
        return None
    times: Vector = readable[0].times
    window_ms = round(settings.dedupe_window * 1000)
    return retention.removable_everywhere(window_ms, visible.times, times)
