"""What only a batch view behind a network can meet: lost requests, lost replies, and others in between.

Of MongoDB, so that these run with `--backends=real` alone (see `conftest`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from services.shared.batchview import driver
from services.shared.batchview.mongo import MongoBatchView
from services.shared.batchview.port import BatchView, Gone, Superseded
from services.shared.domain.generation import Generation, first
from services.shared.domain.query import Query
from services.shared.domain.views import PAGES
from services.shared.runtime.clock import ManualClock
from services.shared.runtime.unavailable import Unavailable
from tests.contract.batchviews import Mongo
from tests.contract.between import Between, Fate
from tests.contract.test_batchview import NOW, ONE, page, publish, segment

MS = NOW * 1000
# What the driver asks for by itself, or what takes no time limit.
ITS_OWN = {"hello", "ismaster", "isMaster", "endSessions", "killCursors", "getMore", "buildInfo"}

Happening = Callable[[], Awaitable[object]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Mongo]:
    place = Mongo(tmp_path)
    yield place
    await place.drop()


@pytest.fixture
async def direct(place: Mongo, clock: ManualClock) -> AsyncIterator[BatchView]:
    """One segment, published."""
    view = await place.open(clock)
    await view.begin(first("log", 1, MS))
    part = segment("old", 0, 1)
    await view.stage(part, {"pages": [(page("p", "A"), ONE)]}, {})
    await publish(view, part)
    yield view
    await view.close()


@pytest.fixture
async def between(place: Mongo, direct: BatchView) -> AsyncIterator[Between]:
    at = urlsplit(place.url)
    between = Between(at.hostname or "", at.port or 27017)
    async with between.listening():
        yield between


@pytest.fixture
async def view(place: Mongo, between: Between, clock: ManualClock) -> AsyncIterator[BatchView]:
    """The same view by way of `between`."""
    view = await MongoBatchView.open(by_way_of(between, place), clock)
    yield view
    await view.close()


def by_way_of(between: Between, place: Mongo) -> str:
    return urlsplit(place.url)._replace(netloc=f"127.0.0.1:{between.port}").geturl()


def once(name: str, collection: str, fate: Fate, happening: Happening | None = None) -> Any:
    """A rule: the fate of the first such request, before which something else happens."""
    met = False

    async def rule(command: dict[str, Any]) -> Fate:
        nonlocal met
        if met or command.get(name) != collection:
            return "pass"
        met = True
        if happening is not None:
            await happening()
        return fate

    return rule


async def next_of(view: BatchView, at: int = MS) -> Generation:
    """A generation that may follow, its new segment staged."""
    current = await view.current()
    assert current is not None
    part = segment(f"new-{at}", 1, 2)
    await view.stage(part, {"pages": [(page("p", "A"), ONE)]}, {})
    segments = (*current.segments, part)
    return replace(
        current, number=current.number + 1, segments=segments, horizon=(2,), published_at=at
    )


# A reply that does not come


@pytest.mark.parametrize("fate", ["lose", "lose-reply"])
async def test_publishing_is_settled_whatever_was_lost(
    view: BatchView, direct: BatchView, between: Between, fate: Fate
) -> None:
    generation = await next_of(view)
    between.rule = once("update", "pointer", fate)
    await view.publish(1, generation)
    assert await direct.current() == generation
    assert [g.number for g in await direct.generations()] == [0, 1, 2]
    assert await view.sums(generation, Query(PAGES)) == {(): (2, 2, 2)}


async def test_a_request_that_was_lost_and_then_superseded_has_published_nothing(
    view: BatchView, direct: BatchView, between: Between
) -> None:
    generation, rival = await next_of(view), await next_of(direct, MS + 1)
    between.rule = once("update", "pointer", "lose", lambda: direct.publish(1, rival))
    with pytest.raises(Superseded):
        await view.publish(1, generation)
    assert (await direct.generations())[1:] == [await direct.generation(1), rival]


async def test_what_was_published_unheard_and_then_superseded_has_been_published(
    view: BatchView, direct: BatchView, between: Between
) -> None:
    generation = await next_of(view)
    later = replace(generation, number=3)
    updates = 0

    async def rule(command: dict[str, Any]) -> Fate:
        nonlocal updates
        if command.get("find") == "pointer" and updates == 1:
            updates += 1
            await direct.publish(2, later)
        if command.get("update") == "pointer":
            updates += 1
            return "lose-reply"
        return "pass"

    between.rule = rule
    await view.publish(1, generation)
    assert (await direct.generations())[2:] == [generation, later]


async def test_the_first_generation_is_settled_too(
    tmp_path: Path, between: Between, clock: ManualClock
) -> None:
    place = Mongo(tmp_path / "begun")
    view = await MongoBatchView.open(by_way_of(between, place), clock)
    between.rule = once("update", "pointer", "lose-reply")
    assert await view.begin(first("log", 1, 5)) == first("log", 1, 5) == await view.current()
    await view.close()
    await place.drop()


async def test_a_segment_whose_rows_are_not_acknowledged_is_not_there(
    view: BatchView, direct: BatchView, between: Between
) -> None:
    part = segment("new", 1, 2)
    between.rule = once("insert", "pages", "lose-reply")
    with pytest.raises(Unavailable):
        await view.stage(part, {"pages": [(page("p", "A"), ONE)]}, {})
    with pytest.raises(ValueError, match="not staged: new"):
        await direct.sizes([part])
    await view.stage(part, {"pages": [(page("p", "A"), ONE)]}, {})
    assert await direct.rows([part], "pages", [20240229]) == [(page("p", "A"), ONE)]


async def test_a_server_that_is_away_is_unavailable(view: BatchView, between: Between) -> None:
    async def rule(_: dict[str, Any]) -> Fate:
        return "lose"

    between.rule = rule
    with pytest.raises(Unavailable):
        await view.current()


# Others in between


async def test_a_reader_of_what_is_removed_meanwhile_gets_no_part_of_it(
    view: BatchView, direct: BatchView, between: Between, clock: ManualClock
) -> None:
    old = await direct.generation(1)
    both = segment("both", 0, 1)
    await direct.combine(old.segments, both, minutes_from=0)
    clock.advance(60)
    await publish(direct, both, at=MS + 1)

    async def gone() -> None:
        await direct.remove(MS + 2)

    for ask in (
        lambda: view.sums(old, Query(PAGES)),
        lambda: view.top(old, Query(PAGES, ("title",)), measure="edits", limit=1),
    ):
        between.rule = once("aggregate", "pages", "pass", gone)
        with pytest.raises(Gone, match="generation 1"):
            await ask()


async def test_segments_that_are_removed_meanwhile_are_not_added_up(
    view: BatchView, direct: BatchView, between: Between, clock: ManualClock
) -> None:
    generation = await next_of(direct)
    clock.advance(60)

    async def removed() -> None:
        await direct.remove(MS + 1)

    between.rule = once("aggregate", "pages", "pass", removed)
    into = segment("both", 0, 2)
    with pytest.raises(ValueError, match="not staged: new"):
        await view.combine(generation.segments, into, minutes_from=0)
    with pytest.raises(ValueError, match="not staged: both"):
        await direct.sizes([into])


async def test_what_is_removed_at_the_last_moment_is_not_published(
    view: BatchView, direct: BatchView, between: Between, clock: ManualClock
) -> None:
    generation = await next_of(view)
    clock.advance(60)

    async def removed() -> None:
        await direct.remove(MS + 1)

    between.rule = once("update", "pointer", "pass", removed)
    with pytest.raises(ValueError, match="not staged: new"):
        await view.publish(1, generation)
    assert [g.number for g in await direct.generations()] == [1]


async def test_what_is_published_at_the_last_moment_is_not_removed(
    view: BatchView, direct: BatchView, between: Between, clock: ManualClock
) -> None:
    generation = await next_of(direct)
    clock.advance(60)
    between.rule = once("update", "pointer", "pass", lambda: direct.publish(1, generation))
    await view.remove(MS + 1)
    assert await direct.sums(generation, Query(PAGES)) == {(): (2, 2, 2)}


async def test_a_removal_that_is_cut_short_is_carried_on(
    place: Mongo, view: BatchView, direct: BatchView, between: Between, clock: ManualClock
) -> None:
    await next_of(direct)
    clock.advance(60)
    between.rule = once("delete", "pages", "lose")
    with pytest.raises(Unavailable):
        await view.remove(MS + 1)
    with pytest.raises(ValueError, match="not staged"):
        await direct.sizes([segment(f"new-{MS}", 1, 2)])
    await direct.remove(MS + 1)
    server = await driver.Server.open(place.url)
    assert await server.count("pages", {}) == 1
    assert await server.count("segments", {}) == 1
    await server.close()


# What is asked for


async def test_every_request_has_its_time_and_its_concern(
    view: BatchView, between: Between, clock: ManualClock
) -> None:
    seen: list[dict[str, Any]] = []

    async def rule(command: dict[str, Any]) -> Fate:
        seen.append(command)
        return "pass"

    between.rule = rule
    generation = await next_of(view)
    await view.publish(1, generation)
    await view.top(generation, Query(PAGES, ("title",)), measure="edits", limit=1)
    await view.remove(MS + 1)
    await view.size()
    asked = [c for c in seen if c and next(iter(c)) not in ITS_OWN]
    assert {next(iter(c)) for c in asked} >= {"find", "aggregate", "insert", "update"}
    for command in asked:
        assert 0 < command["maxTimeMS"] <= driver.REQUEST_WITHIN_MS, command
        if next(iter(command)) in {"insert", "update", "delete"}:
            assert command["writeConcern"] == {"w": "majority", "j": True}
        elif next(iter(command)) in {"find", "aggregate"}:
            assert command["readConcern"]["level"] == "majority"


@pytest.mark.parametrize("url", ["mongodb://127.0.0.1:1", "postgres://x/y", "mongodb://[/"])
async def test_a_url_without_a_database_is_none(url: str, clock: ManualClock) -> None:
    with pytest.raises(ValueError, match="mongodb://host:port/database"):
        await MongoBatchView.open(url, clock)
