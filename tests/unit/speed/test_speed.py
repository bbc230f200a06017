"""The speed layer as an operator meets it: follows, waits, stops, dies and rebuilds."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from services.shared.batchview.embedded import SqliteBatchView
from services.shared.domain import generation
from services.shared.domain.positions import Vector
from services.shared.domain.query import Query
from services.shared.domain.views import EDITS
from services.shared.log.embedded import SqliteLog
from services.shared.runtime import metrics
from services.shared.runtime.clock import SystemClock
from services.shared.runtime.exits import Exit, Refused
from services.shared.runtime.settings import Settings
from services.shared.runtime.unavailable import Unavailable
from services.shared.speedview.embedded import SqliteSpeedView
from services.shared.speedview.port import BegunAnew, Busy, Indexed, Visible
from services.shared.text import TEXT_VERSION
from services.speed import rebuild, speed
from services.speed.prepare import Defect
from tests.deaths import died
from tests.unit.speed.conftest import DAY_MS, NOW, Scene
from tests.unit.speed.made import PARTITIONS, entry

INDEXED_WITHIN = 0.25  # seconds after the append


async def begun(scene: Scene) -> None:
    await scene.batchview.begin(generation.first(scene.log.identity, PARTITIONS, NOW * 1000))


async def test_an_empty_log_is_followed_from_its_start_and_nothing_is_missing(
    scene: Scene,
) -> None:
    scene.start()
    visible = await scene.until(lambda _: True)
    assert visible == Visible(scene.log.identity, (0, 0), (0, 0), (0, 0), text_version=TEXT_VERSION)
    await scene.append("a", "b")
    await scene.caught_up()
    await scene.append("a", "c")
    visible = await scene.caught_up()
    assert visible.rebuilding_until is None
    assert visible.times == (NOW * 1000,) * PARTITIONS
    assert await scene.events() == ["a", "b", "c"]
    await scene.stop()


async def test_an_event_is_visible_within_a_quarter_of_a_second(scene: Scene) -> None:
    scene.start()
    await scene.append("first")
    await scene.caught_up()  # word lists and stemmers are there from here on
    for n in range(5):
        before = asyncio.get_running_loop().time()
        await scene.append(f"event {n}")
        await scene.caught_up()
        taken = asyncio.get_running_loop().time() - before
        if taken < INDEXED_WITHIN:
            break
    else:
        pytest.fail(f"five times in a row it took too long, at last {taken} s")
    await scene.stop()


async def test_canaries_move_the_visible_position_and_are_no_documents(scene: Scene) -> None:
    await scene.log.append([entry(f"canary {n}", domain="canary") for n in range(8)])
    scene.start()
    await scene.caught_up()
    assert await scene.events() == []
    await scene.stop()


async def test_a_record_that_is_no_change_stops_it_and_is_named(scene: Scene) -> None:
    bad = entry("bad")._replace(raw=b'{"type":"edit"')
    await scene.append("good")
    await scene.log.append([bad])
    with pytest.raises(Defect, match=r"log position \d:\d \(20150912:bad\): not_json"):
        await asyncio.wait_for(scene.start(), 20)
    visible = await scene.view.visible()
    assert visible is not None
    assert visible.positions == (0, 0)


async def test_it_goes_on_where_it_stopped(scene: Scene) -> None:
    scene.start()
    await scene.append(*(f"a{n}" for n in range(10)))
    await scene.caught_up()
    await scene.stop()
    await scene.append("b")
    counted = metrics.SPEED_DOCUMENTS._value.get()
    scene.start()
    await scene.caught_up()
    assert metrics.SPEED_DOCUMENTS._value.get() == counted + 1
    assert len(await scene.events()) == 11
    await scene.stop()


async def test_it_ends_by_itself_where_it_is_told_to(scene: Scene) -> None:
    await scene.append(*(f"a{n}" for n in range(5000)))
    end = await scene.log.stable_end()
    await asyncio.wait_for(scene.start(until=end), 60)
    await asyncio.wait_for(scene.start(until=end), 20)
    assert (await scene.visible()).positions == end


class BusyView(SqliteSpeedView):
    """Has no room for the event a0 until it was refused so many times; takes what comes after."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.refusals = 3
        self.refused = 0

    async def write(
        self, documents: Sequence[Indexed], since: Vector, until: Vector, times: Vector
    ) -> None:
        first = any(found.document.change.id == "20150912:a0" for found in documents)
        if first and self.refused < self.refusals:
            self.refused += 1
            raise Busy(0.01)
        await super().write(documents, since, until, times)


