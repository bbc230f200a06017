"""Search in the embedded speed view: newest append first, page after page, or oldest append first.

Each partition is in order of append already, so a page is the first matches of every partition,
merged. What a user typed is bound as a value: terms are quoted one by one, so that no sign in them
means anything to the full-text index.
"""

from collections.abc import Iterable
from operator import itemgetter
from typing import Any, Final, Literal

from services.shared.domain.positions import Vector
from services.shared.runtime.database import Connection
from services.shared.speedview import places, tables
from services.shared.speedview.port import Indexed, Place, Search

_LONGEST_PAGE: Final = 10_000
_APPENDED: Final = itemgetter(1, 0)
"""The order of rows of `tables.FOUND`: append time, then place."""


def search(
    connection: Connection,
    asked: Search,
    since: Vector,
    until: Vector,
    *,
    limit: int,
    after: Place | None,
) -> list[Indexed]:
    limit = min(limit, _LONGEST_PAGE)
    spans = [
        span if after is None else _preceding(connection, partition, span, after)
        for partition, span in enumerate(places.spans(since, until))
    ]
    rows = _rows(connection, asked, spans, "DESC", limit)
    rows.sort(key=_APPENDED, reverse=True)
    return [tables.indexed(row) for row in rows[:limit]]


def scan(
    connection: Connection, asked: Search, since: Vector, until: Vector, *, limit: int
) -> list[Indexed]:
    limit = min(limit, _LONGEST_PAGE)
    rows = _rows(connection, asked, places.spans(since, until), "ASC", limit)
    rows.sort(key=_APPENDED)
    return [tables.indexed(row) for row in rows[:limit]]


def _rows(
    connection: Connection,
    asked: Search,
    spans: Iterable[tuple[int, int]],
    order: Literal["ASC", "DESC"],
    limit: int,
) -> list[tuple[Any, ...]]:
    """The first `limit` matches of every span."""
    filters, values = _filters(asked)
    if asked.terms:
        source = "search CROSS JOIN documents ON documents.place = search.rowid"
        filters, key = f"search MATCH ? AND {filters}", "search.rowid"
        values = [" ".join(map(_quoted, asked.terms)), *values]
    else:
        source, key = "documents", "documents.place"
    statement = (
        f"SELECT {tables.FOUND} FROM {source} WHERE {filters} AND {key} >= ? AND {key} < ?"
        f" ORDER BY {key} {order} LIMIT ?"
    )
    rows: list[tuple[Any, ...]] = []
    for low, high in spans:
        rows += connection.execute(statement, (*values, low, high, limit))
    return rows


def place_at(connection: Connection, table: str, span: tuple[int, int], time: int) -> int:
    """A place in the span: rows before it were appended before `time`, rows from it on were not."""
    low, high = span
    last = connection.execute(
        f"SELECT max(place) FROM {table} WHERE place >= ? AND place < ?", span
    ).fetchone()[0]
    high = low if last is None else last + 1
    next_row = f"SELECT place, appended_at FROM {table} WHERE place >= ? ORDER BY place LIMIT 1"
    while low < high:
        middle = (low + high) // 2
        place, appended_at = connection.execute(next_row, (middle,)).fetchone()
        if appended_at >= time:
            high = middle
        else:
            low = place + 1
    return low


def _preceding(
    connection: Connection, partition: int, span: tuple[int, int], after: Place
) -> tuple[int, int]:
    """The part of a partition's span that comes after `after` in order of the page."""
    time, of, offset = after
    low, high = span
    if partition == of:
        return low, min(high, places.place(of, offset))
    return low, place_at(connection, "documents", span, time + 1 if partition < of else time)


def _quoted(term: str) -> str:
    return '"' + term.replace('"', '""') + '"'


def _filters(asked: Search) -> tuple[str, list[int | str]]:
    parts, values = ["TRUE"], list[int | str]()
    for column, wanted in (
        ("project", asked.projects),
        ("type", asked.types),
        ("editor_class", asked.editor_classes),
        ("namespace", asked.namespaces),
    ):
        if wanted:
            parts.append(f"documents.{column} IN ({', '.join('?' * len(wanted))})")
            values += wanted
    for comparison, bound in (("timestamp >= ?", asked.low), ("timestamp < ?", asked.high)):
        if bound is not None:
            parts.append(f"documents.{comparison}")
            values.append(bound)
    return " AND ".join(parts), values
