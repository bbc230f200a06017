"""The tables of the embedded log, and the statements on them. Each runs in its caller's transaction.

Blocks (see `blocks`) are the only place where events are. `log` has the identity and the log time,
`partitions` each partition's next offset and its start.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from services.shared.domain.positions import Vector
from services.shared.log import blocks
from services.shared.log.blocks import Block
from services.shared.log.port import Cursor, DeadLetter, Gap, Record
from services.shared.runtime import crash
from services.shared.runtime.database import Connection

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS log (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    identity TEXT NOT NULL,
    time INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS partitions (
    partition INTEGER PRIMARY KEY,
    start INTEGER NOT NULL,
    next INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS blocks (
    partition INTEGER NOT NULL,
    first INTEGER NOT NULL,
    until INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    payload BLOB NOT NULL
);
-- Holds all that is asked of many blocks, so that nobody leafs through payloads for it.
CREATE INDEX IF NOT EXISTS blocks_by_position
    ON blocks (partition, until, first, first_at, last_at, bytes);
CREATE INDEX IF NOT EXISTS blocks_by_time ON blocks (partition, last_at, until);
CREATE TABLE IF NOT EXISTS cursors (source TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tallies (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gaps (
    since INTEGER NOT NULL,
    until INTEGER NOT NULL,
    reason TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS deadletters (
    hash TEXT PRIMARY KEY,
    raw BLOB NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    source TEXT NOT NULL,
    cursor TEXT NOT NULL,
    at INTEGER NOT NULL
);
"""
_BLOCK: Final = "partition, first, until, first_at, last_at, bytes"
DEADLETTER: Final = "hash, raw, reason, detail, source, cursor, at"

_TRIM_BLOCKS: Final = 256


def begin(partitions: int, connection: Connection) -> tuple[str, int]:
    """Identity and number of partitions; a new log gets both now."""
    [(known,)] = connection.execute("SELECT count(*) FROM log").fetchall()
    if not known:
        connection.execute("INSERT INTO log VALUES (1, ?, 0)", (str(uuid.uuid4()),))
        rows = [(partition, 0, 0) for partition in range(partitions)]
        connection.executemany("INSERT INTO partitions VALUES (?, ?, ?)", rows)
    [(identity,)] = connection.execute("SELECT identity FROM log").fetchall()
    return identity, len(start(connection))


def start(connection: Connection) -> Vector:
    rows = connection.execute("SELECT start FROM partitions ORDER BY partition")
    return tuple(offset for (offset,) in rows)


def end(connection: Connection) -> Vector:
    rows = connection.execute("SELECT next FROM partitions ORDER BY partition")
    return tuple(offset for (offset,) in rows)


def time(connection: Connection) -> int:
    [(now,)] = connection.execute("SELECT time FROM log").fetchall()
    return int(now)


def advance(connection: Connection, now: int) -> int:
    """The log time of an append at this time of the wall clock."""
    sql = "UPDATE log SET time = max(time, ?) RETURNING time"
    [(at,)] = connection.execute(sql, (now,)).fetchall()
    return int(at)


def allot(connection: Connection, partition: int, count: int) -> Iterator[int]:
    """The next offsets of a partition."""
    sql = "UPDATE partitions SET next = next + ? WHERE partition = ? RETURNING next"
    [(until,)] = connection.execute(sql, (count, partition)).fetchall()
    return iter(range(until - count, until))


def note(
    connection: Connection,
    now: int,
    *,
    cursor: Cursor | None,
    deadletters: Sequence[DeadLetter],
    gaps: Sequence[Gap],
    tally: Mapping[str, int],
) -> None:
    """What goes with the entries of an append."""
    if cursor is not None:
        values = (cursor.source, cursor.value)
        connection.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", values)
    connection.executemany(
        "INSERT OR IGNORE INTO deadletters VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(d.hash, d.raw, d.reason, d.detail, d.source, d.cursor, d.at or now) for d in deadletters],
    )
    connection.executemany(
        "INSERT INTO gaps VALUES (?, ?, ?)", [(gap.since, gap.until, gap.reason) for gap in gaps]
    )
    connection.executemany(
        "INSERT INTO tallies VALUES (?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
        list(tally.items()),
    )


