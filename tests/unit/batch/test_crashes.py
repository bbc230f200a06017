"""Dying anywhere in a run and running again gives the same lake and the same views."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

from services.shared.domain.positions import zero
from services.shared.lake.port import TABLES
from services.shared.runtime.clock import ManualClock
from services.shared.runtime.exits import Exit
from tests.deaths import died
from tests.unit.batch.conftest import (
    NOW,
    Stores,
    event,
    open_stores,
    recount,
    recounted_registers,
)

POINTS = (
    "batch.ingested",
    "lake.committed:2",
    "batch.defined:2",
    "lake.before-commit:3",
    "batch.cleaned",
    "batch.staged",
    "batchview.publishing",
    "batch.published",
    "batch.compacted-staged",
    "batch.compacted",
    "batch.expired",
)


async def nine_runs(path: Path, start: int) -> None:
    """Far enough for a compaction, and beyond every point above."""
    async with AsyncExitStack() as stack:
        stores = await open_stores(path, ManualClock(NOW), stack)
        for run in range(9):
            await stores.append(*(event(start + 4 * run + n) for n in range(5)))
            await stores.run(piece=3, generation_keep=0)


async def test_a_run_that_dies_anywhere_is_finished_by_the_next(tmp_path: Path) -> None:
    for number, point in enumerate(POINTS):
        assert await died(nine_runs, tmp_path, 1000 * number, at=point) == Exit.CRASHED, point
        if number % 3 == 2 or number == len(POINTS) - 1:  # after one death, and after several
            await assert_exact(tmp_path, point)


async def assert_exact(path: Path, point: str) -> None:
    async with AsyncExitStack() as stack:
        stores = await open_stores(path, ManualClock(NOW), stack)
        run = await stores.run()
        assert run.state == "done"
        batch = await stores.log.read(zero(2), limit=100_000)
        raws = [record.raw for record in batch.records]
        # In a thread: the word lists may not have been read yet.
        assert await stores.rows() == await asyncio.to_thread(recount, raws), point
        assert await stores.registers() == recounted_registers(raws), point
        distinct = {record.key for record in batch.records}
        for table in TABLES:
            found = await asyncio.to_thread(positions, stores, table)
            assert len(found) == len(distinct), (point, table)
            assert set(found.values()) == {1}, (point, table)
        assert {run.state for run in await stores.batchview.runs()} <= {"done", "failed"}


def positions(stores: Stores, table: str) -> Counter[tuple[int, int]]:
    return Counter(
        (row["partition"], row["offset"])
        for piece in stores.lake.scan(table, ["partition", "offset"])
        for row in piece.to_pylist()
    )
