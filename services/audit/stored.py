"""The events that an answer must stand on, read straight from where they are stored.

From the log's start on they come from the log; what the log no longer holds comes from the lake,
which has each distinct event once. Positions go up to `as_of` and no further.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from services.shared.domain.positions import Span, Vector, lower, reaches, zero
from services.shared.lake.port import RAW, Lake
from services.shared.log.port import EventLog

if TYPE_CHECKING:
    import pyarrow as pa

PIECE: Final = 5_000
_COLUMNS: Final = ("partition", "offset", "appended_at", "json")


class Stored(NamedTuple):
    """An event as it is stored; `appended_at` is log time in ms."""

    partition: int
    offset: int
    appended_at: int
    raw: bytes


async def events(log: EventLog, lake: Lake, as_of: Vector) -> AsyncIterator[list[Stored]]:
    """All stored events before `as_of`, in pieces; the log's in order of offset per partition."""
    at = lower(await log.start(), as_of)
    async for piece in _from_lake(lake, Span(zero(len(as_of)), at)):
        yield piece
    while not reaches(at, as_of):
        batch = await log.read(at, limit=PIECE, until=as_of)
        yield [Stored(r.partition, r.offset, r.appended_at, r.raw) for r in batch.records]
        at = batch.until


async def _from_lake(lake: Lake, span: Span) -> AsyncIterator[list[Stored]]:
    if reaches(span.since, span.until):
        return
    tables = lake.scan(RAW, _COLUMNS, span=span)
    while (piece := await asyncio.to_thread(_next, tables)) is not None:
        yield piece


def _next(tables: "Iterator[pa.Table]") -> list[Stored] | None:
    table = next(tables, None)
    if table is None:
        return None
    return list(map(Stored, *(table.column(name).to_pylist() for name in _COLUMNS)))