def insert(connection: Connection, block: Block, payload: bytes) -> None:
    sql = f"INSERT INTO blocks ({_BLOCK}, payload) VALUES (?, ?, ?, ?, ?, ?, ?)"
    place = (block.partition, block.first, block.until)
    connection.execute(sql, (*place, block.first_at, block.last_at, block.bytes, payload))


def block_from(connection: Connection, partition: int, since: int) -> tuple[int, int, int] | None:
    """First offset, end and row of the first block that has something from `since` on."""
    sql = """
        SELECT first, until, rowid FROM blocks
        WHERE partition = ? AND until > ? ORDER BY until LIMIT 1
    """
    rows: list[tuple[int, int, int]] = connection.execute(sql, (partition, since)).fetchall()
    return rows[0] if rows else None


def block_at(connection: Connection, partition: int, at: int) -> int | None:
    """First offset of the first block that has something appended at that log time or later."""
    sql = """
        SELECT first FROM blocks
        WHERE partition = ? AND last_at >= ? ORDER BY last_at, until LIMIT 1
    """
    rows: list[tuple[int]] = connection.execute(sql, (partition, at)).fetchall()
    return rows[0][0] if rows else None


def payload(connection: Connection, row: int) -> bytes:
    sql = "SELECT payload FROM blocks WHERE rowid = ?"
    [(found,)] = connection.execute(sql, (row,)).fetchall()
    return bytes(found)


def trim(partition: int, before: int, connection: Connection) -> bool:
    """Removes some blocks and moves the start; False once there is no more to remove."""
    sql = """
        DELETE FROM blocks WHERE rowid IN (
            SELECT rowid FROM blocks WHERE partition = ? AND until <= ? ORDER BY until LIMIT ?)
    """
    removed = connection.execute(sql, (partition, before, _TRIM_BLOCKS)).rowcount
    sql = """
        SELECT first FROM blocks WHERE partition = :partition ORDER BY until LIMIT 1
    """
    sql = f"""
        UPDATE partitions SET start = max(start, min(:before, next, ifnull(({sql}), next)))
        WHERE partition = :partition
    """
    connection.execute(sql, {"partition": partition, "before": before})
    return removed == _TRIM_BLOCKS


def runs(partition: int, connection: Connection) -> list[list[Block]]:
    """What is worth joining in a partition."""
    sql = f"SELECT {_BLOCK} FROM blocks WHERE partition = ? ORDER BY until"
    rows = connection.execute(sql, (partition,))
    return list(blocks.runs(Block(*row) for row in rows))


def join(run: Sequence[Block], connection: Connection) -> tuple[Block, bytes] | None:
    """The run as one block; None if it is no longer there as it was."""
    if not _intact(run, connection):
        return None
    sql = f"SELECT payload FROM blocks WHERE {_IN_RUN} ORDER BY until"
    payloads = connection.execute(sql, _bounds(run)).fetchall()
    records: list[Record] = []
    for (found,) in payloads:
        records += blocks.decode(run[0].partition, found)
    return blocks.block_of(records), blocks.encode(records, blocks.DENSE)


def replace(run: Sequence[Block], block: Block, payload: bytes, connection: Connection) -> None:
    """Puts the joined block in the place of its parts, unless they have gone meanwhile."""
    if _intact(run, connection):
        connection.execute(f"DELETE FROM blocks WHERE {_IN_RUN}", _bounds(run))
        insert(connection, block, payload)
        crash.point("log.in-repack")


_IN_RUN: Final = "partition = ? AND until > ? AND until <= ?"


def _bounds(run: Sequence[Block]) -> tuple[int, int, int]:
    return run[0].partition, run[0].first, run[-1].until


def _intact(run: Sequence[Block], connection: Connection) -> bool:
    """Blocks are only ever removed or joined, by trimming or by the like of us: fewer are left."""
    sql = f"SELECT count(*) FROM blocks WHERE {_IN_RUN}"
    [(found,)] = connection.execute(sql, _bounds(run)).fetchall()
    return bool(found == len(run))
