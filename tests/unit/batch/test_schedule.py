"""Runs by themselves: soon after the first events, then again and again, whatever fails."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from services.batch.schedule import serve_schedule
from services.batch.work import Stopped
from services.shared.batchview.port import Run
from services.shared.domain.generation import first
from services.shared.runtime import requests, roles
from services.shared.runtime.clock import SystemClock
from services.shared.runtime.exits import Refused
from services.shared.runtime.requests import BATCH_RUN
from tests.unit.batch.conftest import Stores, event


class Calls:
    """Counts runs, and wakes whoever waits for the n-th."""

    def __init__(self, run: Callable[[], Awaitable[None]] | None = None) -> None:
        self.count = 0
        self._run = run
        self._changed = asyncio.Event()

    async def once(self) -> Run:
        self.count += 1
        self._changed.set()
        if self._run:
            await self._run()
        return Run("r", "run", "done", 0)

    async def reached(self, count: int) -> None:
        async with asyncio.timeout(20):
            while self.count < count:
                self._changed.clear()
                await self._changed.wait()


def scheduled(stores: Stores, calls: Calls, stop: asyncio.Event, data: Path) -> asyncio.Task[None]:
    return asyncio.create_task(
        serve_schedule(
            calls.once, stores.log, stores.batchview, SystemClock(), stop,
            data=data, every=0.01, first_after=0.04,
        )
    )  # fmt: skip


async def test_a_run_that_is_asked_for_comes_at_once(stores: Stores, tmp_path: Path) -> None:
    await stores.append(event(1))
    calls, stop = Calls(), asyncio.Event()
    task = asyncio.create_task(
        serve_schedule(
            calls.once, stores.log, stores.batchview, SystemClock(), stop,
            data=tmp_path, every=3_600, first_after=0.04,
        )
    )  # fmt: skip
    await calls.reached(1)
    await asyncio.to_thread(requests.leave, tmp_path, BATCH_RUN)
    await calls.reached(2)
    await asyncio.to_thread(requests.leave, tmp_path, BATCH_RUN)
    await calls.reached(3)
    stop.set()
    await task


async def test_the_first_run_waits_for_the_first_events(stores: Stores, tmp_path: Path) -> None:
    await stores.batchview.begin(first(stores.log.identity, 2, 0))
    calls, stop = Calls(), asyncio.Event()
    task = scheduled(stores, calls, stop, tmp_path)
    await asyncio.sleep(0.1)
    assert calls.count == 0
    await stores.append(event(1))
    await calls.reached(3)
    stop.set()
    await task


@pytest.mark.parametrize(
    "error", [RuntimeError("a defect"), Refused("not now"), Stopped("stopped")]
)
async def test_a_failing_run_is_tried_again(
    stores: Stores, tmp_path: Path, error: Exception
) -> None:
    async def fails() -> None:
        raise error

    await stores.append(event(1))
    calls, stop = Calls(fails), asyncio.Event()
    task = scheduled(stores, calls, stop, tmp_path)
    await calls.reached(2)
    stop.set()
    await task


async def test_the_role_is_held_for_a_run_and_free_after_it(stores: Stores, tmp_path: Path) -> None:
    refused = []

    async def rival() -> None:
        try:
            async with roles.hold(tmp_path, "batch"):
                pass
        except Refused as refusal:
            refused.append(refusal)
        stop.set()

    await stores.append(event(1))
    calls, stop = Calls(rival), asyncio.Event()
    await scheduled(stores, calls, stop, tmp_path)
    assert len(refused) == 1
    async with roles.hold(tmp_path, "batch"):
        pass


async def test_it_ends_at_once_when_stopped_while_waiting(stores: Stores, tmp_path: Path) -> None:
    calls, stop = Calls(), asyncio.Event()
    task = scheduled(stores, calls, stop, tmp_path)
    stop.set()
    async with asyncio.timeout(5):
        await task
    assert calls.count == 0
