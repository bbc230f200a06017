"""The speed view in one SQLite file (tables: see `tables`).

A write is one transaction that takes documents in and moves the visible position, so what is
visible is durable and found, and what is not never was. Of two copies of an event the one at the
lower position stays: a later one is left out, an earlier one takes the place of what was there.

Within a partition append times never go back, so "appended before" is a place in the partition too
and is found by bisection; removal and paging follow the order of places and need no other index.
"""

import json
import sqlite3
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from services.shared import sql
from services.shared.domain.change import EDIT_TYPES
from services.shared.domain.positions import Vector, reaches, upper, zero
from services.shared.domain.query import Query
from services.shared.domain.views import Rows, View
from services.shared.runtime import crash, database
from services.shared.runtime.bell import Bell
from services.shared.runtime.database import Database
from services.shared.speedview import finding, places, tables
from services.shared.speedview.port import (
    BegunAnew,
    Indexed,
    Place,
    Search,
    SpeedView,
    Visible,
    check_vouched,
)

_CACHE_KIB: Final = 16_384
_READERS: Final = 4
"""More than there are cores: a slow sum must not keep the visible position from being read."""
_LOOK: Final = 1.0
"""Seconds after which a follower looks without having heard the bell."""
_CHUNKS: Final = tuple(1 << power for power in range(10, -1, -1))
"""Rows per statement into `incoming`: few sizes, so that statements are compiled once. The largest
keeps the values of a statement below the 32,766 that SQLite takes anywhere."""
_REMOVED_AT_ONCE: Final = 2_000
"""Documents per partition that one transaction removes, so that writes get their turn."""


