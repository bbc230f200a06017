"""What only the SQLite log has: blocks that are joined, space that comes back, deaths within."""

import asyncio
import gzip
import random
import sys
from collections.abc import AsyncIterator
from functools import partial
from itertools import islice
from pathlib import Path

import pytest

from services.shared.log import tables
from services.shared.log.embedded import SqliteLog
from services.shared.log.port import Cursor, Entry, Unavailable
from services.shared.runtime.clock import SystemClock
from services.shared.runtime.database import Connection
from services.shared.runtime.exits import Exit

START = (0, 0, 0, 0)


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[SqliteLog]:
    log = await SqliteLog.open(tmp_path / "log.db", clock=SystemClock())
    yield log
    await log.close()


def number_of_blocks(connection: Connection) -> int:
    [(number,)] = connection.execute("SELECT count(*) FROM blocks").fetchall()
    return int(number)


def bytes_in_use(connection: Connection) -> int:
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def first_events(recordings: Path, count: int) -> list[Entry]:
    with gzip.open(recordings / "events-wikiticker-2015.jsonl.gz") as lines:
        return [
            Entry(f"20150912:{i}", line.rstrip()) for i, line in enumerate(islice(lines, count))
        ]


async def test_live_appends_end_up_as_small_as_big_ones(log: SqliteLog, recordings: Path) -> None:
    events = await asyncio.to_thread(first_events, recordings, 1500)
    for event in events:
        await log.append([event])
    before = await log._database.read(bytes_in_use)
    assert await log._database.read(number_of_blocks) == 1500
    await log.maintain()
    assert await log._database.read(number_of_blocks) < 50
    after = await log._database.read(bytes_in_use)
    assert after < before / 3
    assert after / len(events) < 260
    batch = await log.read(START, limit=10_000)
    assert sorted((r.key, r.raw) for r in batch.records) == sorted(events)


async def test_trimmed_space_goes_back_to_the_disk(log: SqliteLog, tmp_path: Path) -> None:
    noise = random.Random(1)
    for number in range(60):
        await log.append([Entry(f"{number}:{i}", noise.randbytes(30_000)) for i in range(10)])
    full = await log.size()
    await log.trim(await log.stable_end())
    await log.maintain()
    await log.close()
    log = await SqliteLog.open(tmp_path / "log.db", clock=SystemClock())
    assert await log.size() < full / 3
    await log.close()


async def test_a_full_disk_leaves_nothing_and_passes(log: SqliteLog) -> None:
    def allow(pages: int) -> None:
        log._database._connection().execute(f"PRAGMA max_page_count = {pages}")

    async def on_the_writer(pages: int) -> None:
        await log._database.write(lambda _: allow(pages))

    await log.append([Entry("1", b"one")], cursor=Cursor("s", "1"))
    await on_the_writer(40)
    big = [Entry(str(i), random.Random(i).randbytes(5000)) for i in range(100)]
    with pytest.raises(Unavailable, match="disk is full"):
        await log.append(big, cursor=Cursor("s", "2"), tally={"received": 100})
    assert len((await log.read(START, limit=1000)).records) == 1
    assert await log.cursor("s") == "1"
    assert await log.tallies() == {}
    await on_the_writer(1_000_000)
    await log.append(big, cursor=Cursor("s", "2"))
    assert len((await log.read(START, limit=1000)).records) == 101


async def die(path: Path, point: str, *what: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.contract.logs", "embedded", str(path), *what, point),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    await process.communicate(b"go\n")
    assert process.returncode == Exit.CRASHED


@pytest.mark.parametrize(("point", "kept"), [("log.in-append:3", 10), ("log.appended:3", 15)])
async def test_an_appender_that_dies_leaves_whole_appends(
    tmp_path: Path, point: str, kept: int
) -> None:
    await die(tmp_path / "log.db", point, "a", "9", "5")
    log = await SqliteLog.open(tmp_path / "log.db", clock=SystemClock())
    batch = await log.read(START, limit=1000)
    assert {record.key for record in batch.records} == {f"a-{i}" for i in range(kept)}
    assert await log.cursor("a") == str(kept)
    assert await log.tallies() == {"a": kept}
    await log.close()


async def test_a_death_while_joining_changes_nothing(tmp_path: Path) -> None:
    log = await SqliteLog.open(tmp_path / "log.db", partitions=1, clock=SystemClock())
    for number in range(40):
        await log.append([Entry(str(number), b"x" * 100)])
    before = await log.read((0,), limit=1000)
    await log.close()
    await die(tmp_path / "log.db", "log.in-repack", "maintain", "0", "1")
    log = await SqliteLog.open(tmp_path / "log.db", clock=SystemClock())
    assert await log._database.read(number_of_blocks) == 40
    assert await log.read((0,), limit=1000) == before
    await log.maintain()
    assert await log._database.read(number_of_blocks) == 1
    assert await log.read((0,), limit=1000) == before
    await log.close()


async def test_two_that_tidy_up_at_once_agree(log: SqliteLog, tmp_path: Path) -> None:
    for number in range(400):
        await log.append([Entry(str(number), b"x" * 100)])
    before = await log.read(START, limit=1000)
    other = await SqliteLog.open(tmp_path / "log.db", clock=SystemClock())
    await asyncio.gather(log.maintain(), other.maintain(), other.trim((5, 5, 5, 5)))
    start = await log.start()
    batch = await log.read(start, limit=1000)
    assert batch.records == tuple(r for r in before.records if r.offset >= start[r.partition])
    await other.close()


async def test_a_run_that_was_trimmed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    log = await SqliteLog.open(tmp_path / "log.db", partitions=1, clock=SystemClock())
    for number in range(40):
        await log.append([Entry(str(number), b"x" * 100)])
    [run] = await log._database.read(partial(tables.runs, 0))
    joined = await log._database.read(partial(tables.join, run))
    assert joined is not None
    await log.trim((10,))
    await log._database.write(partial(tables.replace, run, *joined))
    assert await log._database.read(number_of_blocks) == 30
    assert await log._database.read(partial(tables.join, run)) is None
    assert len((await log.read((10,), limit=1000)).records) == 30
    await log.close()
