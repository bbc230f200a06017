"""A served data directory with events in both layers, and ways to make it lie."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp.test_utils import TestClient, TestServer

from services.audit import audit
from services.audit.audit import Result
from services.serving.api.app import Deps, build
from services.serving.api.models.ours import SourceRow
from services.serving.files import VEGA, File, Files, file
from services.shared.cache.embedded import MemoryCache
from services.shared.domain.positions import zero
from services.shared.runtime.clock import ManualClock
from services.shared.runtime.probes import Readiness
from services.speed.prepare import prepare
from tests.unit.batch.conftest import HOUR_MS, NOW, Stores, event, open_stores
from tests.unit.serving import described
from tests.unit.serving.made import Audits

WINDOW_MS = 7 * 24 * HOUR_MS
Answer = tuple[int, Any]
Asking = Callable[[str, Answer], Awaitable[Answer] | Answer]


@dataclass
class Told:
    """The API as the audit asks it; `change` sees every answer first."""

    client: TestClient[Any, Any]
    change: Asking

    async def get(self, path: str) -> Answer:
        async with self.client.get(path) as response:
            body = await response.read()
            answer = response.status, msgspec.json.decode(body)
        changed = self.change(path, answer)
        return await changed if isinstance(changed, Awaitable) else changed


@dataclass
class Scene:
    stores: Stores
    path: Path

    async def append(self, *raws: bytes) -> None:
        await self.stores.append(*raws)

    async def see(self) -> None:
        """The speed layer takes everything in."""
        log, view = self.stores.log, self.stores.speedview
        if await view.visible() is None:
            await view.begin(log.identity, zero(log.partitions), None, text_version=1)
        visible = await view.visible()
        assert visible is not None
        prepared = await asyncio.to_thread(prepare, await log.read(visible.positions, limit=10_000))
        await view.write(prepared.documents, prepared.since, prepared.until, prepared.times)

    async def audited(self, change: Asking = lambda _path, answer: answer) -> Result:
        async with self.api(change) as api:
            return await audit.audit(
                api, self.stores.log, self.stores.lake, self.stores.clock, window_ms=WINDOW_MS
            )

    @contextlib.asynccontextmanager
    async def api(self, change: Asking) -> AsyncIterator[Told]:
        deps = Deps(
            log=self.stores.log,
            speed=self.stores.speedview,
            batch=self.stores.batchview,
            cache=MemoryCache(),
            clock=self.stores.clock,
            audits=Audits(),
            readiness=Readiness(self.stores.clock),
            source=SourceRow(name="made", kind="simulated", description="made for a test"),
            cache_dir=self.path,
            pin_live=0.0,
        )
        files = Files({}, {}, asyncio.ensure_future(_made()))
        app = build(deps, files)
        app.on_response_prepare.append(described.check)
        async with TestClient(TestServer(app)) as client:
            yield Told(client, change)

    @contextlib.asynccontextmanager
    async def planted(self, sql: str, *values: object) -> AsyncIterator[None]:
        """While inside, one row that the batch view has stored is another."""
        true = await asyncio.to_thread(self._plant, sql, values)
        yield
        await asyncio.to_thread(self._restore, true)

    def _plant(self, sql: str, values: tuple[object, ...]) -> sqlite3.Connection:
        true = sqlite3.connect(":memory:", check_same_thread=False)
        with contextlib.closing(sqlite3.connect(self.path / "batch.db")) as connection:
            connection.backup(true)
            assert connection.execute(sql, values).rowcount == 1, "nothing was planted"
            connection.commit()
        return true

    def _restore(self, true: sqlite3.Connection) -> None:
        with (
            contextlib.closing(true),
            contextlib.closing(sqlite3.connect(self.path / "batch.db")) as connection,
        ):
            true.backup(connection)


async def _made() -> File:
    return file(VEGA, b"export {}")


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """Forty events that batch answers for, then twenty more and some copies that speed does."""
    async with AsyncExitStack() as stack:
        stores = await open_stores(tmp_path, ManualClock(NOW), stack)
        scene = Scene(stores, tmp_path)
        raws = [event(n) for n in range(60)]
        await scene.append(*raws[:40])
        await scene.see()
        await stores.run()
        await scene.append(*raws[30:60])
        await scene.see()
        yield scene
