"""Made-up rows of the lake's tables: every column filled, the position telling all the rest."""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from services.shared.domain.identity import digest
from services.shared.domain.positions import Span, Vector
from services.shared.lake import schemas
from services.shared.lake.embedded import IcebergLake
from services.shared.lake.port import TABLES, Horizon, Lake
from services.shared.runtime.clock import ManualClock

DAY = 20150912
LOG = "a-log"


def at(*positions: int) -> Horizon:
    return Horizon(positions, tuple(1000 * position for position in positions))


def event_id(partition: int, offset: int, day: int = DAY) -> str:
    return f"{day}:{partition}-{offset}"


def rows(table: str, positions: Iterable[tuple[int, int]], day: int = DAY) -> pa.Table:
    """One row for each (partition, offset)."""
    schema = schemas.ARROW[table]
    return pa.Table.from_pylist([_row(schema, *each, day) for each in positions], schema)


def _row(schema: pa.Schema, partition: int, offset: int, day: int) -> dict[str, Any]:
    own: dict[str, Any] = {
        "partition": partition,
        "offset": offset,
        "appended_at": 1000 * offset,
        "day": day,
        "event_id": event_id(partition, offset, day),
        "digest": digest(event_id(partition, offset, day)),
        "json": b'{"title":"\xff"}',
        "received_at": None,
        "words": [{"stem": "gato", "form": "Gatos"}],
        "hashtags": [],
    }
    return {field.name: own.get(field.name, _filler(field.type)) for field in schema}


def _filler(kind: pa.DataType) -> Any:
    if pa.types.is_boolean(kind):
        return True
    return 7 if pa.types.is_integer(kind) else "text"


def digests(*ids: str) -> "pa.Array[Any]":
    return pa.array([digest(each) for each in ids], schemas.DIGEST)


async def scanned(
    lake: Lake,
    table: str,
    columns: Sequence[str],
    span: Span | None = None,
    days: Sequence[int] | None = None,
) -> list[pa.Table]:
    """All pieces of a scan, which blocks."""
    return await asyncio.to_thread(lambda: list(lake.scan(table, columns, span=span, days=days)))


async def held(
    lake: Lake, table: str, span: Span | None = None, days: Sequence[int] | None = None
) -> list[tuple[int, int]]:
    """The positions of the rows that a scan finds, sorted."""
    pieces = await scanned(lake, table, ["offset", "partition"], span, days)
    return sorted(
        (row["partition"], row["offset"]) for piece in pieces for row in piece.to_pylist()
    )


async def state(root: Path) -> dict[str, Any]:
    """All that a reader can see."""
    lake = await IcebergLake.open(root, ManualClock())
    try:
        return {
            "identity": await lake.identity(),
            "rows": [await held(lake, table) for table in TABLES],
            "horizons": [await lake.horizon(table) for table in TABLES],
            "days": [(day.day, day.rows, day.newest) for day in await lake.days()],
            "expired": await lake.expired(),
            "known": (await lake.known([DAY], digests(event_id(0, 0), "no"))).to_pylist(),
        }
    finally:
        await lake.close()


def step(since: Vector, until: Vector) -> list[tuple[int, int]]:
    return [
        (partition, offset)
        for partition, (first, end) in enumerate(zip(since, until, strict=True))
        for offset in range(first, end)
    ]
