"""Batch runs by themselves, for as long as the process lives.

The first run comes soon after there is anything to count, so that a newcomer sees both layers at
work; from then on one starts every `every` seconds, or when the one before has ended if that is later, or
when somebody asks for one (`runtime.requests`).
A run that fails is logged and recorded by itself; the next one goes on from where it stood. The batch
role is held for each run alone, so `bvw batch run` by hand finds its turn between two.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import structlog

from services.batch.work import Stopped
from services.shared.batchview.port import BatchView, Run
from services.shared.domain.positions import reaches
from services.shared.log.port import EventLog
from services.shared.runtime import requests, roles
from services.shared.runtime.clock import Clock
from services.shared.runtime.exits import Refused
from services.shared.runtime.requests import BATCH_RUN
from services.shared.runtime.unavailable import Unavailable

_LONGEST_LOOK: Final = 1.0

_log = structlog.get_logger(__name__)


async def serve_schedule(
    once: Callable[[], Awaitable[Run]],
    log: EventLog,
    batchview: BatchView,
    clock: Clock,
    stop: asyncio.Event,
    *,
    data: Path,
    every: float,
    first_after: float,
) -> None:
    """`once` is `run_once` with everything bound; a run starts while `stop` is not set."""
    if not await _first_events(log, batchview, stop, first_after):
        return
    while not stop.is_set():
        started = clock.monotonic()
        asked = await asyncio.to_thread(requests.left, data, BATCH_RUN)
        await _run(once, data)
        await asyncio.to_thread(requests.done, asked)
        while (left := every - (clock.monotonic() - started)) > 0:
            if await _stopped_within(stop, min(left, _LONGEST_LOOK)):
                break
            if await asyncio.to_thread(requests.left, data, BATCH_RUN):
                break


async def _first_events(
    log: EventLog, batchview: BatchView, stop: asyncio.Event, first_after: float
) -> bool:
    """Wait until there is something to count, and a little longer for more; False if stopped."""
    look = min(_LONGEST_LOOK, first_after / 4)
    while not stop.is_set():
        current = await batchview.current()
        if not reaches(
            current.horizon if current else (0,) * log.partitions, await log.stable_end()
        ):
            return not await _stopped_within(stop, first_after / 3)
        await _stopped_within(stop, look)
    return False


async def _run(once: Callable[[], Awaitable[Run]], data: Path) -> None:
    try:
        async with roles.hold(data, "batch", wait=True):
            run = await once()
        _log.info("batch_run_done", run=run.id, generation=run.generation)
    except Stopped:
        _log.info("batch_run_stopped")
    except Refused as error:
        _log.error("batch_run_refused", reason=error.message)
    except Unavailable as error:
        _log.warning("batch_run_put_off", reason=str(error))
    except Exception:  # noqa: BLE001 - whatever it is, the next run is due
        _log.exception("batch_run_failed")


async def _stopped_within(stop: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return False
    return True
