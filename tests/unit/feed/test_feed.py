"""The feed without HTTP: order, gaps, beats, slow readers, and what fails."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from services.serving.feed import fanout, reader
from services.serving.feed.feed import Full
from services.shared.domain.views import Document
from services.shared.runtime import metrics
from services.shared.runtime.unavailable import Unavailable
from services.shared.speedview.port import Indexed, Search
from tests.unit.feed.made import Served, served
from tests.unit.serving import made
from tests.unit.serving.made import World
from tests.unit.speed.made import at

PT = Search(projects=("pt.wikipedia",))
NOTHING = Search(projects=("none.wikipedia",))


@pytest.fixture
async def feed(world: World) -> AsyncIterator[Served]:
    async with served(world.speed, world.log) as feed:
        yield feed


async def come_in(world: World, *numbers: int) -> list[str]:
    """Into the log and the view; their ids in order of the feed."""
    changes = [made.change(number) for number in numbers]
    before = len(world.counted)
    await world.append(Document(change) for change in changes)
    await world.follow()
    return [one.document.change.id for one in _ordered(world.counted[before:])]


def _ordered(found: list[Indexed]) -> list[Indexed]:
    return sorted(found, key=lambda one: (one.appended_at, one.partition, one.offset))


async def test_from_now_on_in_order_of_append(world: World, feed: Served) -> None:
    await come_in(world, *range(5))
    one = await feed.attach()
    expected = []
    for number in range(10, 40, 3):
        world.clock.advance(0.001)
        expected += await come_in(world, number, number + 1, number + 2)
    await one.until(lambda it: len(it.events) == 30)
    assert one.events == expected


async def test_the_newest_first_by_each_filter(world: World, feed: Served) -> None:
    await world.append(made.documents(60))
    await world.follow()
    for search in (Search(), PT, Search(terms=("lisboa",)), NOTHING):
        found = await world.speed.search(search, (0, 0), world.until, limit=7)
        expected = [hit.document.change.id for hit in found[::-1]]
        one = await feed.attach(search, last=7)
        await one.until(lambda it, to=expected: it.events == to)  # type: ignore[misc]


async def test_a_long_way_back_is_read_page_by_page(world: World, feed: Served) -> None:
    await world.append(made.documents(3_000))
    await world.follow()
    everything = [one.document.change.id for one in _ordered(world.counted)]
    one = await feed.attach(at=(0, 0))
    await one.until(lambda it: len(it.events) == 3_000)
    assert one.events == everything
    some = await feed.attach(PT, at=(0, 0))
    await some.until(lambda it: it.reached == world.until)
    wanted = {d.change.id for d in world.where(lambda c: c.project == "pt.wikipedia")}
    assert some.events == [id_ for id_ in everything if id_ in wanted]


async def test_ids_move_where_the_filter_lets_nothing_pass(world: World, feed: Served) -> None:
    one = await feed.attach(NOTHING)
    for number in range(3):
        await come_in(world, number)
        await one.until(lambda it: it.reached == world.until)
    assert one.frames == []


async def test_beats_without_news_are_comments(feed: Served) -> None:
    one = await feed.attach()
    await one.until(lambda it: it.pipe.got.count(b":\n\n") >= 3)
    assert one.pipe.got.count(b"id:") == 1


async def test_what_is_no_longer_kept_is_a_gap(world: World, feed: Served) -> None:
    await come_in(world, *range(20))
    middle = world.until
    world.clock.advance(10)
    expected = await come_in(world, *range(20, 30))
    await world.speed.shrink(middle, tuple(time + 1 for time in world.times))
    one = await feed.attach(at=(0, 0))
    await one.until(lambda it: len(it.events) == 10)
    gap, *rest = one.frames
    assert gap.event == "gap"
    assert gap.data["since"] == [0, 0]
    assert (await world.speed.visible()).floor == tuple(gap.data["until"])  # type: ignore[union-attr]
    assert "no longer kept" in gap.data["reason"]
    assert gap.data["oldest"]
    assert [frame.data["id"] for frame in rest] == expected


@pytest.mark.parametrize("id_", ['["other",[0,0]]', '["other",[7]]'])
async def test_an_id_of_another_log_is_a_gap(world: World, feed: Served, id_: str) -> None:
    expected = await come_in(world, *range(9))
    one = await feed.attach(at=id_)
    await one.until(lambda it: len(it.events) == 9)
    gap, *rest = one.frames
    assert (gap.event, gap.data["since"]) == ("gap", None)
    assert "another log" in gap.data["reason"]
    assert [frame.data["id"] for frame in rest] == expected


async def test_an_id_of_another_number_of_partitions_is_a_gap(world: World, feed: Served) -> None:
    one = await feed.attach(at=(0, 0, 0))
    assert one.frames[0].data["since"] is None


async def test_an_id_beyond_the_end_is_a_gap_up_to_there(world: World, feed: Served) -> None:
    await come_in(world, *range(9))
    end, beyond = world.until, (world.until[0] + 5, 0)
    one = await feed.attach(at=beyond)
    assert one.frames[0].data["since"] == [end[0], 0]
    assert one.frames[0].data["until"] == list(beyond)
    expected = await come_in(world, *range(9, 20))
    await one.until(lambda it: it.reached == world.until)
    assert one.events[-len(expected) :] == expected


async def test_a_rebuild_repeats_nothing_and_loses_nothing(world: World, feed: Served) -> None:
    await come_in(world, *range(20))
    one = await feed.attach()
    before = one.reached
    await world.speed.begin(world.log.identity, (0, 0), world.until, text_version=1)
    back = await feed.attach(at=(0, 0))  # waits until it is rebuilt
    await world.follow()
    expected = await come_in(world, *range(20, 30))
    await one.until(lambda it: len(it.events) == 10)
    await back.until(lambda it: len(it.events) == 30)
    assert (before, one.events) == ((one.begun), expected)


async def test_the_slow_are_told_and_cut_off_and_nobody_else(world: World, feed: Served) -> None:
    slow, quick = await feed.attach(), await feed.attach()
    counted = metrics.FEED_OVERRUNS._value.get()
    slow.pipe.waiting = reader.MOST_WAITING + 1
    await come_in(world, 1)
    await slow.ended()
    assert [frame.event for frame in slow.frames] == ["overrun"]
    await quick.until(lambda it: it.events)
    assert metrics.FEED_OVERRUNS._value.get() == counted + 1
    back = await feed.attach(at=slow.id)
    await back.until(lambda it: it.events)
    assert back.events == quick.events


async def test_whoever_has_gone_is_let_go(feed: Served) -> None:
    one = await feed.attach()
    one.pipe.closed = True
    await one.ended()


async def test_there_are_so_many_seats(world: World) -> None:
    async with served(world.speed, world.log, most=2) as feed:
        first, _second = await feed.attach(), await feed.attach()
        with pytest.raises(Full):
            await feed.attach()
        await first.leave()
        await feed.attach()


async def test_a_closed_feed_ends_its_readers_and_takes_no_more(feed: Served) -> None:
    one, another = await feed.attach(), await feed.attach(NOTHING)
    await feed.feed.close()
    await one.ended()
    await another.ended()
    with pytest.raises(Full):
        await feed.attach()


@contextlib.asynccontextmanager
async def away(world: World) -> AsyncIterator[asyncio.Event]:
    """The view can't be read while inside; the event says that this has been noticed."""
    refused = asyncio.Event()

    async def scan(*_: object, **__: object) -> list[Indexed]:
        refused.set()
        raise Unavailable("the disk is full")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.speed, "scan", scan)
        yield refused


