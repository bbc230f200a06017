"""What the log lets go of and when, and what becomes of a disk that fills."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, MutableMapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import ByteSize
from structlog.testing import capture_logs

from services.collector import upkeep
from services.shared.batchview.embedded import SqliteBatchView
from services.shared.batchview.port import Run
from services.shared.domain import generation
from services.shared.domain.generation import Generation, Segment
from services.shared.log.embedded import SqliteLog
from services.shared.log.port import DeadLetter, Entry
from services.shared.runtime import datadir, metrics, requests
from services.shared.runtime.clock import ManualClock
from services.shared.runtime.requests import BATCH_RUN
from services.shared.runtime.settings import Settings
from services.shared.runtime.unavailable import Unavailable
from services.shared.speedview.embedded import SqliteSpeedView
from tests.unit.collector.events import event, until

DAY = 86_400
NOW = 1_709_208_000


@dataclass
class Scene:
    """The stores of a collector, and the layers behind it as a test says."""

    path: Path
    clock: ManualClock
    log: SqliteLog
    speed: SqliteSpeedView
    batch: SqliteBatchView
    gate: asyncio.Event

    async def append(self, *numbers: int, size: int = 1) -> None:
        # What does not repeat can't be packed.
        events = [event(n, comment=random.Random(n).randbytes(size).hex()) for n in numbers]
        await self.log.append(
            [Entry(f"20240229:{n}", raw) for n, raw in zip(numbers, events, strict=True)]
        )

    async def days(self, count: int, *, size: int = 1) -> None:
        """An event every second day, the first on the second, each in a block of its own."""
        for number in range(2, count + 1, 2):
            self.clock.advance(2 * DAY)
            await self.append(number, size=size)

    async def see(self) -> None:
        """The speed layer comes to the end."""
        if await self.speed.visible() is None:
            await self.speed.begin(self.log.identity, (0,), None, text_version=1)
        batch = await self.log.read(await self.log.stable_end(), limit=1)
        await self.speed.write([], (0,), batch.until, batch.times)

    async def publish(self) -> None:
        """The batch layer comes to the end; the generation before stays readable."""
        before = await self.batch.current()
        assert before is not None
        batch = await self.log.read(await self.log.stable_end(), limit=1)
        segment = Segment(f"to-{batch.until}", before.horizon, batch.until, "1")
        await self.batch.stage(segment, {}, {})
        after = Generation(
            before.number + 1, self.log.identity, (*before.segments, segment),
            batch.until, batch.times, 0, self.now_ms,
        )  # fmt: skip
        await self.batch.publish(before.number, after)

    async def forget_generations(self) -> None:
        await self.batch.remove(self.now_ms + 1)

    @property
    def now_ms(self) -> int:
        return round(self.clock.now() * 1000)

    async def kept(self) -> list[int]:
        """Days whose events the log has."""
        records = (await self.log.read(await self.log.start(), limit=1_000)).records
        return [int(record.key.partition(":")[2]) for record in records]

    async def shorten(self, *, keep_margin: bool = True) -> list[int]:
        await upkeep.shorten(
            self.log, self.speed, self.batch, Settings(), keep_margin=keep_margin
        )  # fmt: skip
        return await self.kept()

    def disk(self, settings: Settings) -> upkeep.Disk:
        return upkeep.Disk(self.path, settings, datadir.used_by_part)

    async def look(self, settings: Settings, disk: upkeep.Disk) -> None:
        """What the upkeep does at a look, as far as the disk goes."""
        await disk.admit(self.gate, self.batch, self.clock, over=await disk.over_budget())

    async def batch_run(self, state: str = "done") -> None:
        """A batch run that begins and ends now."""
        self.clock.advance(1)
        await self.batch.record(Run(str(self.now_ms), "run", state, self.now_ms, self.now_ms + 1))

    @contextlib.asynccontextmanager
    async def running(self, **given: Any) -> AsyncIterator[None]:
        """The upkeep as the collector runs it."""
        stop, settings = asyncio.Event(), Settings(**given)
        running = upkeep.run(
            self.log, self.speed, self.batch, settings=settings, disk=self.disk(settings),
            clock=self.clock, gate=self.gate, stop=stop,
        )  # fmt: skip
        task = asyncio.create_task(running)
        yield
        stop.set()
        async with asyncio.timeout(10):
            await task


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    clock, gate = ManualClock(NOW), asyncio.Event()
    gate.set()
    async with AsyncExitStack() as stack:
        log = await SqliteLog.open(tmp_path / "log.sqlite", partitions=1, clock=clock)
        stack.push_async_callback(log.close)
        speed = await SqliteSpeedView.open(tmp_path / "speed.sqlite")
        stack.push_async_callback(speed.close)
        batch = await SqliteBatchView.open(tmp_path / "batch.sqlite", clock)
        stack.push_async_callback(batch.close)
        await batch.begin(generation.first(log.identity, 1, NOW * 1000))
        yield Scene(tmp_path, clock, log, speed, batch, gate)


def value(name: str, **labels: str) -> float | None:
    """What a scrape would say."""
    return metrics.REGISTRY.get_sample_value(name, labels)


async def test_the_log_keeps_a_window_and_a_margin_of_log_time(scene: Scene) -> None:
    await scene.days(24)
    assert await scene.shorten() == list(range(2, 25, 2)), "nobody has read it"
    await scene.see()
    await scene.publish()
    await scene.forget_generations()
    scene.clock.advance(1_000 * DAY)
    assert await scene.shorten() == list(range(10, 25, 2)), "the wall clock is not log time"
    assert await scene.shorten(keep_margin=False) == [18, 20, 22, 24]


async def test_an_old_generation_that_can_be_read_keeps_the_log(scene: Scene) -> None:
    await scene.days(4)
    await scene.see()
    await scene.publish()
    await scene.forget_generations()
    scene.clock.advance(20 * DAY)
    await scene.append(24)
    await scene.see()
    await scene.publish()
    assert await scene.shorten(keep_margin=False) == [2, 4, 24], "it stands at day 4"
    await scene.forget_generations()
    assert await scene.shorten(keep_margin=False) == [24]


async def test_a_speed_layer_that_is_behind_keeps_the_log(scene: Scene) -> None:
    await scene.days(4)
    await scene.see()
    scene.clock.advance(20 * DAY)
    await scene.append(24)
    await scene.publish()
    await scene.forget_generations()
    assert await scene.shorten(keep_margin=False) == [2, 4, 24], "it may still be rebuilt"
    await scene.see()
    assert await scene.shorten(keep_margin=False) == [24]


async def test_over_the_budget_the_margin_goes_before_anything_waits(scene: Scene) -> None:
    await scene.days(24, size=1_000_000)
    await scene.see()
    await scene.publish()
    await scene.forget_generations()
    used = await asyncio.to_thread(datadir.used_bytes, scene.path)
    file = scene.path / "log.sqlite"
    before = await asyncio.to_thread(datadir.used_bytes, file)
    with capture_logs() as logged:
        async with scene.running(disk_budget=used - 1):
            await looked()
    assert logged[0]["event"] == "disk_budget_near"
    assert await scene.kept() == [18, 20, 22, 24]
    assert scene.gate.is_set(), "what the log gave back was enough"
    assert await asyncio.to_thread(datadir.used_bytes, file) < before - 4_000_000


async def test_within_the_budget_the_margin_stays(scene: Scene) -> None:
    await scene.days(24, size=100_000)
    await scene.see()
    await scene.publish()
    await scene.forget_generations()
    async with scene.running():
        await looked()
    assert await scene.kept() == list(range(10, 25, 2))


async def test_collection_pauses_once_the_lake_had_its_turn_and_goes_on_with_room(
    scene: Scene,
) -> None:
    await scene.days(2)
    await scene.batch_run()
    tight = Settings(disk_budget=ByteSize(1))
    disk = scene.disk(tight)
    with capture_logs() as logged:
        for _ in range(2):
            await scene.look(tight, disk)
            assert scene.gate.is_set(), "the run that ended before has given nothing"
        assert len(await asyncio.to_thread(requests.left, scene.path, BATCH_RUN)) == 1
        await scene.batch_run("failed")
        await scene.look(tight, disk)
        assert not scene.gate.is_set()
        async with scene.running():
            await until_logged(logged, "collection_resumed")
        assert scene.gate.is_set()
    assert [line["event"] for line in logged] == [
        "disk_budget_near", "collection_paused", "collection_resumed",
    ]  # fmt: skip
    assert await scene.kept() == [2]


async def test_collection_does_not_wait_for_ever_for_a_batch_run(scene: Scene) -> None:
    tight = Settings(disk_budget=ByteSize(1))
    disk = scene.disk(tight)
    await scene.look(tight, disk)
    assert scene.gate.is_set()
    scene.clock.advance(121)
    await scene.look(tight, disk)
    assert not scene.gate.is_set()


async def test_what_the_lake_gives_is_waited_for_and_is_enough(scene: Scene) -> None:
    await scene.days(2, size=100_000)
    tight = Settings(disk_budget=ByteSize(1))
    disk = scene.disk(tight)
    await scene.look(tight, disk)
    await disk.admit(scene.gate, scene.batch, scene.clock, over=False)
    assert scene.gate.is_set()
    await scene.look(tight, disk)
    await scene.look(tight, disk)
    assert scene.gate.is_set(), "over once more, and the lake has its turn once more"


async def test_it_warns_at_four_fifths_and_says_so_once(scene: Scene) -> None:
    used = await asyncio.to_thread(datadir.used_bytes, scene.path)
    with capture_logs() as logged:
        near = scene.disk(Settings(disk_budget=ByteSize(used / 0.85)))
        assert not await near.over_budget()
        assert not await near.over_budget()
        far = scene.disk(Settings(disk_budget=ByteSize(used / 0.75)))
        assert not await far.over_budget()
    assert [line["event"] for line in logged] == ["disk_budget_near"]
    assert logged[0]["used"] == used


async def test_less_disk_than_the_budget_is_a_warning_at_the_start(scene: Scene) -> None:
    with capture_logs() as logged:
        async with scene.running(disk_budget=1 << 60):
            pass
        async with scene.running(disk_budget=100_000_000):
            pass
    (warning,) = logged
    assert warning["event"] == "disk_smaller_than_budget"
    assert warning["free"] > 0
    assert "BVW_DISK_BUDGET" in warning["way_out"]


async def test_a_full_disk_does_not_end_the_collector(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full() -> None:
        raise Unavailable("no space left on device", 0.1)

    monkeypatch.setattr(scene.log, "maintain", full)
    with capture_logs() as logged:
        async with scene.running():
            await until_logged(logged, "log_upkeep_put_off")
    assert "no space left" in logged[0]["reason"]


async def test_an_operator_sees_how_long_the_log_is_and_how_far_the_batch_is_behind(
    scene: Scene,
) -> None:
    letter = DeadLetter("0" * 64, b"{", "not_json", "", "source", "cursor")
    await scene.log.append([], deadletters=[letter])
    await scene.append(1)
    await scene.publish()
    scene.clock.advance(10)
    await scene.append(2, 3)
    scene.clock.advance(30)
    async with scene.running():
        await until(lambda: value("bvw_horizon_age_seconds") == 30)
    assert value("bvw_log_end_offset", partition="0") == 3
    assert value("bvw_dead_letters") == 1
    assert value("bvw_disk_bytes", part="log") == pytest.approx(await scene.log.size(), abs=10_000)
    assert value("bvw_disk_bytes", part="lake") == 0
    await scene.publish()
    await scene.log.remove_deadletters([letter.hash])
    await upkeep.measure(scene.log, scene.batch, scene.clock)
    assert value("bvw_horizon_age_seconds") == 0
    assert value("bvw_dead_letters") == 0


async def until_logged(logged: Sequence[MutableMapping[str, Any]], event: str) -> None:
    await until(lambda: event in [line["event"] for line in logged])


async def looked() -> None:
    """Waits for the end of a look: measuring is the last of it."""
    metrics.HORIZON_AGE.set(-1)
    await until(lambda: value("bvw_horizon_age_seconds") != -1)
