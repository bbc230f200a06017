"""The embedded stores of one data directory, and events to fill them with."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pytest

from services.batch.run import Kind, run_once
from services.batch.work import Options, Work
from services.shared.batchview.embedded import SqliteBatchView
from services.shared.batchview.port import Run
from services.shared.decode import parse
from services.shared.documents import document
from services.shared.domain.change import Change, Rejected
from services.shared.domain.generation import Generation
from services.shared.domain.query import Query
from services.shared.domain.views import DISTINCT, VIEWS, Document, Key, Rows, registers_of, rows_of
from services.shared.lake.embedded import IcebergLake
from services.shared.log.embedded import SqliteLog
from services.shared.log.port import Entry
from services.shared.runtime.clock import ManualClock
from services.shared.speedview.embedded import SqliteSpeedView

NOW = 1_709_208_000
"""2024-02-29 12:00 UTC"""
DAY = 20240229
HOUR_MS = 3_600_000


def event(number: int, *, at: int = NOW, **fields: object) -> bytes:
    """A change of the English or Portuguese Wikipedia; copies of a number are one event."""
    project = "en" if number % 3 else "pt"
    made: dict[str, object] = {
        "$schema": "/mediawiki/recentchange/1.0.0",
        "meta": {
            "id": f"id-{number}",
            "domain": f"{project}.wikipedia.org",
            "dt": "2024-02-29T12:00:00Z",
        },
        "id": number,
        "type": ("edit", "new", "categorize", "log")[number % 4],
        "namespace": number % 2,
        "title": f"History of the river {number % 7}",
        "comment": "work #wpwp" if number % 5 == 0 else "work",
        "timestamp": at,
        "user": ("Ana", "CleanupBot", "10.0.0.1")[number % 3],
        "bot": number % 3 == 1,
        "minor": number % 2 == 0,
        "length": {"old": 10, "new": 10 + number},
        "wiki": f"{project}wiki",
    }
    return msgspec.json.encode(made | fields)


CANARY = msgspec.json.encode(
    {"$schema": "/mediawiki/recentchange/1.0.0", "meta": {"id": "c", "domain": "canary"}}
)


def entry(raw: bytes) -> Entry:
    parsed = parse(raw)
    assert not isinstance(parsed, Rejected)
    return Entry(parsed.id, raw)


def options(**chosen: int) -> Options:
    usual = Options(dedupe_window=7 * 24 * HOUR_MS, generation_keep=15 * 60_000)
    return replace(usual, **chosen)


@dataclass
class Stores:
    log: SqliteLog
    lake: IcebergLake
    batchview: SqliteBatchView
    speedview: SqliteSpeedView
    clock: ManualClock

    async def append(self, *raws: bytes) -> None:
        await self.log.append([entry(raw) for raw in raws])

    async def run(self, kind: Kind = "run", **chosen: int) -> Run:
        return await run_once(
            self.log, self.lake, self.batchview, self.speedview,
            clock=self.clock, options=options(**chosen), kind=kind,
        )  # fmt: skip

    async def rows(self) -> dict[str, Rows]:
        """All that the current generation says, view by view."""
        current = await self.batchview.current()
        assert current is not None
        return {v.name: await self.batchview.sums(current, Query(v, v.keys)) for v in VIEWS}

    async def registers(self) -> dict[Key, bytes]:
        current = await self.batchview.current()
        assert current is not None
        days = await self.batchview.days(current)
        return await self.batchview.day_registers(current.segments, days)


async def open_stores(path: Path, clock: ManualClock, stack: AsyncExitStack) -> Stores:
    stores = Stores(
        await SqliteLog.open(path / "log.db", clock=clock, partitions=2),
        await IcebergLake.open(path / "lake", clock),
        await SqliteBatchView.open(path / "batch.db", clock),
        await SqliteSpeedView.open(path / "speed.db"),
        clock,
    )
    for store in (stores.log, stores.lake, stores.batchview, stores.speedview):
        stack.push_async_callback(store.close)
    return stores


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
async def stores(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Stores]:
    async with AsyncExitStack() as stack:
        yield await open_stores(tmp_path, clock, stack)


async def current(stores: Stores) -> Generation:
    found = await stores.batchview.current()
    assert found is not None
    return found


async def begun(stores: Stores) -> Work:
    """A run that has found the current generation, and has done nothing yet."""
    return Work(
        log=stores.log, lake=stores.lake, batchview=stores.batchview, speedview=None,
        clock=stores.clock, options=options(), run=Run("r", "rebuild", "running", 0),
        base=await current(stores), on_progress=lambda _: None, stop=asyncio.Event(),
    )  # fmt: skip


def documents(raws: list[bytes]) -> list[Document]:
    """The distinct events among the payloads, the first copy of each."""
    parsed = [parse(raw) for raw in raws]
    changes = {p.id: p for p in reversed(parsed) if isinstance(p, Change)}
    return [document(change) for change in changes.values()]


def recount(raws: list[bytes]) -> dict[str, Rows]:
    """What the views say about the payloads, by the declaration alone."""
    found = documents(raws)
    return {view.name: rows_of(view, found) for view in VIEWS}


def recounted_registers(raws: list[bytes]) -> dict[Key, bytes]:
    rows = recount(raws)
    return {
        key: value
        for view in VIEWS
        if view.name in DISTINCT
        for key, value in registers_of(view, rows[view.name]).items()
    }
