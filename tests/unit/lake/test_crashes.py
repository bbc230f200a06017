"""A process that dies at any point of its work on the lake: the next one ends it, exactly."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from services.shared.lake import compaction, sweep
from services.shared.lake.embedded import IcebergLake
from services.shared.lake.port import CLEANED, DEFINED, RAW
from services.shared.runtime.clock import ManualClock
from services.shared.runtime.exits import Exit
from tests.deaths import died
from tests.unit.lake import carry_on
from tests.unit.lake.rows import DAY, LOG, at, held, rows, state

BEGIN, APPENDS = 3, 3 * carry_on.RUNS
"""Commits of the work: three to begin, those of the appends, the kept ids, three expiries."""


async def work(root: Path, spec: str) -> int | None:
    """Carry on in a process of its own, which dies at the crash point."""
    return await died(carry_on.carry_on, root, at=spec)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the work makes that nothing cuts off."""
    root = tmp_path_factory.mktemp("whole")
    asyncio.run(carry_on.carry_on(root))
    return asyncio.run(state(root))


@pytest.mark.parametrize(
    "spec",
    [
        "lake.before-commit:1",
        "lake.committed:2",
        f"lake.before-commit:{BEGIN + 2}",
        f"lake.committed:{BEGIN + carry_on.RUNS}",
        f"lake.before-commit:{BEGIN + APPENDS + 1}",
        "lake.ids-kept",
        f"lake.committed:{BEGIN + APPENDS + 2}",
        f"lake.before-commit:{BEGIN + APPENDS + 4}",
        f"lake.committed:{BEGIN + APPENDS + 4}",
        "lake.in-sweep:2",
    ],
)
async def test_after_a_crash_the_same_work_makes_the_same_lake(
    tmp_path: Path, whole: dict[str, Any], spec: str
) -> None:
    assert await work(tmp_path, spec) == Exit.CRASHED
    await carry_on.carry_on(tmp_path)
    assert await state(tmp_path) == whole
    assert whole["expired"] == [DAY]
    assert whole["known"] == [True, False]


@pytest.mark.parametrize("point", ["lake.before-commit", "lake.committed"])
async def test_a_crash_while_files_become_one_loses_no_row(tmp_path: Path, point: str) -> None:
    lake = await IcebergLake.open(tmp_path, ManualClock())
    await lake.begin(LOG, at(0, 0))
    for table in (RAW, CLEANED):
        await lake.append(table, rows(table, []), (0, 0), at(9, 0))
    for n in range(compaction.FAN):
        taken = rows(DEFINED, [(0, n)], DAY + 1)
        await lake.append(DEFINED, taken, (n, 0), at(n + 1, 0))
    await lake.close()
    before = await state(tmp_path)
    assert await work(tmp_path, point) == Exit.CRASHED
    assert await state(tmp_path) == before
    await carry_on.carry_on(tmp_path)
    assert await state(tmp_path) == before


async def test_what_a_crash_leaves_behind_is_removed(tmp_path: Path) -> None:
    spec = f"lake.before-commit:{BEGIN + 2}"
    assert await work(tmp_path, spec) == Exit.CRASHED
    lost = await asyncio.to_thread(sweep.files, tmp_path)
    clock = ManualClock(1_700_000_000)
    lake = await IcebergLake.open(tmp_path, clock)
    for _ in range(2):
        await lake.maintain()
        clock.advance(3600)
    left = await asyncio.to_thread(sweep.files, tmp_path)
    gone = [Path(path).suffix for path in set(lost) - set(left)]
    assert gone.count(".parquet") == 1
    assert await held(lake, RAW) == [(0, 0), (1, 0)]
    assert await held(lake, DEFINED) == []
    await lake.close()
