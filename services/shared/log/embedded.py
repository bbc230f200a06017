"""EventLog in one SQLite file.

Events are kept in compressed blocks (see `blocks`) and nowhere else: there is no row per event, a
reader finds the block that holds a position and decodes it. Offsets and the log time come from
counters in the same file (see `tables`), inside the transaction that stores the events, so a
second appender is safe, and no offset is given twice, not even after everything has been trimmed.

An append writes one block per partition (more if it is big), the cursor, dead letters, gaps and
tallies in one transaction and rings the bell. `maintain` joins the small blocks that live appends
make: a joined block is made before it is put in the place of its parts in one short transaction, so
appends hardly wait, and readers see the same records at every moment.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from services.shared.domain import identity
from services.shared.domain.positions import Position, Vector, lower, reaches
from services.shared.log import blocks, tables
from services.shared.log.port import (
    MOST_BYTES,
    Batch,
    Cursor,
    DeadLetter,
    Entry,
    EventLog,
    Gap,
    OutOfRange,
    Record,
)
from services.shared.runtime import crash, database
from services.shared.runtime.bell import Bell
from services.shared.runtime.clock import Clock
from services.shared.runtime.database import Connection, Database

# A listener that hears no bell looks by itself this often (seconds).
_LOOK: Final = 1.0


class SqliteLog:
    """Create it with `open`, end it with `close`."""

    def __init__(self, database: Database, bell: Bell, clock: Clock, name: str, parts: int) -> None:
        self._database = database
        self._bell = bell
        self._clock = clock
        self._identity = name
        self._partitions = parts
        # The block that was decoded last, per partition: many small reads go through one block.
        self._decoded: dict[int, tuple[int, int, list[Record]]] = {}

    @classmethod
    async def open(cls, path: Path, *, partitions: int = 4, clock: Clock) -> Self:
        """Open or create the log; `partitions` is for a new one, an old one keeps its own."""
        database = await Database.open(path, tables.SCHEMA)
        try:
            name, parts = await database.write(partial(tables.begin, partitions))
        except BaseException:
            await database.close()
            raise
        return cls(database, Bell(path, "log"), clock, name, parts)

    @property
    def identity(self) -> str:
        return self._identity

    @property
    def partitions(self) -> int:
        return self._partitions

    async def append(
        self,
        entries: Sequence[Entry],
        *,
        cursor: Cursor | None = None,
        deadletters: Sequence[DeadLetter] = (),
        gaps: Sequence[Gap] = (),
        tally: Mapping[str, int] | None = None,
    ) -> list[Position]:
        now = int(self._clock.now() * 1000)

        def work(connection: Connection) -> list[Position]:
            positions = self._store(connection, entries, now) if entries else []
            tables.note(
                connection,
                now,
                cursor=cursor,
                deadletters=deadletters,
                gaps=gaps,
                tally=tally or {},
            )
            crash.point("log.in-append")
            return positions

        positions = await self._database.write(work)
        crash.point("log.appended")
        self._bell.ring()
        return positions

    async def read(self, since: Vector, *, limit: int, until: Vector | None = None) -> Batch:
        return await self._database.read(partial(self._read, since, limit, until))

    async def follow(self, since: Vector, *, limit: int) -> AsyncIterator[Batch]:
        async with self._bell.listen() as listener:
            while True:
                batch = await self.read(since, limit=limit)
                if batch.until == since:
                    await listener.wait(_LOOK)
                    continue
                yield batch
                since = batch.until

    async def start(self) -> Vector:
        return await self._database.read(tables.start)

    async def stable_end(self) -> Vector:
        return await self._database.read(tables.end)

    async def time(self) -> int:
        return await self._database.read(tables.time)

    async def positions_at(self, time: int) -> Vector:
        return await self._database.read(partial(self._positions_at, time))

    async def trim(self, before: Vector) -> None:
        for partition, offset in enumerate(before):
            while await self._database.write(partial(tables.trim, partition, offset)):
                pass

    async def maintain(self) -> None:
        for partition in range(self._partitions):
            for run in await self._database.read(partial(tables.runs, partition)):
                joined = await self._database.read(partial(tables.join, run))
                if joined is not None:
                    await self._database.write(partial(tables.replace, run, *joined))
        await self._database.give_back()

    async def size(self) -> int:
        return await self._database.size()

    async def cursor(self, source: str) -> str | None:
        sql = "SELECT value FROM cursors WHERE source = ?"
        rows = await self._database.read(lambda c: c.execute(sql, (source,)).fetchall())
        return rows[0][0] if rows else None

    async def gaps(self) -> list[Gap]:
        sql = "SELECT since, until, reason FROM gaps ORDER BY since, until"
        return await self._database.read(lambda c: [Gap(*row) for row in c.execute(sql)])

    async def tallies(self) -> dict[str, int]:
        sql = "SELECT name, count FROM tallies"
        return await self._database.read(lambda c: dict(c.execute(sql).fetchall()))

    async def deadletters(self, *, after: str = "", limit: int = 100) -> list[DeadLetter]:
        sql = f"SELECT {tables.DEADLETTER} FROM deadletters WHERE hash > ? ORDER BY hash LIMIT ?"
        values = (after, limit)
        return await self._database.read(lambda c: [DeadLetter(*r) for r in c.execute(sql, values)])

    async def deadletter(self, hash_prefix: str) -> DeadLetter | None:
        # "g" sorts after every hexadecimal digit.
        sql = (
            f"SELECT {tables.DEADLETTER} FROM deadletters WHERE hash BETWEEN ? AND ? || 'g' LIMIT 2"
        )
        values = (hash_prefix, hash_prefix)
        rows = await self._database.read(lambda c: c.execute(sql, values).fetchall())
        return DeadLetter(*rows[0]) if len(rows) == 1 else None

    async def count_deadletters(self) -> int:
        sql = "SELECT count(*) FROM deadletters"
        [(kept,)] = await self._database.read(lambda c: c.execute(sql).fetchall())
        return int(kept)

    async def remove_deadletters(self, hashes: Sequence[str]) -> None:
        def work(connection: Connection) -> None:
            sql = "DELETE FROM deadletters WHERE hash = ?"
            connection.executemany(sql, [(digest,) for digest in hashes])

        await self._database.write(work)

    async def close(self) -> None:
        await self._bell.close()
        await self._database.close()

    def _store(self, connection: Connection, entries: Sequence[Entry], now: int) -> list[Position]:
        at = tables.advance(connection, now)
        places = [identity.partition(entry.key, self._partitions) for entry in entries]
        offsets = {p: tables.allot(connection, p, count) for p, count in Counter(places).items()}
        records: dict[int, list[Record]] = {partition: [] for partition in offsets}
        positions: list[Position] = []
        for partition, (key, raw) in zip(places, entries, strict=True):
            offset = next(offsets[partition])
            positions.append(Position(partition, offset))
            records[partition].append(Record(partition, offset, key, at, raw))
        for column in records.values():
            for piece in blocks.split(column):
                payload = blocks.encode(piece, blocks.FAST)
                tables.insert(connection, blocks.block_of(piece), payload)
        return positions

    def _read(
        self, since: Vector, limit: int, until: Vector | None, connection: Connection
    ) -> Batch:
        start, end = tables.start(connection), tables.end(connection)
        now = tables.time(connection)
        if not reaches(since, start):
            raise OutOfRange(since, start)
        if not reaches(end, since):
            raise ValueError(f"{since} is beyond the end of this log, {end}")
        records: list[Record] = []
        reached: list[int] = []
        times: list[int] = []
        size = 0
        bounds = end if until is None else lower(until, end)
        for partition, bound in enumerate(bounds):
            # What one partition leaves of its share goes to the next ones; none gets nothing.
            left = self._partitions - partition
            share = max(1, (limit - len(records)) // left)
            room = (MOST_BYTES - size) // left
            taken, following = self._take(
                connection, partition, since[partition], bound, share=share, room=room
            )
            records += taken
            size += sum(len(record.raw) for record in taken)
            if following is None or following.offset >= bound:
                reached.append(max(since[partition], bound))
            else:
                reached.append(taken[-1].offset + 1)
            times.append(now if following is None else following.appended_at)
        return Batch(tuple(records), since, tuple(reached), tuple(times))

    def _take(
        self,
        connection: Connection,
        partition: int,
        since: int,
        bound: int,
        *,
        share: int,
        room: int,
    ) -> tuple[list[Record], Record | None]:
        """At most `share` records and, from the second on, `room` bytes in [since, bound), and the
        first record that is not taken.
        """
        taken: list[Record] = []
        for record in self._records(connection, partition, since):
            room -= len(record.raw)
            if len(taken) == share or record.offset >= bound or (taken and room < 0):
                return taken, record
            taken.append(record)
        return taken, None

    def _records(self, connection: Connection, partition: int, since: int) -> Iterator[Record]:
        while block := self._block(connection, partition, since):
            yield from block[bisect_left(block, since, key=attrgetter("offset")) :]
            since = block[-1].offset + 1

    def _block(self, connection: Connection, partition: int, since: int) -> list[Record]:
        """The records of the first block that has something from `since` on; none at the end."""
        found = tables.block_from(connection, partition, since)
        if found is None:
            return []
        first, until, row = found
        # Where a block begins and ends says what is in it, for good.
        decoded = self._decoded.get(partition)
        if decoded is None or decoded[:2] != (first, until):
            records = blocks.decode(partition, tables.payload(connection, row))
            decoded = self._decoded[partition] = (first, until, records)
        return decoded[2]

    def _positions_at(self, time: int, connection: Connection) -> Vector:
        positions = list(tables.end(connection))
        for partition in range(self._partitions):
            first = tables.block_at(connection, partition, time)
            if first is not None:
                block = self._block(connection, partition, first)
                found = block[bisect_left(block, time, key=attrgetter("appended_at"))]
                positions[partition] = found.offset
        return tuple(positions)


def copy(source: Path, target: Path, log: str | None = None) -> None:
    """The log as it is at one moment, while others append; `log` gives the copy another identity."""
    database.copy(source, target, *([("UPDATE log SET identity = ?", (log,))] if log else ()))


if TYPE_CHECKING:
    _: type[EventLog] = SqliteLog
