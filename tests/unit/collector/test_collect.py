"""The collector on a real log: nothing lost, nothing twice, bounded, quick when it is quiet."""

import asyncio
import hashlib
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.collector import collect
from services.collector.collect import Health
from services.collector.filters import Filters
from services.collector.source.port import Source
from services.collector.source.recorded import Recorded
from services.shared.log.embedded import SqliteLog
from services.shared.log.port import EventLog, Gap
from services.shared.report import Report
from services.shared.runtime.clock import SystemClock
from services.shared.runtime.unavailable import Unavailable
from tests.unit.collector.events import CANARY, Listed, Watched, event, events, raws, until

ROOT = Path(__file__).parents[3]


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[SqliteLog]:
    opened = await SqliteLog.open(tmp_path / "log.sqlite", clock=SystemClock())
    yield opened
    await opened.close()


@pytest.fixture
def watched(log: SqliteLog) -> Watched:
    return Watched(log)


async def run(
    source: Source, log: EventLog, stop: asyncio.Event | None = None, **how: object
) -> None:
    await collect.run(source, log, stop=stop or asyncio.Event(), clock=SystemClock(), **how)  # type: ignore[arg-type]


async def test_a_recording_goes_into_the_log_whole(recordings: Path, log: SqliteLog) -> None:
    path = recordings / "events-dataplumbhub-2025.jsonl.gz"
    source = await Recorded.open(path, clock=SystemClock())
    await run(source, log)
    tallies = await log.tallies()
    assert tallies == {"received": 92, "appended": 92}
    assert len(await raws(log)) == 92
    await run(await Recorded.open(path, clock=SystemClock()), log)
    assert await log.tallies() == tallies


async def test_each_event_goes_to_one_place_and_is_counted_there(log: SqliteLog) -> None:
    payloads = [
        event(1),
        CANARY,
        event(2, type="log"),
        event(3, meta={"domain": "en.wikipedia.org"}),
        event(4, namespace=4),
        b"no json",
        b"\xff\xfe",
        b"no json",
        event(5),
    ]
    filters = Filters(("pt.*",), ("edit",), (0,))
    gap = Gap(1, 2, "silent")
    await run(Listed(payloads, size=100, gaps=(gap,)), log, filters=filters)
    assert sorted(await raws(log)) == sorted([event(1), CANARY, event(5)])
    assert await log.tallies() == {
        "received": 9,
        "appended": 3,
        "canaries": 1,
        "filtered.type": 1,
        "filtered.project": 1,
        "filtered.namespace": 1,
        "rejected.not_json": 2,
        "rejected.not_utf8": 1,
    }
    letters = {letter.raw: letter for letter in await log.deadletters()}
    assert letters.keys() == {b"no json", b"\xff\xfe"}
    letter = letters[b"\xff\xfe"]
    assert letter.hash == hashlib.sha256(letter.raw).hexdigest()
    assert (letter.reason, letter.source, letter.cursor) == ("not_utf8", "listed", "9")
    assert await log.gaps() == [gap]
    assert await log.cursor("listed") == "9"


async def test_the_source_is_told_of_canaries(log: SqliteLog) -> None:
    class Heard(Listed):
        """Counts what it is told, as a source over a network shows it."""

        canaries = 0

        def report(self) -> Report:
            raise NotImplementedError

        def canary_came(self) -> None:
            self.canaries += 1

    source = Heard([event(1), CANARY, b"no json", event(2), CANARY, CANARY], size=2)
    await run(source, log)
    assert source.canaries == 2, "once for each frame that has one"


async def test_frames_without_events_move_the_cursor(log: SqliteLog) -> None:
    await run(Listed(events(3)), log, filters=Filters(types=("log",)))
    assert await raws(log) == []
    assert await log.cursor("listed") == "3"


async def test_frames_that_come_during_an_append_go_together_in_the_next(watched: Watched) -> None:
    watched.open.clear()
    task = asyncio.create_task(run(Listed(events(30)), watched))
    await asyncio.wait_for(watched.tried.wait(), 5)
    await settled(task)
    watched.open.set()
    await task
    assert watched.sizes == [3, 27]


async def settled(task: asyncio.Task[None]) -> None:
    """Until everything that can go on without a thread or a timer has gone on."""
    for _ in range(2_000):
        await asyncio.sleep(0)
    assert not task.done()


async def test_reading_ahead_is_bounded(watched: Watched) -> None:
    watched.open.clear()
    source = Listed(events(10_000), size=500)
    task = asyncio.create_task(run(source, watched))
    await asyncio.wait_for(watched.tried.wait(), 5)
    await settled(task)
    assert source.handed <= collect.FULL_EVENTS + 3 * 500
    watched.open.set()
    await task
    assert sum(watched.sizes) == 10_000
    assert max(watched.sizes) < collect.FULL_EVENTS + 500