async def test_a_store_that_is_away_is_waited_for(
    world: World, feed: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "AGAIN", 0.01)
    one = await feed.attach()
    async with away(world) as noticed:
        expected = await come_in(world, 1)
        await noticed.wait()
    await one.until(lambda it: it.events == expected)


async def test_what_goes_before_it_was_read_is_a_gap_for_all(
    world: World, feed: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "AGAIN", 0.01)
    one = await feed.attach()
    async with away(world) as noticed:
        await come_in(world, *range(9))
        await noticed.wait()
        await world.speed.shrink(world.until, tuple(time + 1 for time in world.times))
    world.clock.advance(1)
    expected = await come_in(world, 9, 10)
    for reader_ in (one, await feed.attach(at=one.begun)):
        await reader_.until(lambda it: it.events == expected)
        assert reader_.frames[0].event == "gap"
        assert reader_.frames[0].data["since"] == [0, 0]


async def test_after_a_defect_all_begin_anew_with_their_ids(
    world: World, feed: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one = await feed.attach()

    async def broken(*_: object, **__: object) -> list[Indexed]:
        raise RuntimeError("a defect")

    with monkeypatch.context() as patch:
        patch.setattr(world.speed, "scan", broken)
        expected = await come_in(world, 1)
        await one.ended()
    assert "feed_failed" in caplog.text
    back = await feed.attach(at=one.id)
    await back.until(lambda it: it.events == expected)


async def test_partitions_that_are_known_less_far_are_waited_for(
    world: World, feed: Served
) -> None:
    """Otherwise an earlier change would come after a later one."""
    one = await feed.attach()
    later, earlier = at(1, 0, time=2_000), at(0, 0, time=1_000)
    await world.speed.write([later], (0, 0), (0, 1), (900, 2_000))
    quiet = one.pipe.got.count(b":\n\n")
    await one.until(lambda it: it.pipe.got.count(b":\n\n") > quiet + 3)
    assert one.events == []
    await world.speed.write([earlier], (0, 1), (1, 1), (2_000, 2_000))
    await one.until(lambda it: len(it.events) == 2)
    assert one.events == [earlier.document.change.id, later.document.change.id]


async def test_after_a_gap_up_to_now_the_id_is_behind_it(world: World, feed: Served) -> None:
    await come_in(world, *range(20))
    world.clock.advance(10)
    await world.speed.shrink(world.until, tuple(time + 1 for time in world.times))
    one = await feed.attach(at=(0, 0))
    await one.until(lambda it: it.reached == world.until)