class SqliteSpeedView:
    """SpeedView on SQLite; guarantees in `port`."""

    def __init__(self, database: Database, bell: Bell) -> None:
        self._database = database
        self._bell = bell

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open or create the view; listeners of the channel `speed` at this path hear of writes."""
        database = await Database.open(path, tables.SCHEMA, readers=_READERS, prepare=_prepare)
        return cls(database, Bell(path, "speed"))

    async def begin(
        self, log: str, floor: Vector, rebuilding_until: Vector | None, *, text_version: int
    ) -> None:
        def work(connection: sqlite3.Connection) -> None:
            _begin(connection, log, floor, rebuilding_until)
            # What a file's number of this name is for; a view of before it was recorded has 0.
            connection.execute(f"PRAGMA user_version = {text_version:d}")

        await self._database.write(work)
        self._bell.ring()

    async def visible(self) -> Visible | None:
        return await self._database.read(_visible)

    async def follow(self) -> AsyncGenerator[Visible, None]:
        async with self._bell.listen() as listener:
            told: Visible | None = None
            while True:
                visible = await self.visible()
                if visible is None or visible == told:
                    await listener.wait(_LOOK)
                else:
                    yield visible
                    told = visible

    async def write(
        self, documents: Sequence[Indexed], since: Vector, until: Vector, times: Vector
    ) -> None:
        def work(connection: sqlite3.Connection) -> None:
            visible = _begun(connection)
            if not reaches(visible.positions, since):
                raise BegunAnew(since, visible.positions)
            if documents:
                _take(connection, tables.incoming(documents))
            _move(connection, visible, until, times)
            crash.point("speed.in-write")

        await self._database.write(work)
        self._bell.ring()

    async def sums(self, query: Query, since: Vector, until: Vector) -> Rows:
        return await self._database.read(lambda connection: _sums(connection, query, since, until))

    async def search(
        self,
        search: Search,
        since: Vector,
        until: Vector,
        *,
        limit: int,
        after: Place | None = None,
    ) -> list[Indexed]:
        def work(connection: sqlite3.Connection) -> list[Indexed]:
            _check_vouched(connection, since, until)
            return finding.search(connection, search, since, until, limit=limit, after=after)

        return await self._database.read(work)

    async def scan(
        self, search: Search, since: Vector, until: Vector, *, limit: int
    ) -> list[Indexed]:
        def work(connection: sqlite3.Connection) -> list[Indexed]:
            _check_vouched(connection, since, until)
            return finding.scan(connection, search, since, until, limit=limit)

        return await self._database.read(work)

    async def oldest(self) -> int | None:
        return await self._database.read(_oldest)

    async def shrink(self, before: Vector, times: Vector) -> int:
        reduced = await self._remove("documents", before, times)
        self._bell.ring()
        return reduced

    async def forget(self, times: Vector) -> int:
        everything = (1 << places.OFFSET_BITS,) * len(times)
        await self._remove("documents", everything, times)
        forgotten = await self._remove("ids", everything, times)
        await self._database.give_back()
        return forgotten

    async def size(self) -> int:
        return await self._database.size()

    async def close(self) -> None:
        await self._bell.close()
        await self._database.close()

    async def _remove(self, table: str, before: Vector, times: Vector) -> int:
        """In transactions of bounded length."""
        total = 0
        while removed := await self._database.write(_removal(table, before, times)):
            total += removed
        return total


def copy(source: Path, target: Path, log: str | None = None) -> None:
    """The view as it is at one moment, while others write; `log` lets the copy belong to another."""
    database.copy(source, target, *([("UPDATE state SET log = ?", (log,))] if log else ()))


if TYPE_CHECKING:
    _: type[SpeedView] = SqliteSpeedView


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    # Some builds overwrite what is deleted with zeros, which makes emptying the view a rewrite.
    connection.execute("PRAGMA secure_delete = OFF")


def _begin(
    connection: sqlite3.Connection, log: str, floor: Vector, rebuilding_until: Vector | None
) -> None:
    for statement in (*tables.DROP, *tables.CREATE):
        connection.execute(statement)
    target = None if rebuilding_until is None else json.dumps(rebuilding_until)
    connection.execute(
        "INSERT OR REPLACE INTO state VALUES (1, ?, ?, ?, ?, ?)",
        (log, json.dumps(floor), json.dumps(zero(len(floor))), json.dumps(floor), target),
    )


def _visible(connection: sqlite3.Connection) -> Visible | None:
    row = connection.execute(
        "SELECT log, positions, times, floor, rebuilding_until FROM state"
    ).fetchone()
    if row is None:
        return None
    log, *vectors = row
    positions, times, floor, target = (v and tuple(json.loads(v)) for v in vectors)
    (text_version,) = connection.execute("PRAGMA user_version").fetchone()
    return Visible(log, positions, times, floor, target, text_version)


def _begun(connection: sqlite3.Connection) -> Visible:
    visible = _visible(connection)
    if visible is None:
        raise ValueError("the speed view has not begun")
    return visible


def _take(connection: sqlite3.Connection, rows: list[tuple[Any, ...]]) -> None:
    connection.execute(tables.STAGE)
    connection.execute("DELETE FROM incoming")
    for chunk in _chunks(rows):
        marks = f"({', '.join('?' * tables.INCOMING_WIDTH)})"
        connection.execute(
            f"INSERT INTO incoming VALUES {', '.join([marks] * len(chunk))}",
            list(chain.from_iterable(chunk)),
        )
    _settle(connection, connection.execute(tables.SEEN).fetchall())
    for statement in tables.TAKE:
        connection.execute(statement)


def _chunks(rows: list[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    at = 0
    for size in _CHUNKS:
        while len(rows) - at >= size:
            yield rows[at : at + size]
            at += size


def _settle(connection: sqlite3.Connection, seen: list[tuple[int, int]]) -> None:
    """The lowest position wins between what comes in and what is there; an equal one is the same."""
    if not seen:
        return
    late = [(new,) for new, there in seen if there <= new]
    beaten = [(there,) for new, there in seen if new < there]
    connection.executemany("DELETE FROM incoming WHERE place = ?", late)
    for statement in (*tables.LET_GO, tables.FORGET):
        connection.executemany(statement.format("place = ?"), beaten)


def _move(connection: sqlite3.Connection, visible: Visible, until: Vector, times: Vector) -> None:
    positions = upper(visible.positions, until)
    target = visible.rebuilding_until
    rebuilt = target is None or reaches(positions, target)
    connection.execute(
        "UPDATE state SET positions = ?, times = ?, rebuilding_until = ?",
        (
            json.dumps(positions),
            json.dumps(upper(visible.times, times)),
            None if rebuilt else json.dumps(target),
        ),
    )


def _sums(connection: sqlite3.Connection, query: Query, since: Vector, until: Vector) -> Rows:
    _check_vouched(connection, since, until)
    bounds = places.spans(since, until)
    text, values = sql.sums(query, _source(query.view), _taken(query.view))
    spans = f"WITH spans(low, high) AS (VALUES {', '.join(['(?, ?)'] * len(bounds))})"
    return sql.rows(
        query, connection.execute(f"{spans} {text}", [*chain.from_iterable(bounds), *values])
    )


def _check_vouched(connection: sqlite3.Connection, since: Vector, until: Vector) -> None:
    """In the transaction of the answer: the view may have been emptied since the caller pinned it."""
    check_vouched(_visible(connection), since, until)


def _source(view: View) -> str:
    source = "spans CROSS JOIN facts ON facts.place >= spans.low AND facts.place < spans.high"
    return f"{source} CROSS JOIN {view.each} USING (place)" if view.each else source


def _taken(view: View) -> str:
    edits = f"type IN {EDIT_TYPES}" if view.edits_only else "TRUE"
    return f"{edits} AND {view.needs} <> ''" if view.needs else edits


def _oldest(connection: sqlite3.Connection) -> int | None:
    visible = _visible(connection)
    if visible is None:
        return None
    ends = (1 << places.OFFSET_BITS,) * len(visible.positions)
    firsts = (
        connection.execute(
            "SELECT appended_at FROM documents WHERE place >= ? AND place < ? ORDER BY place LIMIT 1",
            span,
        ).fetchone()
        for span in places.spans(zero(len(ends)), ends)
    )
    return min((first[0] for first in firsts if first), default=None)


def _removal(table: str, before: Vector, times: Vector) -> Callable[[sqlite3.Connection], int]:
    statements = tables.LET_GO if table == "documents" else (tables.FORGET,)

    def remove(connection: sqlite3.Connection) -> int:
        removed, reached = 0, list(zero(len(before)))
        for partition, (span, time) in enumerate(
            zip(places.spans(zero(len(before)), before), times, strict=True)
        ):
            low, high = span[0], finding.place_at(connection, table, span, time)
            high = _bounded(connection, table, low, high)
            for statement in statements:
                count = connection.execute(
                    statement.format("place >= ? AND place < ?"), (low, high)
                ).rowcount
            removed += count
            reached[partition] = high - low if count else 0
        if removed and table == "documents":
            _raise_floor(connection, tuple(reached))
        return removed

    return remove


def _raise_floor(connection: sqlite3.Connection, reached: Vector) -> None:
    """With the documents goes the claim to hold them."""
    floor = upper(_begun(connection).floor, reached)
    connection.execute("UPDATE state SET floor = ?", (json.dumps(floor),))


def _bounded(connection: sqlite3.Connection, table: str, low: int, high: int) -> int:
    row = connection.execute(
        f"SELECT place FROM {table} WHERE place >= ? AND place < ? ORDER BY place LIMIT 1 OFFSET ?",
        (low, high, _REMOVED_AT_ONCE),
    ).fetchone()
    return int(row[0]) if row else high