async def test_a_stop_keeps_what_has_been_read_and_the_next_run_goes_on(watched: Watched) -> None:
    payloads = events(50)
    stop = asyncio.Event()
    watched.open.clear()
    first = Listed(payloads[:20], endless=True)
    task = asyncio.create_task(run(first, watched, stop))
    await asyncio.wait_for(watched.tried.wait(), 5)
    await settled(task)
    stop.set()
    watched.open.set()
    await asyncio.wait_for(task, 5)
    assert first.closed
    assert sorted(await raws(watched)) == sorted(payloads[:20])
    await run(Listed(payloads), watched)
    assert sorted(await raws(watched)) == sorted(payloads)


async def test_a_log_that_cannot_store_is_tried_again_and_nothing_is_lost(
    watched: Watched,
) -> None:
    watched.failing = 3
    health = Health()
    await health.check()
    task = asyncio.create_task(run(Listed(events(10)), watched, health=health))
    await asyncio.wait_for(watched.failed.wait(), 5)
    with pytest.raises(Unavailable, match="no space left"):
        await health.check()
    await task
    await health.check()
    assert sorted(await raws(watched)) == sorted(events(10))
    assert await watched.tallies() == {"received": 10, "appended": 10}


async def test_a_stop_ends_the_retries_and_the_cursor_has_not_moved(watched: Watched) -> None:
    watched.failing = 1_000_000
    stop = asyncio.Event()
    task = asyncio.create_task(run(Listed(events(10)), watched, stop))
    await asyncio.wait_for(watched.tried.wait(), 5)
    stop.set()
    await asyncio.wait_for(task, 5)
    assert await watched.cursor("listed") is None


async def test_a_closed_gate_pauses_reading(watched: Watched) -> None:
    gate = asyncio.Event()
    source = Listed(events(10))
    task = asyncio.create_task(run(source, watched, gate=gate))
    await until(lambda: watched.asked)
    await settled(task)
    assert source.handed == 0
    gate.set()
    await task
    assert source.handed == 10


async def test_the_gate_can_close_while_it_reads(watched: Watched) -> None:
    gate = asyncio.Event()
    gate.set()
    watched.open.clear()
    source = Listed(events(3_000), size=1)
    task = asyncio.create_task(run(source, watched, gate=gate))
    await asyncio.wait_for(watched.tried.wait(), 5)
    gate.clear()
    await settled(task)
    handed = source.handed
    watched.open.set()
    await until(lambda: sum(watched.sizes) == handed)
    await settled(task)
    assert source.handed == handed < 3_000
    gate.set()
    await task
    assert sum(watched.sizes) == 3_000


async def test_a_stop_closes_a_source_that_waits_for_room(watched: Watched) -> None:
    stop = asyncio.Event()
    watched.open.clear()
    source = Listed(events(10_000), size=500)
    task = asyncio.create_task(run(source, watched, stop))
    await asyncio.wait_for(watched.tried.wait(), 5)
    await settled(task)
    stop.set()
    watched.open.set()
    await asyncio.wait_for(task, 5)
    assert source.closed
    assert len(await raws(watched)) == int(await watched.cursor("listed") or 0) < 10_000


async def test_what_precedes_an_error_of_the_source_is_stored(log: SqliteLog) -> None:
    with pytest.raises(ConnectionError, match="gone"):
        await run(Listed(events(10), error=ConnectionError("gone")), log)
    assert sorted(await raws(log)) == sorted(events(10))
    assert await log.cursor("listed") == "10"


_CHILD = """
import asyncio, sys
from pathlib import Path
from services.collector import collect
from services.shared.log.embedded import SqliteLog
from services.shared.runtime import crash
from services.shared.runtime.clock import SystemClock
from tests.unit.collector.events import Listed, events

async def main():
    log = await SqliteLog.open(Path(sys.argv[1]), clock=SystemClock())
    crash.arm(sys.argv[2])
    await collect.run(Listed(events(40)), log, stop=asyncio.Event(), clock=SystemClock())
    await log.close()

asyncio.run(main())
"""


@pytest.mark.parametrize(
    "point", ["collector.frame-read:5", "collector.before-append:2", "collector.after-append:1"]
)
async def test_dying_at_any_point_loses_and_repeats_nothing(tmp_path: Path, point: str) -> None:
    path = tmp_path / "log.sqlite"
    command = [sys.executable, "-c", _CHILD, str(path)]
    died = await asyncio.to_thread(subprocess.run, [*command, point], cwd=ROOT, check=False)
    assert died.returncode == 137
    await asyncio.to_thread(subprocess.run, [*command, ""], cwd=ROOT, check=True)
    log = await SqliteLog.open(path, clock=SystemClock())
    assert sorted(await raws(log)) == sorted(events(40))
    assert await log.tallies() == {"received": 40, "appended": 40}
    await log.close()