@pytest.fixture
async def busy(scene: Scene) -> AsyncIterator[BusyView]:
    view = await BusyView.open(scene.directory / "busy.db")
    scene.view = view
    yield view
    await scene.stop()
    await view.close()


async def test_a_busy_view_is_waited_for_and_loses_nothing(scene: Scene, busy: BusyView) -> None:
    scene.start()
    for n in range(10):
        await scene.append(f"a{n}")
    await scene.caught_up()
    assert busy.refused == 3
    assert len(await scene.events()) == 10


async def test_stopped_while_a_view_is_busy_it_leaves_nothing_out(
    scene: Scene, busy: BusyView
) -> None:
    busy.refusals = 1 << 60
    scene.start()
    await scene.append("a0")
    await scene.until(lambda _: busy.refused > 0)
    await scene.append("a1", "a2", "a3")
    seen = busy.refused
    await scene.until(lambda _: busy.refused > seen + 20)  # time enough to have read the others
    await scene.stop()
    assert (await scene.visible()).positions == (0, 0)
    busy.refusals = 0
    scene.start()
    await scene.caught_up()
    assert len(await scene.events()) == 4


class LosingView(SqliteSpeedView):
    """Loses all it holds when told to, as where somebody removes a server's index."""

    lost = False

    async def begin(self, *args: Any, **kwargs: Any) -> None:
        await super().begin(*args, **kwargs)
        self.lost = False

    async def visible(self) -> Visible | None:
        return None if self.lost else await super().visible()

    async def write(
        self, documents: Sequence[Indexed], since: Vector, until: Vector, times: Vector
    ) -> None:
        if self.lost:
            raise BegunAnew(since, (0, 0))
        await super().write(documents, since, until, times)


# Rebuilds


@pytest.mark.parametrize("later", [(), ("b0", "b1")], ids=["quiet", "under load"])
async def test_a_view_lost_while_it_is_followed_is_rebuilt(
    scene: Scene, later: tuple[str, ...]
) -> None:
    scene.view = view = await LosingView.open(scene.directory / "losing.db")
    await scene.append("a0", "a1")
    scene.start()
    await scene.caught_up()
    view.lost = True
    await scene.append(*later)
    await scene.caught_up()
    assert await scene.events() == ["a0", "a1", *later]
    await scene.stop()
    await view.close()


