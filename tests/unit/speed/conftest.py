"""The speed layer over the embedded log and views, stopped and closed whatever happens."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from services.shared.batchview.embedded import SqliteBatchView
from services.shared.domain.generation import Generation, Segment
from services.shared.domain.positions import Vector, reaches
from services.shared.log.embedded import SqliteLog
from services.shared.runtime.clock import ManualClock
from services.shared.runtime.settings import Settings
from services.shared.speedview.embedded import SqliteSpeedView
from services.shared.speedview.port import Indexed, Search, SpeedView, Visible
from services.speed import speed
from tests.unit.speed.made import PARTITIONS, entry

NOW = 1_700_000_000
DAY_MS = 86_400_000


@dataclass
class Scene:
    """A log, its views, and a speed layer that can be started and stopped."""

    directory: Path
    clock: ManualClock
    log: SqliteLog
    view: SpeedView
    batchview: SqliteBatchView
    settings: Settings
    running: asyncio.Task[None] | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def start(self, until: Vector | None = None) -> asyncio.Task[None]:
        self.stopping = asyncio.Event()
        self.running = asyncio.create_task(
            speed.run(
                self.log,
                self.view,
                self.batchview,
                settings=self.settings,
                clock=self.clock,
                stop=self.stopping,
                directory=self.directory,
                until=until,
            )
        )
        return self.running

    async def stop(self) -> None:
        if self.running:
            self.stopping.set()
            running, self.running = self.running, None
            await running

    async def append(self, *events: str) -> None:
        await self.log.append([entry(event) for event in events])

    async def publish(self, horizon: Vector, times: Vector) -> None:
        """A generation that has taken everything before `horizon` in."""
        current = await self.batchview.current()
        assert current is not None
        segment = Segment(f"to-{horizon}", current.horizon, horizon, "1")
        await self.batchview.stage(segment, {}, {})
        segments = (*current.segments, segment)
        number = current.number + 1
        await self.batchview.publish(
            current.number,
            Generation(number, self.log.identity, segments, horizon, times, 0, number),
        )

    async def forget_generations(self) -> None:
        """Only the current generation stays readable."""
        self.clock.advance(3600)
        await self.batchview.remove(int(self.clock.now() * 1000))

    async def visible(self) -> Visible:
        visible = await self.view.visible()
        assert visible is not None
        return visible

    async def caught_up(self) -> Visible:
        """Waits until everything that the log holds now is visible."""
        end = await self.log.stable_end()
        return await self.until(lambda visible: reaches(visible.positions, end))

    async def until(self, met: Callable[[Visible], bool]) -> Visible:
        async with asyncio.timeout(20):
            while not ((visible := await self.view.visible()) and met(visible)):
                assert self.running is not None
                if self.running.done():
                    self.running.result()
                await asyncio.sleep(0.01)
        return visible

    async def events(self) -> list[str]:
        """Ids of the documents there, without the day, sorted."""
        visible = await self.visible()
        hits: list[Indexed] = await self.view.search(
            Search(), visible.floor, visible.positions, limit=1000
        )
        return sorted(hit.document.change.id.partition(":")[2] for hit in hits)


SceneMaker = Callable[[], Awaitable[Scene]]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    clock = ManualClock(NOW)
    async with AsyncExitStack() as stack:
        log = await SqliteLog.open(tmp_path / "log.db", partitions=PARTITIONS, clock=clock)
        stack.push_async_callback(log.close)
        view = await SqliteSpeedView.open(tmp_path / "speed.db")
        stack.push_async_callback(view.close)
        batchview = await SqliteBatchView.open(tmp_path / "batch.db", clock)
        stack.push_async_callback(batchview.close)
        scene = Scene(tmp_path, clock, log, view, batchview, Settings())
        stack.push_async_callback(_halted, scene)
        yield scene


async def _halted(scene: Scene) -> None:
    if scene.running and not scene.running.done():
        scene.running.cancel()
        await asyncio.wait({scene.running})
