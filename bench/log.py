"""The event log on recorded events, beside the least that could keep them: one row per event.

The peer inserts (partition, offset, key, raw) with the same durability and the same events per
transaction, and is read back in order of its primary key.
"""

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec

from bench import events
from bench.figures import Figure
from services.shared.domain.identity import event_id, partition
from services.shared.domain.positions import zero
from services.shared.log.embedded import SqliteLog
from services.shared.log.port import Entry, Record
from services.shared.runtime.clock import SystemClock

BULK = 1000
LIVE = 3000
PARTITIONS = 4


def entries() -> list[Entry]:
    lines = events.payloads()
    ids = (msgspec.json.decode(line)["meta"]["id"] for line in lines)
    return [
        Entry(event_id(name, line, 20150912), line) for name, line in zip(ids, lines, strict=True)
    ]


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    start = time.perf_counter()
    await work()
    return time.perf_counter() - start


async def append(log: SqliteLog, some: Sequence[Entry], size: int) -> None:
    for begin in range(0, len(some), size):
        await log.append(some[begin : begin + size])


async def read(log: SqliteLog) -> int:
    since, count = zero(log.partitions), 0
    while (batch := await log.read(since, limit=2000)).until != since:
        since, count = batch.until, count + len(batch.records)
    return count


async def measured(path: Path, some: Sequence[Entry], size: int) -> dict[str, float]:
    log = await SqliteLog.open(path, partitions=PARTITIONS, clock=SystemClock())
    appending = await timed(lambda: append(log, some, size))
    reading = await timed(lambda: read(log))
    before = await _bytes_in_use(log)
    await log.maintain()
    after = await _bytes_in_use(log)
    await log.close()
    return {
        "append_per_s": len(some) / appending,
        "read_per_s": len(some) / reading,
        "bytes_per_event": before / len(some),
        "bytes_per_event_joined": after / len(some),
    }


async def _bytes_in_use(log: SqliteLog) -> float:
    def work(connection: sqlite3.Connection) -> int:
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    return await log._database.read(work)  # noqa: SLF001 - without what the file has spare


def peer(path: Path, some: Sequence[Entry], size: int) -> dict[str, float]:
    """The same events as rows of their own."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
        "CREATE TABLE log (partition, offset, key TEXT, at INTEGER, raw BLOB,"
        " PRIMARY KEY (partition, offset))"
    )
    following = [0] * PARTITIONS
    start = time.perf_counter()
    for begin in range(0, len(some), size):
        connection.execute("BEGIN IMMEDIATE")
        for key, raw in some[begin : begin + size]:
            of = partition(key, PARTITIONS)
            connection.execute(
                "INSERT INTO log VALUES (?,?,?,?,?)", (of, following[of], key, 0, raw)
            )
            following[of] += 1
        connection.execute("COMMIT")
    appending = time.perf_counter() - start
    start = time.perf_counter()
    for of in range(PARTITIONS):
        sql = "SELECT partition, offset, key, at, raw FROM log WHERE partition = ? ORDER BY offset"
        list(map(Record._make, connection.execute(sql, (of,))))
    reading = time.perf_counter() - start
    connection.close()
    return {
        "append_per_s": len(some) / appending,
        "read_per_s": len(some) / reading,
        "bytes_per_event": path.stat().st_size / len(some),
    }


def figures() -> list[Figure]:
    """Rates and sizes: appended in bulk, appended one by one, and the peer in the same ways."""
    every, found = entries(), []
    with tempfile.TemporaryDirectory() as place:
        for name, some, size in (("1,000 at a time", every, BULK), ("one by one", every[:LIVE], 1)):
            ours = asyncio.run(measured(Path(place) / f"{size}.db", some, size))
            theirs = peer(Path(place) / f"{size}-rows.db", some, size)
            found += [
                _rate(f"append, {name}", ours, theirs, "append_per_s"),
                _rate(f"read what was appended {name}", ours, theirs, "read_per_s"),
                _size(f"disk, appended {name}", ours["bytes_per_event"], theirs),
                _size(f"disk, appended {name}, tidied", ours["bytes_per_event_joined"], theirs),
            ]
    return found


def _rate(name: str, ours: dict[str, float], theirs: dict[str, float], key: str) -> Figure:
    return Figure(name, ours[key], "events/s", "a row per event", ours[key] / theirs[key])


def _size(name: str, ours: float, theirs: dict[str, float]) -> Figure:
    ratio = theirs["bytes_per_event"] / ours
    return Figure(name, ours, "bytes/event", "a row per event", ratio)
