"""Dying anywhere in a run and running again gives the same lake and the same views."""

import asyncio
import subprocess
import sys
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

from services.shared.domain.positions import zero
from services.shared.lake.port import TABLES
from services.shared.runtime.clock import ManualClock
from services.shared.runtime.exits import Exit
from tests.unit.batch.conftest import NOW, Stores, open_stores, recount, recounted_registers

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

DIES = """
import asyncio, sys
from contextlib import AsyncExitStack
from pathlib import Path
from services.shared.runtime import crash
from services.shared.runtime.clock import ManualClock
from tests.unit.batch.conftest import NOW, event, open_stores

async def main(path, point, start):
    async with AsyncExitStack() as stack:
        stores = await open_stores(path, ManualClock(NOW), stack)
        crash.arm(point)
        for run in range(9):
            await stores.append(*(event(start + 4 * run + n) for n in range(5)))
            await stores.run(piece=3, generation_keep=0)

asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
"""


async def test_a_run_that_dies_anywhere_is_finished_by_the_next(tmp_path: Path) -> None:
    for number, point in enumerate(POINTS):
        arguments = [str(tmp_path), point, str(1000 * number)]
        died = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", DIES, *arguments], check=False, timeout=120
        )
        assert died.returncode == Exit.CRASHED, point
        if number % 3 == 2 or number == len(POINTS) - 1:  # after one death, and after several
            await assert_exact(tmp_path, point)


async def assert_exact(path: Path, point: str) -> None:
    async with AsyncExitStack() as stack:
        stores = await open_stores(path, ManualClock(NOW), stack)
        run = await stores.run()
        assert run.state == "done"
        batch = await stores.log.read(zero(2), limit=100_000)
        raws = [record.raw for record in batch.records]
        assert await stores.rows() == recount(raws), point
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
