"""A lake that was moved or copied stands where its files are, for us and for others."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog.sql import SqlCatalog

from services.shared.lake import compaction, settle, sweep, tables
from services.shared.lake.embedded import IcebergLake
from services.shared.lake.port import RAW, TABLES
from services.shared.lake.tables import Tables
from services.shared.runtime.clock import ManualClock
from services.shared.runtime.exits import Exit, Refused
from tests.deaths import died
from tests.unit.lake.rows import DAY, LOG, at, held, rows, state

NEXT_DAY = DAY + 1
T0 = 1_700_000_000


async def made(root: Path) -> dict[str, Any]:
    """A lake with all that one can have: compacted files, an expired day, tables that differ."""
    lake = await IcebergLake.open(root, ManualClock(T0))
    await lake.begin(LOG, at(0, 0))
    for table in TABLES:
        await lake.append(table, rows(table, [(0, 0), (1, 0)], DAY), (0, 0), at(1, 1))
        for n in range(1, compaction.FAN + 2 if table == RAW else 2):
            taken = rows(table, [(0, n)], NEXT_DAY)
            await lake.append(table, taken, (n, 1), at(n + 1, 1))
    await lake.maintain()
    await lake.expire([DAY])
    await lake.close()
    return await state(root)


async def goes_on(root: Path) -> None:
    """Appends, compacts and sweeps as any lake does, and loses nothing by it."""
    clock = ManualClock(T0)
    lake = await IcebergLake.open(root, clock)
    end = (await lake.horizon(RAW)).positions
    until = at(end[0] + 1, end[1])
    before = await held(lake, RAW)
    await lake.append(RAW, rows(RAW, [(0, end[0])], NEXT_DAY), end, until)
    for _ in range(3):
        await lake.maintain()
        clock.advance(3600)
    assert await held(lake, RAW) == sorted([*before, (0, end[0])])
    assert await lake.horizon(RAW) == until
    await lake.close()
    await asyncio.to_thread(_assert_only_what_is_named, root)


def _assert_only_what_is_named(root: Path) -> None:
    opened = Tables(root)
    named = {path for name in opened.pointers() for path in tables.referenced(opened.load(name))}
    opened.close()
    assert all(Path(path).is_relative_to(root) for path in named)
    assert set(sweep.files(root)) == named


@pytest.fixture
async def lake(tmp_path: Path) -> Path:
    await made(tmp_path / "here" / "lake")
    return tmp_path / "here" / "lake"


async def move(lake: Path, elsewhere: Path) -> None:
    await asyncio.to_thread(lake.parent.rename, elsewhere)


async def cp(lake: Path, elsewhere: Path) -> None:
    await asyncio.to_thread(shutil.copytree, lake.parent, elsewhere)


@pytest.mark.parametrize("by", [move, cp])
async def test_a_lake_that_was_moved_or_copied_is_refused_until_it_has_settled(
    tmp_path: Path, lake: Path, by: Callable[..., Any]
) -> None:
    before = await state(lake)
    there = tmp_path / "elsewhere" / "lake"
    await by(lake, there.parent)
    with pytest.raises(Refused, match=f"bvw migrate --data {there.parent}"):
        await state(there)
    assert len(await asyncio.to_thread(settle.settle, there)) == len(TABLES) + 1
    assert await asyncio.to_thread(settle.settle, there) == []
    assert await state(there) == before
    await goes_on(there)
    if by is cp:
        assert await state(lake) == before, "the original is not touched"


async def test_a_copy_reads_nothing_of_its_original(tmp_path: Path, lake: Path) -> None:
    there = tmp_path / "elsewhere" / "lake"
    await cp(lake, there.parent)
    for file in await asyncio.to_thread(lambda: list(lake.rglob("*.parquet"))):
        await asyncio.to_thread(file.write_bytes, b"broken since")
    await asyncio.to_thread(settle.settle, there)
    await goes_on(there)


async def test_others_can_read_what_has_settled(tmp_path: Path, lake: Path) -> None:
    there = tmp_path / "elsewhere" / "lake"
    await move(lake, there.parent)
    await asyncio.to_thread(settle.settle, there)

    def read() -> list[int]:
        catalog = SqlCatalog("bvw", uri=f"sqlite:///{there}/catalog.db")
        found = catalog.load_table(RAW).scan(selected_fields=("offset",)).to_arrow()
        catalog.close()
        return sorted(map(int, found["offset"].to_numpy()))

    assert await asyncio.to_thread(read) == list(range(1, compaction.FAN + 2))


async def test_a_death_before_the_catalogue_changes_leaves_it_to_the_next_try(
    tmp_path: Path, lake: Path
) -> None:
    before = await state(lake)
    there = tmp_path / "elsewhere" / "lake"
    await move(lake, there.parent)
    assert await died(settle_in_process, there, at="lake.settling") == Exit.CRASHED
    with pytest.raises(Refused, match="bvw migrate"):
        await state(there)
    await asyncio.to_thread(settle.settle, there)
    assert await state(there) == before
    await goes_on(there)


async def settle_in_process(root: Path) -> None:
    settle.settle(root)


async def test_what_is_missing_or_torn_is_refused_by_name(tmp_path: Path, lake: Path) -> None:
    there = tmp_path / "elsewhere" / "lake"
    await move(lake, there.parent)
    file = await asyncio.to_thread(lambda: next(_live_files(there)))
    whole = await asyncio.to_thread(file.read_bytes)
    await asyncio.to_thread(file.write_bytes, whole[:-1])
    with pytest.raises(Refused, match=file.name):
        await asyncio.to_thread(settle.settle, there)
    await asyncio.to_thread(file.unlink)
    with pytest.raises(Refused, match=file.name):
        await asyncio.to_thread(settle.settle, there)
    await asyncio.to_thread(file.write_bytes, whole)
    await asyncio.to_thread(settle.settle, there)
    await goes_on(there)


def _live_files(root: Path) -> Any:
    """Data files with rows that a reader sees: those of the day that has not expired."""
    files = root.rglob(f"recentchange/data/day={NEXT_DAY}/*.parquet")
    return (file for file in files if pq.read_metadata(file).num_rows > 1)


def test_where_there_is_no_lake_none_is_made(tmp_path: Path) -> None:
    assert settle.settle(tmp_path / "lake") == []
    settle.copy(tmp_path / "lake", tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


async def test_a_copy_is_a_lake_of_its_own(tmp_path: Path, lake: Path) -> None:
    before = await state(lake)
    there = tmp_path / "copy" / "lake"
    await asyncio.to_thread(settle.copy, lake, there)
    assert await state(there) == before
    await goes_on(there)
    assert await state(lake) == before


async def test_a_copy_can_belong_to_another_log(tmp_path: Path, lake: Path) -> None:
    before = await state(lake)
    await asyncio.to_thread(lambda: settle.copy(lake, tmp_path / "lake", log="another"))
    assert await state(tmp_path / "lake") == before | {"identity": "another"}


async def test_a_copy_shares_the_data_files_that_it_can(tmp_path: Path, lake: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    await asyncio.to_thread(settle.copy, lake, first)
    inodes = await asyncio.to_thread(lambda: {f.stat().st_ino for f in lake.rglob("*.parquet")})
    shared = await asyncio.to_thread(lambda: [f.stat().st_ino for f in first.rglob("*.parquet")])
    assert set(shared) <= inodes
    await asyncio.to_thread(lambda: settle.copy(lake, second, earlier=first))
    assert await state(second) == await state(first)


async def test_a_file_system_without_links_gets_copies(
    tmp_path: Path, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_self: Path, _target: Path) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    await asyncio.to_thread(settle.copy, lake, tmp_path / "lake")
    assert await state(tmp_path / "lake") == await state(lake)
    await goes_on(tmp_path / "lake")


async def test_a_copy_under_commits_is_one_moment_of_the_lake(tmp_path: Path, lake: Path) -> None:
    """Commits, compaction and the removal of old metadata go on while it is copied."""
    writer = await IcebergLake.open(lake, ManualClock(T0))
    copying = asyncio.create_task(asyncio.to_thread(settle.copy, lake, tmp_path / "lake"))
    commits = 0
    while not copying.done():
        end = (await writer.horizon(RAW)).positions
        taken = rows(RAW, [(0, end[0])], NEXT_DAY)
        await writer.append(RAW, taken, end, at(end[0] + 1, end[1]))
        commits += 1
        if commits % 4 == 0:
            await writer.maintain()
    await copying
    await writer.close()
    assert commits
    copied = await state(tmp_path / "lake")
    horizon = copied["horizons"][0].positions
    assert copied["rows"][0] == [(0, n) for n in range(1, horizon[0])]
    await goes_on(tmp_path / "lake")
