"""The event log on recorded events, beside the least that could keep them: one row per event.

`python -m bench.bench_log [FOLDER]`. The peer inserts (partition, offset, key, raw) with the same
durability and the same events per transaction, and is read back in order of its primary key.
"""

import asyncio
import gzip
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec

from services.shared.domain.identity import event_id, partition
from services.shared.domain.positions import zero
from services.shared.log import blocks
from services.shared.log.embedded import SqliteLog
from services.shared.log.port import Entry, Record
from services.shared.runtime.clock import SystemClock

BULK = 1000
LIVE = 3000
PARTITIONS = 4


def recorded(folder: Path) -> list[Entry]:
    with gzip.open(folder / "events-wikiticker-2015.jsonl.gz") as file:
        lines = [line.rstrip(b"\n") for line in file]
    ids = (msgspec.json.decode(line)["meta"]["id"] for line in lines)
    return [
        Entry(event_id(name, line, 20150912), line) for name, line in zip(ids, lines, strict=True)
    ]


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    start = time.perf_counter()
    await work()
    return time.perf_counter() - start


async def append(log: SqliteLog, entries: Sequence[Entry], size: int) -> None:
    for begin in range(0, len(entries), size):
        await log.append(entries[begin : begin + size])


async def read(log: SqliteLog) -> int:
    since, count = zero(log.partitions), 0
    while (batch := await log.read(since, limit=2000)).until != since:
        since, count = batch.until, count + len(batch.records)
    return count


async def measured(path: Path, entries: Sequence[Entry], size: int) -> dict[str, float]:
    log = await SqliteLog.open(path, partitions=PARTITIONS, clock=SystemClock())
    appending = await timed(lambda: append(log, entries, size))
    reading = await timed(lambda: read(log))
    before = await _bytes_in_use(log)
    tidying = await timed(log.maintain)
    after = await _bytes_in_use(log)
    await log.close()
    return {
        "append_per_s": len(entries) / appending,
        "read_per_s": len(entries) / reading,
        "bytes_per_event": before / len(entries),
        "bytes_per_event_joined": after / len(entries),
        "join_us": tidying / len(entries) * 1e6,
    }


async def _bytes_in_use(log: SqliteLog) -> float:
    def work(connection: sqlite3.Connection) -> int:
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    return await log._database.read(work)  # noqa: SLF001 - without what the file has spare


def peer(path: Path, entries: Sequence[Entry], size: int) -> dict[str, float]:
    """The same events as rows of their own."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
        "CREATE TABLE log (partition, offset, key TEXT, at INTEGER, raw BLOB,"
        " PRIMARY KEY (partition, offset))"
    )
    following = [0] * PARTITIONS
    start = time.perf_counter()
    for begin in range(0, len(entries), size):
        connection.execute("BEGIN IMMEDIATE")
        for key, raw in entries[begin : begin + size]:
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
        "append_per_s": len(entries) / appending,
        "read_per_s": len(entries) / reading,
        "bytes_per_event": path.stat().st_size / len(entries),
    }


def codec(entries: Sequence[Entry]) -> dict[str, float]:
    """Encoding and decoding alone, in full blocks."""
    records = [Record(0, n, key, n, raw) for n, (key, raw) in enumerate(entries)]
    start = time.perf_counter()
    payloads = [blocks.encode(piece, blocks.FAST) for piece in blocks.split(records)]
    encoding = time.perf_counter() - start
    start = time.perf_counter()
    for payload in payloads:
        blocks.decode(0, payload)
    decoding = time.perf_counter() - start
    return {"encode_per_s": len(records) / encoding, "decode_per_s": len(records) / decoding}


def report(folder: Path) -> dict[str, float]:
    """Rates and sizes: appended in bulk, appended one by one, and the peer in the same ways."""
    entries = recorded(folder)
    found: dict[str, float] = {"events": len(entries), **codec(entries)}
    with tempfile.TemporaryDirectory() as place:
        for name, some, size in (("bulk", entries, BULK), ("live", entries[:LIVE], 1)):
            ours = asyncio.run(measured(Path(place) / f"{name}.db", some, size))
            theirs = peer(Path(place) / f"{name}-rows.db", some, size)
            found |= {f"{name}_{key}": value for key, value in ours.items()}
            found |= {f"{name}_rows_{key}": value for key, value in theirs.items()}
            for key in theirs:
                found[f"{name}_{key}_against_rows"] = ours[key] / theirs[key]
    return found


if __name__ == "__main__":
    here = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("recordings")
    for name, value in report(here).items():
        print(f"{name:<40} {value:>12.2f}")
