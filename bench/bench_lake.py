"""The lake in figures: bytes an event, time of a commit, of a look-up, of a scan; memory.

Run it with `python bench/bench_lake.py [EVENTS]`; it writes to a temporary directory.
"""

import asyncio
import gzip
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from services.shared.domain import identity
from services.shared.domain.positions import Span
from services.shared.lake.embedded import IcebergLake
from services.shared.lake.port import CLEANED, RAW, Horizon
from services.shared.runtime.clock import SystemClock

PIECE = 50_000
DAY = 20150912
_NESTED = {
    "schema": ("$schema",),
    **{
        f"meta_{name}": ("meta", name)
        for name in (
            "uri",
            "request_id",
            "id",
            "dt",
            "domain",
            "stream",
            "topic",
            "partition",
            "offset",
        )
    },
    **{f"{name}_{age}": (name, age) for name in ("length", "revision") for age in ("old", "new")},
}


def resident() -> float:
    """MB in memory at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def recorded() -> list[bytes]:
    folder = Path(os.environ.get("BVW_RECORDINGS", "recordings"))
    with gzip.open(folder / "events-wikiticker-2015.jsonl.gz") as lines:
        return [line.rstrip(b"\n") for line in lines]


def row(raw: bytes, offset: int, names: list[str]) -> dict[str, Any]:
    """A recorded event as a row, under an id of its own."""
    event = json.loads(raw)
    event["meta"]["id"] = f"{offset:08x}-{identity.digest(str(offset)).hex()[:27]}"
    raw = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
    key = identity.event_id(event["meta"]["id"], raw, DAY)
    own = {
        "partition": offset % 4,
        "offset": offset // 4,
        "appended_at": 1_442_000_000_000 + offset,
        "day": DAY,
        "event_id": key,
        "digest": identity.digest(key),
        "json": raw,
    }
    return {name: own[name] if name in own else _field(event, name) for name in names}


def _field(event: dict[str, Any], name: str) -> Any:
    value: Any = event
    for key in _NESTED.get(name, (name,)):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def make(path: Path) -> None:
    """Write one piece of rows; in a process of its own, as its Python objects take memory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from services.shared.lake import schemas

    schema, source = schemas.ARROW[RAW], recorded()
    made = [row(source[n % len(source)], n, schema.names) for n in range(PIECE)]
    pq.write_table(pa.Table.from_pylist(made, schema), path)


async def main(events: int) -> None:
    began, before = time.perf_counter(), resident()
    with tempfile.TemporaryDirectory() as directory:
        lake = await IcebergLake.open(Path(directory, "lake"), SystemClock())
        took = time.perf_counter() - began
        print(f"open and imports: {took:.2f} s, {before:.0f} -> {resident():.0f} MB")
        await lake.begin("bench", Horizon((0,) * 4, (0,) * 4))
        await _fill(lake, Path(directory, "rows.parquet"), events)
        await _report(lake, events)
        await lake.close()


async def _fill(lake: IcebergLake, path: Path, events: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    maker = await asyncio.create_subprocess_exec(sys.executable, __file__, "make", str(path))
    await maker.wait()
    for first in range(0, events, PIECE):
        table = await asyncio.to_thread(pq.read_table, path)
        keys = [f"{DAY}:{n}" for n in range(first, first + PIECE)]
        fresh: dict[str, pa.Array[Any]] = {
            "offset": pa.array([n // 4 for n in range(first, first + PIECE)], pa.int64()),
            "event_id": pa.array(keys),
            "digest": pa.array([identity.digest(key) for key in keys], pa.binary(16)),
        }
        for name, values in fresh.items():
            table = table.set_column(table.column_names.index(name), name, values)
        since, until = (first // 4,) * 4, ((first + PIECE) // 4,) * 4
        appending = lake.append(RAW, table, since, Horizon(until, until))
        await _timed(f"append of {len(table)}", appending)
        await lake.maintain()


async def _report(lake: IcebergLake, events: int) -> None:
    import pyarrow as pa

    from services.shared.lake import schemas

    ids = [identity.digest(f"none-{n}") for n in range(10_000)]
    asked = pa.array(ids, schemas.DIGEST)
    for _ in range(3):
        await _timed("known: 10,000 new ids", lake.known([DAY], asked))
    end = events // 4
    last = Span((end - 500,) * 4, (end,) * 4)
    for name, span in (("the last 2,000", last), ("all", None)):
        await _timed(f"scan of {name}: two columns", asyncio.to_thread(_count, lake, span))
    await _timed("maintain", lake.maintain())
    await _timed("known: 10,000 new ids", lake.known([DAY], asked))
    await _timed("scan of the last 2,000: two columns", asyncio.to_thread(_count, lake, last))
    held = (await lake.days())[0]
    payload = sum(map(len, recorded())) / len(recorded())
    each = held.bytes / held.rows
    print(f"raw table: {each:.0f} bytes an event, {each / payload:.3f} of the payload")
    nothing = schemas.ARROW[CLEANED].empty_table()
    began, cpu = time.perf_counter(), time.process_time()
    for n in range(50):
        await lake.append(CLEANED, nothing, (n,) * 4, Horizon((n + 1,) * 4, (0,) * 4))
    took, cpu = (time.perf_counter() - began) / 50, (time.process_time() - cpu) / 50
    print(f"commit without rows: {1000 * took:.0f} ms, cpu {1000 * cpu:.0f} ms")


def _count(lake: IcebergLake, span: Span | None) -> int:
    return sum(len(piece) for piece in lake.scan(RAW, ["title", "bot"], span=span))


async def _timed(what: str, work: Any) -> None:
    began, cpu = time.perf_counter(), time.process_time()
    await work
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    print(f"{what}: {1000 * took:.0f} ms, cpu {1000 * cpu:.0f} ms, at most {resident():.0f} MB")


if __name__ == "__main__":
    if sys.argv[1:2] == ["make"]:
        make(Path(sys.argv[2]))
    else:
        asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
