"""What the services of one process do together, and how tools find it."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from services import processes
from services.audit import client
from services.processes import Process
from services.shared.cache.embedded import MemoryCache
from services.shared.domain.positions import zero
from services.shared.lake.port import Lake
from services.shared.log.embedded import SqliteLog
from services.shared.runtime import datadir
from services.shared.runtime.clock import ManualClock
from services.shared.runtime.exits import Exit, Refused
from services.shared.runtime.lifecycle import Resources
from services.shared.runtime.settings import Settings
from services.speed.prepare import prepare
from services.wiring import Stores
from tests.unit.batch.conftest import NOW, event, open_stores
from tests.unit.batch.conftest import Stores as Opened
from tests.unit.collector.events import Listed, Watched, events

DAY = 86_400

processes.load()  # as `bvw up` does; an import beside a running loop would block it


@dataclass
class Scene:
    opened: Opened
    stores: Stores

    def process(self, **given: Any) -> Process:
        return Process(Settings(port=0, metrics_port=0, **given), self.stores)

    async def append(self, *numbers: int, at: int, size: int = 1) -> None:
        await self.opened.append(
            *(event(n, at=at, comment=random.Random(n).randbytes(size).hex()) for n in numbers)
        )

    async def see(self) -> None:
        view, log = self.opened.speedview, self.opened.log
        if (visible := await view.visible()) is None:
            await view.begin(log.identity, zero(log.partitions), None, text_version=1)
            visible = await view.visible()
        assert visible is not None
        batch = await log.read(visible.positions, limit=1_000)
        prepared = await asyncio.to_thread(prepare, batch)
        await view.write(prepared.documents, prepared.since, prepared.until, prepared.times)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    found = await asyncio.to_thread(
        datadir.open_directory, tmp_path / "data", source="demo", create=True
    )
    clock = ManualClock(NOW)
    async with AsyncExitStack() as stack:
        opened = await open_stores(found.path, clock, stack)

        async def lake() -> Lake:
            return opened.lake

        yield Scene(
            opened,
            Stores(
                found, clock, opened.log, opened.speedview, opened.batchview, MemoryCache(), lake
            ),
        )


async def test_over_the_budget_the_log_gives_first_and_then_the_oldest_days_of_the_lake(
    scene: Scene,
) -> None:
    for day in range(3):
        await scene.append(*range(day * 10, day * 10 + 10), at=NOW + day * DAY, size=400_000)
        scene.opened.clock.advance(DAY)
    await scene.process().batch_once()
    scene.opened.clock.advance(8 * DAY)
    await scene.append(100, at=NOW + 11 * DAY)
    await scene.see()
    await scene.process().batch_once()
    scene.opened.clock.advance(3_600)
    await scene.process().batch_once()
    assert await scene.opened.lake.expired() == []

    used = await used_bytes(scene)
    await scene.process(disk_budget=used - 1_000_000).batch_once()
    assert len(await remaining(scene)) == 1, "the log has nothing more to give"
    assert await scene.opened.lake.expired() == [], "and that was enough"

    held = await scene.opened.lake.days()
    used = await used_bytes(scene)
    tight = scene.process(disk_budget=used - held[0].bytes // 2)
    await tight.batch_once()
    assert await scene.opened.lake.expired() == [held[0].day]
    assert await used_bytes(scene) > used - held[0].bytes // 2, "readers have a grace time"
    await tight.batch_once()
    assert await scene.opened.lake.expired() == [held[0].day], "what waits for its end is counted"


async def used_bytes(scene: Scene) -> int:
    return await asyncio.to_thread(datadir.used_bytes, scene.stores.path)


async def remaining(scene: Scene) -> list[int]:
    log = scene.opened.log
    return [r.appended_at for r in (await log.read(await log.start(), limit=1_000)).records]


async def test_tools_find_the_api_while_it_runs(scene: Scene) -> None:
    data = scene.stores.path
    await scene.process().begin()
    assert await asyncio.to_thread(processes.announced_url, data) is None
    async with Resources() as resources:
        url = await scene.process().open_api(resources, "made for a test")
        assert await asyncio.to_thread(processes.announced_url, data) == url
        assert await client.answers(url, scene.stores.log.identity)
        assert not await client.answers(url, "another log")
        announced = json.loads(await asyncio.to_thread((data / "serving.json").read_text))
        assert announced["pid"] == os.getpid()
    assert await asyncio.to_thread(processes.announced_url, data) is None
    assert not await client.answers(url, scene.stores.log.identity)


async def test_readiness_names_a_collector_that_cannot_store(scene: Scene) -> None:
    await scene.process().begin()
    await scene.see()
    refusing: Any = Watched(scene.opened.log)
    refusing.failing = 1_000_000
    process = Process(scene.process().settings, replace(scene.stores, log=refusing))
    stop = asyncio.Event()
    async with Resources() as resources:
        url = await process.open_api(resources, "made for a test")
        collecting = asyncio.create_task(process.collect(Listed(events(3)), stop))
        await asyncio.wait_for(refusing.failed.wait(), 10)
        async with client.connected(url) as api:
            status, body = await api.get("/readyz")
        stop.set()
        await collecting
    assert status == 503
    assert body["dependencies"].pop("collector") == "Unavailable"
    assert set(body["dependencies"].values()) == {"ready"}


async def test_whoever_serves_after_us_stays_announced(scene: Scene) -> None:
    data = scene.stores.path
    async with processes.announced(data, "http://127.0.0.1:1"):
        file = data / "serving.json"
        await asyncio.to_thread(file.write_text, '{"url": "http://127.0.0.1:2", "pid": 1}')
    assert await asyncio.to_thread(processes.announced_url, data) == "http://127.0.0.1:2"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}'])
def test_a_broken_announcement_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "serving.json").write_text(text)
    assert processes.announced_url(tmp_path) is None


async def test_an_empty_directory_answers_exactly(scene: Scene) -> None:
    await scene.process().begin()
    await scene.see()
    async with Resources() as resources:
        url = await scene.process().api_for_tools(resources)
        async with client.connected(url) as api:
            status, body = await api.get("/v1/projects")
            assert (status, body["projects"]) == (200, [])
            assert body["meta"]["completeness"] == "exact"
            assert body["meta"]["generation"] == 0
            assert (await api.get("/v1/audit"))[1]["state"] == "none"
        assert await asyncio.to_thread(processes.announced_url, scene.stores.path) is None


async def test_stores_of_a_log_that_was_replaced_or_cut_are_refused(scene: Scene) -> None:
    await scene.append(1, 2, at=NOW)
    await scene.process().batch_once()
    clock = scene.stores.clock
    other = await SqliteLog.open(scene.stores.path / "other.sqlite", partitions=2, clock=clock)
    with pytest.raises(Refused, match=r"belongs to log .*the log has been replaced or cut") as why:
        await Process(Settings(), replace(scene.stores, log=other)).begin()
    assert why.value.code == Exit.CONFIGURATION
    current = await scene.opened.batchview.current()
    assert current is not None
    beyond = tuple(offset + 1 for offset in current.horizon)
    whole = replace(current.segments[0], until=beyond)
    later = replace(current, number=current.number + 1, horizon=beyond, segments=(whole,))
    await scene.opened.batchview.stage(replace(whole, id="later"), {}, {})
    later = replace(later, segments=(replace(whole, id="later"),))
    await scene.opened.batchview.publish(current.number, later)
    with pytest.raises(Refused, match="beyond the log's end"):
        await scene.process().begin()
    await other.close()


async def test_an_api_that_is_gone_is_one_line(unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    async with client.connected(url) as api:
        with pytest.raises(Refused, match=f"no usable answer from {url}/v1/projects") as why:
            await api.get("/v1/projects")
    assert why.value.code == Exit.TEMPORARY
    assert not await client.answers(url, "any log")


async def test_a_second_process_of_a_role_is_refused(scene: Scene) -> None:
    stop = asyncio.Event()
    first = asyncio.create_task(scene.process().speed(stop))
    async with asyncio.timeout(10):
        while await scene.opened.speedview.visible() is None:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
    with pytest.raises(Refused, match=f"another speed already runs on .*process {os.getpid()}"):
        await scene.process().speed(asyncio.Event())
    stop.set()
    await first
