"""How segments come into the tables and go: functions over one connection.

A segment's rows are written in several transactions, none of them big, so neither the write-ahead
log nor memory grows with the segment. Until the last one the segment is `staging` and nothing reads
it; `removing` is the same on the way out. What a crash leaves in either state is removed later.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from services.shared.batchview import tables
from services.shared.batchview.tables import REGISTERS, REMOVING, STAGED, STAGING
from services.shared.domain.generation import Generation, Segment
from services.shared.domain.views import VIEWS
from services.shared.runtime.database import Connection

Statement = tuple[str, tuple[Any, ...]]

ROWS_A_TRANSACTION: Final = 50_000


def start(connection: Connection, segment: str, listed: set[str], now: int) -> int:
    """The number of a new, empty segment. What had the same id is put away for removal."""
    if segment in listed:
        raise ValueError(f"segment {segment} is part of a generation and cannot change")
    connection.execute(
        "UPDATE segments SET state = ?, id = id || ':' || number WHERE id = ?", (REMOVING, segment)
    )
    added = connection.execute(
        "INSERT INTO segments (id, state, staged_at) VALUES (?, ?, ?) RETURNING number",
        (segment, STAGING, now),
    )
    return int(added.fetchone()[0])


def finish(connection: Connection, number: int, rows: int) -> None:
    """The segment is whole: from now on it can be published."""
    for view in VIEWS:
        connection.execute(
            f"INSERT OR IGNORE INTO segment_days SELECT ?1, day FROM ({tables.days_of(view)})",
            (number,),
        )
    connection.execute(
        "UPDATE segments SET state = ?, rows = ? WHERE number = ?", (STAGED, rows, number)
    )


def add(connection: Connection, statement: str, rows: Iterator[tuple[Any, ...]]) -> int:
    """Add the next rows; how many there were, fewer than a transaction's worth at the end."""
    piece = list(islice(rows, ROWS_A_TRANSACTION))
    connection.executemany(statement, piece)
    return len(piece)


def some(connection: Connection, statements: Iterator[Statement]) -> tuple[int, bool]:
    """Execute the next statements, a transaction's worth: rows changed, and whether more may come."""
    changed = 0
    for text, values in statements:
        changed += connection.execute(text, values).rowcount
        if changed >= ROWS_A_TRANSACTION:
            return changed, True
    return changed, False


def copies(
    sources: Sequence[tuple[int, Sequence[int]]], into: int, minutes_from: int
) -> Iterator[Statement]:
    """What adds up the sources, each a segment's number with its days, to another segment."""
    for text in (*map(tables.copy, VIEWS), tables.copy_registers()):
        for number, days in sources:
            for day in days:
                yield text, (into, number, day, minutes_from)


def removals(numbers: Sequence[int]) -> Iterator[Statement]:
    """What removes every row of segments, and at last the segments themselves."""
    for number in numbers:
        for table in (*(view.name for view in VIEWS), REGISTERS, "segment_days"):
            yield f"DELETE FROM {table} WHERE segment = ?", (number,)
        yield "DELETE FROM segments WHERE number = ?", (number,)


def staged(connection: Connection, segments: Iterable[Segment]) -> dict[str, int]:
    """The numbers of segments by id, in that order; a ValueError if one is not there, whole."""
    ids = [segment.id for segment in segments]
    found: dict[str, int] = dict(
        connection.execute(
            "SELECT id, number FROM segments WHERE state = ?"
            " AND id IN (SELECT value FROM json_each(?))",
            (STAGED, json.dumps(ids)),
        ).fetchall()
    )
    if missing := [name for name in ids if name not in found]:
        raise ValueError(f"segments not staged: {', '.join(missing)}")
    return {name: found[name] for name in ids}


def days(connection: Connection, number: int) -> list[int]:
    rows = connection.execute(
        "SELECT day FROM segment_days WHERE segment = ? ORDER BY day", (number,)
    )
    return [day for (day,) in rows]


def listed(generations: Iterable[Generation]) -> set[str]:
    """The ids of all segments that the generations are made of."""
    return {segment.id for generation in generations for segment in generation.segments}


def unlist(connection: Connection, kept: set[str], before: int) -> list[int]:
    """Put away what no kept generation lists; the numbers of all that wait for removal."""
    connection.execute(
        "UPDATE segments SET state = ? WHERE staged_at < ?"
        " AND id NOT IN (SELECT value FROM json_each(?))",
        (REMOVING, before, json.dumps(sorted(kept))),
    )
    rows = connection.execute("SELECT number FROM segments WHERE state = ?", (REMOVING,))
    return [number for (number,) in rows]
