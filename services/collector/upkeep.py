"""What the collector does beside collecting: keep the log as long as it is needed, and the disk within
its budget.

The log keeps one dedupe window and a margin of log time. Over the disk budget the margin goes first;
what the removal rule protects (`domain.retention`) never does. The batch layer then expires the lake's
oldest days (its own step). If the disk is still over its budget, collection pauses until it is not: the
source's cursor stays, so a source that can resume loses nothing.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

import structlog

from services.shared.batchview.port import BatchView
from services.shared.domain import retention
from services.shared.domain.positions import Vector
from services.shared.log.port import EventLog
from services.shared.runtime import datadir, metrics
from services.shared.runtime.settings import Settings
from services.shared.speedview.port import SpeedView

EVERY: Final = 30.0
Sizes = Mapping[str, Callable[[], Awaitable[int]]]

_log = structlog.get_logger(__name__)


async def run(
    log: EventLog,
    speed: SpeedView,
    batch: BatchView,
    *,
    settings: Settings,
    directory: Path,
    gate: asyncio.Event,
    stop: asyncio.Event,
) -> None:
    """Looks every half minute until `stop`. `gate` is closed while collection must pause."""
    while not stop.is_set():
        over = await _budget(directory, settings)
        removable = await needless_before(speed, batch, settings)
        if removable is not None:
            margin = 0 if over else round(settings.log_retention_margin * 1000)
            await log.trim(await log.positions_at(removable - margin))
        await log.maintain()
        await _admit(gate, directory, settings)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), EVERY)


async def needless_before(speed: SpeedView, batch: BatchView, settings: Settings) -> int | None:
    """The log time (ms) before which nothing that is stored is needed any more."""
    visible, readable = await speed.visible(), await batch.generations()
    if visible is None or not readable or visible.log != readable[0].log:
        return None
    times: Vector = readable[0].times
    window_ms = round(settings.dedupe_window * 1000)
    return retention.removable_everywhere(window_ms, visible.times, times)


async def _budget(directory: Path, settings: Settings) -> bool:
    """True if the disk is over its budget; near it there is a warning."""
    used = await asyncio.to_thread(datadir.used_bytes, directory)
    metrics.DISK_BYTES.labels("all").set(used)
    if used > settings.disk_warn_ratio * settings.disk_budget:
        _log.warning(
            "disk_budget_near",
            used=used,
            budget=int(settings.disk_budget),
            way_out="raise BVW_DISK_BUDGET, or let the oldest events go",
        )
    return used > settings.disk_budget


async def _admit(gate: asyncio.Event, directory: Path, settings: Settings) -> None:
    if await asyncio.to_thread(datadir.used_bytes, directory) <= settings.disk_budget:
        if not gate.is_set():
            _log.info("collection_resumed")
        gate.set()
    elif gate.is_set():
        _log.error(
            "collection_paused",
            why="the data directory is over its disk budget",
            way_out="raise BVW_DISK_BUDGET",
        )
        gate.clear()
