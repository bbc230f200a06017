"""The speed view on Elasticsearch (documents: see `fields`; the state and its index: `cluster`).

There are no transactions, so three orders make a write whole. Documents go in first, in any order and any
number of times, because the version of a document grows as its position falls. A refresh makes all of them
found. Only then does the visible position move, by compare-and-set, and nobody is answered beyond it. What a
writer leaves behind that dies in between is not seen, and is written over by whoever repeats it.

An answer is checked after it was given: the state must vouch for its span then, and its index must still
be the one that was asked. Within one `begin` the floor only rises and W never goes back, so what holds
before and after held in between. What is let go of is no longer vouched for before it is touched.

One index holds all: the port removes by position and counts what it removes, so an index per day would be
emptied document by document as well, and a recording of years would need thousands of them. `begin` makes
a new index, so a writer that comes late to an emptied view writes to an index that is gone.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from services.shared.domain.positions import Vector, lower, reaches, zero
from services.shared.domain.query import Query
from services.shared.domain.views import Rows
from services.shared.runtime import crash
from services.shared.runtime.bell import Bell
from services.shared.runtime.unavailable import Unavailable
from services.shared.speedview import asking, bulk, fields, places
from services.shared.speedview.cluster import Cluster, Lost, Standing, State
from services.shared.speedview.port import (
    BegunAnew,
    Indexed,
    Place,
    Search,
    SpeedView,
    Visible,
    check_vouched,
)

T = TypeVar("T")

_LOOK: Final = 0.04
"""Seconds after which a follower looks without having heard the bell, which rings on one machine only."""
_REMOVED_AT_ONCE: Final = 5_000
_TOMBSTONES: Final = 0.5
"""Seconds. What was removed keeps a later copy out until the server's clock has gone on, which it reads
five times a second."""


class ElasticSpeedView:
    """SpeedView on Elasticsearch; guarantees in `port`."""

    def __init__(self, cluster: Cluster, bell: Bell) -> None:
        self._cluster = cluster
        self._bell = bell

    @classmethod
    async def open(
        cls, url: str, *, api_key: str | None = None, ca_file: Path | None = None
    ) -> Self:
        """The view at `http(s)://[user:password@]host:port[/prefix]`; `prefix` (bvw) begins the names of
        its indices. Nothing is asked of the server yet.
        """
        cluster = await asyncio.to_thread(Cluster.of, url, api_key=api_key, ca_file=ca_file)
        return cls(cluster, Bell(Path("/") / cluster.name.replace("/", "_"), "speed"))

    async def begin(
        self, log: str, floor: Vector, rebuilding_until: Vector | None, *, text_version: int
    ) -> None:
        while True:
            await self._cluster.prepare()
            standing = await self._cluster.standing()
            name, uuid = await self._cluster.new_index()
            begun = State(
                name, uuid, log, floor, zero(len(floor)), floor, rebuilding_until, text_version
            )
            if await self._cluster.swap(standing, begun):
                break
            await self._cluster.remove(name)  # somebody else has begun it meanwhile
        await self._cluster.remove_before(name)
        self._bell.ring()

    async def visible(self) -> Visible | None:
        standing = await self._standing()
        return None if standing is None else standing.state.visible()

    async def follow(self) -> AsyncGenerator[Visible, None]:
        async with self._bell.listen() as listener:
            told: Visible | None = None
            while True:
                standing = await self._cluster.standing()
                if standing is not None and standing.state.visible() != told:
                    visible = await self.visible()
                    if visible is not None and visible != told:
                        yield visible
                        told = visible
                        continue
                await listener.wait(_LOOK)

    async def write(
        self, documents: Sequence[Indexed], since: Vector, until: Vector, times: Vector
    ) -> None:
        while not await self._written(documents, since, until, times):
            pass

    async def sums(self, query: Query, since: Vector, until: Vector) -> Rows:
        if reaches(since, until):
            return {}
        body = asking.sums(query, since, until)

        async def ask(index: str) -> Rows:
            page = await self._page(index, body)
            if asking.is_last(page):
                return await asyncio.to_thread(asking.rows, query, [page])
            return await asyncio.to_thread(asking.rows, query, await self._pages(index, body))

        return await self._answer(since, until, ask)

    async def search(
        self,
        search: Search,
        since: Vector,
        until: Vector,
        *,
        limit: int,
        after: Place | None = None,
    ) -> list[Indexed]:
        return await self._found(
            asking.search(search, since, until, limit=limit, after=after), since, until
        )

    async def scan(
        self, search: Search, since: Vector, until: Vector, *, limit: int
    ) -> list[Indexed]:
        return await self._found(asking.scan(search, since, until, limit=limit), since, until)

    async def oldest(self) -> int | None:
        visible = await self.visible()
        if visible is None:
            return None
        first = await self.scan(Search(), visible.floor, visible.positions, limit=1)
        return first[0].appended_at if first else None

    async def shrink(self, before: Vector, times: Vector) -> int:
        return await self._let_go(before, times, whole=True)

    async def forget(self, times: Vector) -> int:
        everything = (1 << places.OFFSET_BITS,) * len(times)
        forgotten = await self._let_go(everything, times, whole=False)
        if forgotten:
            await asyncio.sleep(_TOMBSTONES)
        return forgotten

    async def size(self) -> int:
        standing = await self._cluster.standing()
        return 0 if standing is None else await self._cluster.bytes(standing.state.index)

    async def close(self) -> None:
        await self._bell.close()
        await self._cluster.client.close()

    # Where the view stands

    async def _standing(self) -> Standing | None:
        """None for a view that has not begun, or whose documents are lost."""
        while (standing := await self._cluster.standing()) is not None:
            if await self._cluster.holds(standing.state):
                return standing
            now = await self._cluster.standing()
            if now is not None and now.state.uuid == standing.state.uuid:
                return None
        return None

    async def _following(self, since: Vector) -> Standing:
        """Raises `BegunAnew` unless a batch that begins at `since` follows the visible position."""
        standing = await self._standing()
        if standing is None:
            if not any(since):
                raise ValueError("the speed view has not begun")
            raise BegunAnew(since, zero(len(since)))  # it is lost
        if not reaches(standing.state.positions, since):
            raise BegunAnew(since, standing.state.positions)
        return standing

    async def _vouching(self, since: Vector, until: Vector) -> State:
        standing = await self._cluster.standing()
        check_vouched(None if standing is None else standing.state.visible(), since, until)
        assert standing is not None  # noqa: S101 - nobody asks for an empty span
        return standing.state

    # Writing

    async def _written(
        self, documents: Sequence[Indexed], since: Vector, until: Vector, times: Vector
    ) -> bool:
        """False if the view has been begun anew meanwhile, and the batch may follow it all the same."""
        standing = await self._following(since)
        index = standing.state.index
        if documents:
            try:
                await bulk.send(self._cluster.client, index, documents, fields.written)
                await self._cluster.refresh(index)
            except Lost:
                return False
        crash.point("speed.in-write")
        moved = await self._set(standing, lambda state: state.moved(until, times))
        self._bell.ring()
        return moved is not None

    async def _set(self, standing: Standing, change: Callable[[State], State]) -> State | None:
        """The state as changed, over whatever others have changed; None if it is of another beginning."""
        now: Standing | None = standing
        while now is not None and now.state.uuid == standing.state.uuid:
            state = change(now.state)
            if await self._cluster.swap(now, state):
                return state
            now = await self._cluster.standing()
        return None

    # Answering

    async def _answer(self, since: Vector, until: Vector, ask: Callable[[str], Awaitable[T]]) -> T:
        state = await self._vouching(since, until)
        answer = await ask(state.index)
        after, held = await asyncio.gather(self._vouching(since, until), self._cluster.holds(state))
        if not held or after.uuid != state.uuid:
            raise Unavailable("the speed view has been begun anew, or its documents are lost")
        return answer

    async def _found(self, body: Mapping[str, Any], since: Vector, until: Vector) -> list[Indexed]:
        if reaches(since, until):
            return []

        async def ask(index: str) -> list[Indexed]:
            found = await self._cluster.search(index, body)
            return await asyncio.to_thread(_documents, found["hits"]["hits"])

        return await self._answer(since, until, ask)

    async def _page(self, index: str | None, body: Mapping[str, Any]) -> Mapping[str, Any]:
        found = await self._cluster.search(index, body)
        page: Mapping[str, Any] = found["aggregations"]["rows"]
        return page

    async def _pages(self, index: str, body: asking.Body) -> list[Mapping[str, Any]]:
        """All pages as of one moment: a copy that is beaten in between is in one bucket, not in two."""
        async with self._cluster.moment(index) as moment:
            body = body | moment
            pages = [await self._page(None, body)]
            while not asking.is_last(pages[-1]):
                body = asking.after(body, pages[-1])
                pages.append(await self._page(None, body))
            return pages

    # Letting go

    async def _let_go(self, before: Vector, times: Vector, *, whole: bool) -> int:
        """Reduces whole documents, or removes all, before the positions and appended before the times."""
        standing = await self._standing()
        if standing is None:
            return 0
        index, bounds = standing.state.index, lower(before, standing.state.positions)
        reached = await self._reached(index, bounds, times)
        state = await self._set(standing, lambda state: state.risen(reached))
        if state is None:
            return 0
        self._bell.ring()
        spans = places.spans(zero(len(bounds)), lower(bounds, state.floor))
        query = asking.any_of(
            [
                asking.appended_before(span, time, whole=whole)
                for span, time in zip(spans, times, strict=True)
            ]
        )
        return await self._removed(index, asking.ids(query, _REMOVED_AT_ONCE), whole=whole)

    async def _reached(self, index: str, bounds: Vector, times: Vector) -> Vector:
        """The positions before which whole documents are among those to let go of."""
        reached = list(zero(len(bounds)))
        for partition, span in enumerate(places.spans(zero(len(bounds)), bounds)):
            query = asking.appended_before(span, times[partition], whole=True)
            for hit in (await self._cluster.search(index, asking.last(query)))["hits"]["hits"]:
                reached[partition] = places.position(hit["_source"]["place"]).offset + 1
        return tuple(reached)

    async def _removed(self, index: str, body: asking.Body, *, whole: bool) -> int:
        removed, lines = 0, _reduced if whole else _forgotten
        while hits := (await self._cluster.search(index, body))["hits"]["hits"]:
            removed += await bulk.send(self._cluster.client, index, hits, lines)
            await self._cluster.refresh(index)
        return removed


if TYPE_CHECKING:
    _: type[SpeedView] = ElasticSpeedView


def _documents(hits: Sequence[Mapping[str, Any]]) -> list[Indexed]:
    return [fields.indexed(hit["_id"], hit["_source"]) for hit in hits]


def _reduced(hit: Mapping[str, Any]) -> bytes:
    source = hit["_source"]
    return fields.reduced(hit["_id"], source["place"], source["appended_at"])


def _forgotten(hit: Mapping[str, Any]) -> bytes:
    return fields.forgotten(hit["_id"], hit["_source"]["place"])
