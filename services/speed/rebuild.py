"""Whether a speed view can go on, and where it starts anew if it can't.

A view that goes on belongs to this log, stands within it and has words of today's text analysis. One
that is missing, or has words of another version, starts where the oldest readable answer needs it:
one dedupe window of log time before the oldest readable horizon, because a copy that arrives behind
the horizon must still meet the winner before it. Until it has read what the log held at that moment,
it says that it is being rebuilt, and answers are partial.

Somebody who wants a rebuild leaves a request in the data directory. The process that follows the
log carries it out and removes it once the view is emptied, so that a crash in between repeats it.
"""

import asyncio
from pathlib import Path
from typing import Final

import structlog

from services.shared import fit
from services.shared.batchview.port import BatchView
from services.shared.domain.positions import Vector, lower, reaches, shown, upper
from services.shared.log.port import EventLog
from services.shared.runtime import crash, metrics, requests
from services.shared.runtime.exits import Refused
from services.shared.speedview.port import SpeedView
from services.shared.text import TEXT_VERSION

_NAME: Final = "speed-rebuild"

_log = structlog.get_logger(__name__)


async def reconcile(
    log: EventLog, view: SpeedView, batchview: BatchView, window_ms: int, directory: Path
) -> None:
    """Make sure that the view can follow the log. Raises `Refused` where a person must decide."""
    visible = await view.visible()
    if visible is None:
        await begin(log, view, batchview, window_ms, why="missing")
        return
    if odd := fit.of_speed(visible, log.identity, await log.stable_end(), directory):
        raise Refused(odd)
    if visible.text_version != TEXT_VERSION:
        await begin(log, view, batchview, window_ms, why="text analysis of another version")


async def begin(
    log: EventLog, view: SpeedView, batchview: BatchView, window_ms: int, *, why: str
) -> None:
    """Empty the view and let it start where it must; following the log then fills it."""
    end = await log.stable_end()
    start = await log.start()
    floor = await _floor(log, batchview, start, window_ms)
    new = reaches(start, end)
    await view.begin(log.identity, floor, None if new else end, text_version=TEXT_VERSION)
    if not new:
        metrics.SPEED_REBUILDS.inc()
        _log.warning("speed_rebuild_begun", why=why, floor=shown(floor), until=shown(end))
    crash.point("speed.rebuild-begun")


async def carry_out(
    log: EventLog,
    view: SpeedView,
    batchview: BatchView,
    window_ms: int,
    directory: Path,
    *,
    why: str,
) -> None:
    """`begin`, and whatever rebuild was asked for before is done with it."""
    asked = await asyncio.to_thread(requests.left, directory, _NAME)
    await begin(log, view, batchview, window_ms, why=why)
    await asyncio.to_thread(requests.done, asked)


async def _floor(log: EventLog, batchview: BatchView, start: Vector, window_ms: int) -> Vector:
    readable = await batchview.generations()
    if not readable:
        return start
    oldest = readable[0]
    remembered = await log.positions_at(min(oldest.times) - window_ms)
    return upper(start, lower(remembered, oldest.horizon))


def request(directory: Path) -> None:
    """Ask the process that follows the log for a rebuild; durable on return."""
    requests.leave(directory, _NAME)


def requested(directory: Path) -> bool:
    return bool(requests.left(directory, _NAME))