class AbsentView(SqliteSpeedView):
    """Is not there the first times that somebody looks where it stands."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.looks = 0
        self.there = asyncio.Event()

    async def visible(self) -> Visible | None:
        self.looks += 1
        if 1 < self.looks < 4:
            raise Unavailable("away", retry_after=0.01)
        self.there.set()
        return await super().visible()


async def test_a_view_that_is_away_is_waited_for(scene: Scene) -> None:
    scene.view = view = await AbsentView.open(scene.directory / "absent.db")
    await scene.append("a0", "a1")
    scene.start()
    await view.there.wait()
    view.there.clear()
    await asyncio.wait_for(view.there.wait(), 20)
    await scene.caught_up()
    await scene.stop()
    await view.close()


async def test_a_lost_view_is_rebuilt_and_says_so_until_it_is(scene: Scene) -> None:
    await scene.append(*(f"a{n}" for n in range(3000)))
    end = await scene.log.stable_end()
    await begun(scene)
    await rebuild.reconcile(scene.log, scene.view, scene.batchview, DAY_MS, scene.directory)
    expected = Visible(scene.log.identity, (0, 0), (0, 0), (0, 0), end, text_version=TEXT_VERSION)
    assert await scene.visible() == expected
    scene.start()
    assert (await scene.caught_up()).rebuilding_until is None
    await scene.stop()


async def test_a_rebuild_starts_a_window_before_the_oldest_readable_horizon(scene: Scene) -> None:
    await begun(scene)
    horizons = []
    for day in range(12):
        await scene.append(*(f"{day}-{n}" for n in range(20)))
        horizons.append(await scene.log.stable_end())
        scene.clock.advance(86_400)
    times = ((NOW + 9 * 86_400) * 1000,) * PARTITIONS
    await scene.publish(horizons[9], times)
    await scene.publish(horizons[10], tuple(time + DAY_MS for time in times))
    await rebuild.begin(scene.log, scene.view, scene.batchview, 7 * DAY_MS, why="test")
    assert (await scene.visible()).floor == (0, 0)  # generation 0 is still readable
    await scene.forget_generations()
    await rebuild.begin(scene.log, scene.view, scene.batchview, 7 * DAY_MS, why="test")
    visible = await scene.visible()
    assert visible.floor == visible.positions == horizons[2]
    assert visible.rebuilding_until == horizons[11]
    await rebuild.begin(scene.log, scene.view, scene.batchview, 0, why="test")
    assert (await scene.visible()).floor == horizons[9]


async def test_what_the_log_no_longer_holds_is_rebuilt_from_what_it_holds(scene: Scene) -> None:
    await scene.append(*(f"a{n}" for n in range(50)))
    scene.start()
    await scene.caught_up()
    await scene.stop()
    await scene.append(*(f"b{n}" for n in range(50)))
    trimmed = await scene.log.stable_end()
    await scene.append(*(f"c{n}" for n in range(50)))
    await scene.log.trim(trimmed)
    scene.start()
    end = await scene.log.stable_end()
    visible = await scene.caught_up()
    assert visible.floor == trimmed
    assert visible.positions == end
    assert await scene.events() == sorted(f"c{n}" for n in range(50))
    await scene.stop()


async def test_a_rebuild_that_is_asked_for_is_carried_out_once(scene: Scene) -> None:
    await scene.append("a", "b")
    scene.start()
    await scene.caught_up()
    rebuilt = metrics.SPEED_REBUILDS._value.get()
    await asyncio.to_thread(rebuild.request, scene.directory)
    await scene.until(lambda _: metrics.SPEED_REBUILDS._value.get() > rebuilt)
    await scene.caught_up()
    await scene.stop()
    assert metrics.SPEED_REBUILDS._value.get() == rebuilt + 1
    assert not await asyncio.to_thread(rebuild.requested, scene.directory)
    assert await scene.events() == ["a", "b"]


async def test_a_view_with_words_of_another_text_analysis_is_made_anew_once(scene: Scene) -> None:
    await scene.append("a", "b")
    await scene.view.begin(scene.log.identity, (0, 0), None, text_version=TEXT_VERSION + 1)
    rebuilt = metrics.SPEED_REBUILDS._value.get()
    for _ in range(2):
        scene.start()
        visible = await scene.caught_up()
        await scene.stop()
        assert visible.text_version == TEXT_VERSION
        assert metrics.SPEED_REBUILDS._value.get() == rebuilt + 1
    assert await scene.events() == ["a", "b"]


async def test_a_view_of_another_log_is_refused_with_the_way_out(scene: Scene) -> None:
    await scene.view.begin("another", (0, 0), None, text_version=1)
    with pytest.raises(Refused, match=r"belongs to log another.*bvw speed rebuild") as refusal:
        await scene.start()
    assert refusal.value.code == Exit.CONFIGURATION
    await scene.append("a")
    await asyncio.to_thread(rebuild.request, scene.directory)
    scene.start()
    visible = await scene.until(lambda visible: visible.positions != (0, 0))
    assert visible.log == scene.log.identity
    await scene.stop()


async def test_a_view_beyond_the_end_of_the_log_is_refused(scene: Scene) -> None:
    await scene.view.begin(scene.log.identity, (0, 0), None, text_version=1)
    await scene.view.write([], (0, 0), (0, 5), (0, 0))
    with pytest.raises(
        Refused, match=r"stands at \(0, 5\), beyond the log's end \(0, 0\); .*speed rebuild"
    ):
        await scene.start()


# Crashes


async def follow(folder: Path) -> None:
    """Index all that the log holds now."""
    clock = SystemClock()
    log = await SqliteLog.open(folder / "log.db", clock=clock)
    view = await SqliteSpeedView.open(folder / "speed.db")
    batchview = await SqliteBatchView.open(folder / "batch.db", clock)
    await speed.run(
        log, view, batchview, settings=Settings(), clock=clock, stop=asyncio.Event(),
        directory=folder, until=await log.stable_end(),
    )  # fmt: skip


@pytest.mark.parametrize(
    "point",
    [
        "speed.rebuild-begun",
        "speed.batch-read:2",
        "speed.before-write:2",
        "speed.in-write:2",
        "speed.after-write:2",
    ],
)
async def test_after_a_death_anywhere_everything_is_there_once(scene: Scene, point: str) -> None:
    events = [f"a{n % 2700}" for n in range(5000)]  # two batches
    await scene.append(*events)
    assert await died(follow, scene.directory, at=point) == Exit.CRASHED
    scene.start()
    visible = await scene.caught_up()
    await scene.stop()
    assert visible.rebuilding_until is None
    sums = await scene.view.sums(Query(EDITS), (0, 0), visible.positions)
    assert sums == {(): (2700, 7 * 2700, 7 * 2700, 0, 0)}
