"""Dead letters tried again: by the tool itself, or left as a request to the running collector."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.collector import replay
from services.collector.filters import Filters
from services.collector.replay import Outcome
from services.shared.log.embedded import SqliteLog
from services.shared.log.port import DeadLetter
from services.shared.runtime.clock import SystemClock
from tests.unit.collector.events import Watched, event, raws, until

ROOT = Path(__file__).parents[3]


def letter(number: int, raw: bytes) -> DeadLetter:
    return DeadLetter(f"{number:064x}", raw, "not_json", "an older version", "source", "c")


# What an older version could not read, and what this one can't either.
LETTERS = [
    letter(1, event(1)),
    letter(2, b"{"),
    letter(3, event(3)),
    letter(4, event(4, type="log")),
]


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[SqliteLog]:
    opened = await SqliteLog.open(tmp_path / "log.sqlite", clock=SystemClock())
    await opened.append([], deadletters=LETTERS)
    yield opened
    await opened.close()


async def left(log: SqliteLog) -> list[bytes]:
    return [letter.raw for letter in await log.deadletters()]


async def test_all_that_are_understood_now_are_appended_and_removed(log: SqliteLog) -> None:
    assert await replay.replay(log, None) == Outcome(appended=3, rejected=1)
    assert sorted(await raws(log)) == sorted([event(1), event(3), event(4, type="log")])
    assert await left(log) == [b"{"]
    assert await log.tallies() == {"replayed": 3}
    assert await replay.replay(log, None) == Outcome(rejected=1)
    assert len(await raws(log)) == 3


async def test_some_by_hash(log: SqliteLog) -> None:
    outcome = await replay.replay(log, [LETTERS[2].hash, "f" * 64])
    assert outcome == Outcome(appended=1, unknown=("f" * 64,))
    assert await raws(log) == [event(3)]


async def test_filters_hold_for_replayed_events(log: SqliteLog) -> None:
    outcome = await replay.replay(log, None, filters=Filters(types=("edit",)))
    assert outcome == Outcome(appended=2, filtered=1, rejected=1)
    assert await left(log) == [b"{"]


async def test_more_than_a_page_of_them(log: SqliteLog) -> None:
    many = [letter(100 + n, event(n)) for n in range(100)]
    await log.append([], deadletters=many)
    assert await replay.replay(log, None) == Outcome(appended=103, rejected=1)


async def served(log: SqliteLog | Watched, data: Path, until: asyncio.Event) -> asyncio.Task[None]:
    return asyncio.create_task(replay.serve(log, data, stop=until))


async def gone(path: Path) -> None:
    await until(lambda: not path.exists())


async def test_requests_are_carried_out_by_the_running_collector(
    log: SqliteLog, tmp_path: Path
) -> None:
    one = await asyncio.to_thread(replay.leave, tmp_path, [LETTERS[0].hash])
    two = await asyncio.to_thread(replay.leave, tmp_path, [LETTERS[2].hash])
    stop = asyncio.Event()
    task = await served(log, tmp_path, stop)
    await gone(one)
    await gone(two)
    assert sorted(await raws(log)) == sorted([event(1), event(3)])
    rest = await asyncio.to_thread(replay.leave, tmp_path, None)
    await gone(rest)
    assert await left(log) == [b"{"]
    stop.set()
    await asyncio.wait_for(task, 5)


async def test_a_request_stays_until_it_has_been_carried_out(
    log: SqliteLog, tmp_path: Path
) -> None:
    watched = Watched(log)
    watched.failing = 1
    path = await asyncio.to_thread(replay.leave, tmp_path, None)
    stop = asyncio.Event()
    task = await served(watched, tmp_path, stop)
    await asyncio.wait_for(watched.tried.wait(), 5)
    assert await asyncio.to_thread(path.exists)
    await gone(path)
    stop.set()
    await task
    assert len(await raws(log)) == 3


async def test_an_unreadable_request_does_not_end_the_collector(
    log: SqliteLog, tmp_path: Path
) -> None:
    path = await asyncio.to_thread(replay.leave, tmp_path, None)
    await asyncio.to_thread(path.write_bytes, b"{")
    stop = asyncio.Event()
    task = await served(log, tmp_path, stop)
    await gone(path)
    assert len(await left(log)) == 4
    stop.set()
    await task


_CHILD = """
import asyncio, sys
from pathlib import Path
from services.collector import replay
from services.shared.log.embedded import SqliteLog
from services.shared.runtime import crash
from services.shared.runtime.clock import SystemClock

async def main():
    log = await SqliteLog.open(Path(sys.argv[1]), clock=SystemClock())
    crash.arm("collector.replay-appended")
    await replay.replay(log, None)

asyncio.run(main())
"""


async def test_dying_before_the_removal_makes_copies_that_count_once(
    log: SqliteLog, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", _CHILD, str(tmp_path / "log.sqlite")]
    died = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, check=False)
    assert died.returncode == 137
    assert await replay.replay(log, None) == Outcome(appended=3, rejected=1)
    records = (await log.read(await log.start(), limit=100)).records
    assert len(records) == 6
    assert len({(record.partition, record.key) for record in records}) == 3
