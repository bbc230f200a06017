"""BatchView on MongoDB, through Motor (see `driver`).

A document for each row, in one collection per view, with the number of its segment. Publishing and
removing go through one document, the pointer (see `pointer`), and what a generation is made of lies under numbers
that are never used again (see `parts`). A reader looks up the numbers of its generation, asks for their
rows, and then looks whether the generation is still kept: if not, some may have been missing, and it is `Gone`.

Sums are made by the server (see `pipelines`). The topics of pages are looked up and counted here, since
a page map is no column of the rows.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from functools import reduce
from itertools import islice, pairwise, product
from typing import TYPE_CHECKING, Final, Self

import msgspec

from services.shared.batchview import asking, parts, pipelines, pointer
from services.shared.batchview.driver import BATCH, Document, Server
from services.shared.batchview.layout import clustered
from services.shared.batchview.parts import PAGE_TOPICS, REGISTERS, SEGMENTS
from services.shared.batchview.pointer import Listed, Pointer
from services.shared.batchview.port import BatchView, Gone, PageOfDay, Run, Superseded
from services.shared.domain import hll
from services.shared.domain.generation import Generation, Segment
from services.shared.domain.query import Condition, Having, OneOf, Query
from services.shared.domain.topics import Page, PageMap, TopicModel
from services.shared.domain.views import (
    BY_NAME,
    PAGES,
    VIEWS,
    Key,
    Measures,
    Registers,
    Rows,
)
from services.shared.runtime import crash
from services.shared.runtime.clock import Clock

RUNS: Final = "runs"
RUNS_KEPT: Final = 5_000


class MongoBatchView:
    def __init__(self, server: Server, clock: Clock) -> None:
        self._server = server
        self._clock = clock

    @classmethod
    async def open(cls, url: str, clock: Clock) -> Self:
        """`mongodb://host:port/database`. Raises ValueError if it is no such URL, and `Unavailable`."""
        server = await Server.open(url)
        try:
            for view in VIEWS:
                await server.index(view.name, "segment", *clustered(view))
            await server.index(REGISTERS, "segment", "day", "of", "project")
            await server.index(PAGE_TOPICS, "project", "title")
            await server.index(PAGE_TOPICS, "page_map")
            await server.index(parts.MODEL_BYTES, "topic_model", "place")
            await server.index(RUNS, "started_at", "_id")
            await pointer.make_sure(server)
        except BaseException:
            await server.close()
            raise
        return cls(server, clock)

    async def close(self) -> None:
        await self._server.close()

    def _now(self) -> int:
        return round(self._clock.now() * 1000)

    # Generations

    async def begin(self, generation: Generation) -> Generation:
        first = _entry(generation, uuid.uuid4().hex, (), 0, 0)

        async def decide(found: Pointer) -> Pointer:
            return found if found.listed else replace(found, listed=(first,))

        pointed = await pointer.change(self._server, decide, first.attempt)
        return pointed.listed[-1].generation

    async def current(self) -> Generation | None:
        listed = (await pointer.read(self._server)).listed
        return listed[-1].generation if listed else None

    async def generation(self, number: int) -> Generation:
        return (await self._listed(number)).generation

    async def generations(self) -> list[Generation]:
        return [entry.generation for entry in (await pointer.read(self._server)).listed]

    async def publish(self, expected: int, generation: Generation) -> None:
        attempt = uuid.uuid4().hex

        async def decide(found: Pointer) -> Pointer:
            if not found.listed or found.listed[-1].number != expected:
                raise Superseded(f"generation {expected} is no longer the current one")
            if generation.number <= expected:
                raise ValueError(f"generation {generation.number} does not follow {expected}")
            ids = [segment.id for segment in generation.segments]
            numbers = tuple((await parts.segments(self._server, ids, found)).values())
            page_map, model = await parts.checked(self._server, generation, found)
            crash.point("batchview.publishing")
            new = _entry(generation, attempt, numbers, page_map, model)
            return replace(found, listed=(*found.listed, new))

        await pointer.change(self._server, decide, attempt)

    async def remove(self, superseded_before: int) -> None:
        async def decide(found: Pointer) -> Pointer:
            old = {
                a.number
                for a, b in pairwise(found.listed)
                if b.generation.published_at < superseded_before
            }
            kept = replace(found, listed=tuple(e for e in found.listed if e.number not in old))
            doomed = await parts.doomed(self._server, kept, superseded_before)
            return replace(kept, removing=_joined(found.removing, doomed))

        removing = (await pointer.change(self._server, decide)).removing
        await parts.remove(self._server, removing)

        async def removed(found: Pointer) -> Pointer:
            return replace(found, removing=_without(found.removing, removing))

        await pointer.change(self._server, removed)

    async def _listed(self, number: int) -> Listed:
        found = await pointer.listed(self._server, number)
        if found is None:
            raise _gone(number)
        return found

    @asynccontextmanager
    async def _reading(self, generation: Generation) -> AsyncIterator[Listed]:
        """The parts of a generation; `Gone` if it is not kept, also if it is no longer at the end."""
        yield await self._listed(generation.number)
        if not await pointer.keeps(self._server, generation.number):
            raise _gone(generation.number)

    # Segments

    async def stage(
        self,
        segment: Segment,
        rows: Mapping[str, Iterable[tuple[Key, Measures]]],
        registers: Registers,
    ) -> None:
        number = await self._start(segment)
        total, days = 0, set[int]()
        for name, items in rows.items():
            view = BY_NAME[name]
            made = (pipelines.document(view, number, *row) for row in items)
            total += await self._add(name, made, days)
        made = (pipelines.registers_document(number, *row) for row in registers.items())
        total += await self._add(REGISTERS, made, set())
        await parts.finish(self._server, SEGMENTS, number, rows=total, days=sorted(days))

    async def combine(
        self,
        segments: Sequence[Segment],
        into: Segment,
        *,
        minutes_from: int,
        days: Sequence[int] | None = None,
    ) -> None:
        async with self._staged(segments) as sources:
            wanted = await asking.days(self._server, sources)
            if days is not None:
                wanted = sorted(set(wanted) & set(days))
            number = await self._start(into)
            total, held = 0, set[int]()
            for view, day in product(VIEWS, wanted):
                within = pipelines.answered(view, pipelines.within(sources, [day]), minutes_from)
                async for batch in asking.groups(self._server, Query(view, view.keys), within):
                    made = (pipelines.document(view, number, *row) for row in batch)
                    total += await self._add(view.name, made, held)
                    crash.point("batchview.copying")
            for day in wanted:
                joined = await asking.joined(self._server, pipelines.within(sources, [day]))
                made = (pipelines.registers_document(number, *row) for row in joined.items())
                total += await self._add(REGISTERS, made, set())
        await parts.finish(self._server, SEGMENTS, number, rows=total, days=sorted(held))

    async def sizes(self, segments: Sequence[Segment]) -> list[int]:
        async with self._staged(segments) as numbers:
            found = await parts.described(self._server, SEGMENTS, numbers)
            return [int(found[number]["rows"]) for number in numbers]

    async def rows(
        self, segments: Sequence[Segment], view: str, days: Sequence[int]
    ) -> list[tuple[Key, Measures]]:
        declared = BY_NAME[view]
        query = Query(declared, declared.keys)
        async with self._staged(segments) as numbers:
            within = pipelines.within(numbers, days)
            return [
                row async for batch in asking.groups(self._server, query, within) for row in batch
            ]

    async def day_registers(self, segments: Sequence[Segment], days: Sequence[int]) -> Registers:
        async with self._staged(segments) as numbers:
            return await asking.joined(self._server, pipelines.within(numbers, days))

    async def pages(
        self, segment: Segment, *, limit: int, after: PageOfDay | None = None
    ) -> list[PageOfDay]:
        found: dict[tuple[int, str, str], PageOfDay] = {}
        columns = ("day", "project", "title")
        last = dict(zip(columns, after[:3], strict=True)) if after else {}
        order = [(column, 1) for column in columns]
        async with self._staged([segment]) as (number,):
            where = pipelines.behind({"segment": number}, last)
            rows = self._server.find(PAGES.name, where, *columns, "page_class", sort=order)
            async with aclosing(rows):
                async for batch in rows:
                    for page in map(_page_of_day, batch):
                        found[page[:3]] = min(page, found.get(page[:3], page))
                    if len(found) > limit:  # and the last one may have more rows to come
                        break
        return list(found.values())[:limit]

    async def _start(self, segment: Segment) -> int:
        listed = (await pointer.read(self._server)).listed
        if any(segment.id == s.id for entry in listed for s in entry.generation.segments):
            raise ValueError(f"segment {segment.id} is part of a generation and cannot change")
        return await parts.start(self._server, SEGMENTS, segment.id, self._now(), rows=0, days=[])

    async def _add(self, collection: str, made: Iterator[Document], days: set[int]) -> int:
        """Store rows; how many there were. Their days come to the others."""
        total = 0
        # Where rows come from may take its time: not in the event loop.
        while piece := await asyncio.to_thread(lambda: list(islice(made, BATCH))):
            days.update(document["day"] for document in piece)
            await self._server.insert(collection, piece)
            total += len(piece)
            crash.point("batchview.staging")
        return total

    @asynccontextmanager
    async def _staged(self, segments: Sequence[Segment]) -> AsyncIterator[list[int]]:
        """The numbers of whole segments; ValueError if they are not there, or no longer at the end."""
        ids = [segment.id for segment in segments]
        numbers = await parts.segments(self._server, ids, await pointer.read(self._server))
        yield list(numbers.values())
        if numbers != await parts.segments(self._server, ids, await pointer.read(self._server)):
            raise ValueError(f"segments staged again meanwhile: {', '.join(ids)}")

    # Topics

    async def stage_model(self, model: TopicModel) -> None:
        at, body = await pointer.read(self._server), msgspec.msgpack.encode(model)
        await parts.stage_model(self._server, model.id, body, at, self._now())

    async def model(self, model_id: str) -> TopicModel:
        body = await parts.model(self._server, model_id, await pointer.read(self._server))
        return msgspec.msgpack.decode(body, type=TopicModel)

    async def stage_map(self, page_map: PageMap, pages: Mapping[Page, int]) -> int:
        at = await pointer.read(self._server)
        return await parts.stage_map(self._server, page_map, pages, at, self._now())

    async def topics_of(self, generation: Generation, pages: Collection[Page]) -> dict[Page, int]:
        async with self._reading(generation) as listed:
            return await parts.topics(self._server, await parts.chain(self._server, listed), pages)

    # Answers

    async def sums(self, generation: Generation, query: Query) -> Rows:
        async with self._reading(generation) as listed:
            return await asking.sums(self._server, listed, query)

    async def top(
        self, generation: Generation, query: Query, *, measure: str, limit: int
    ) -> list[tuple[Key, Measures]]:
        at = query.view.measures.index(measure)
        async with self._reading(generation) as listed:
            return await asking.top(self._server, listed, query, at, limit)

    async def count(self, generation: Generation, query: Query, having: Having) -> int:
        if having.measure not in query.view.measures:
            raise ValueError(f"view {query.view.name} has no measure {having.measure}")
        async with self._reading(generation) as listed:
            return await asking.count(self._server, listed, query, having)

    async def registers(self, generation: Generation, of: str, where: Sequence[Condition]) -> bytes:
        async with self._reading(generation) as listed:
            joined = await asking.registers(self._server, listed, (OneOf("of", (of,)), *where))
        return await asyncio.to_thread(reduce, hll.add, joined.values(), b"")

    async def days(self, generation: Generation) -> list[int]:
        async with self._reading(generation) as listed:
            return await asking.days(self._server, listed.segments)

    # Runs

    async def record(self, run: Run) -> None:
        body = msgspec.json.encode(run)
        await self._server.put(RUNS, {"_id": run.id, "started_at": run.started_at, "body": body})
        newest = [("started_at", -1), ("_id", -1)]
        async for batch in self._server.find(
            RUNS, {}, "_id", sort=newest, skip=RUNS_KEPT, limit=BATCH
        ):
            await self._server.delete(RUNS, {"_id": {"$in": [old["_id"] for old in batch]}})

    async def runs(self, *, limit: int = 50) -> list[Run]:
        newest = [("started_at", -1), ("_id", -1)]
        found = self._server.find(RUNS, {}, "body", sort=newest, limit=limit)
        return [msgspec.json.decode(row["body"], type=Run) async for rows in found for row in rows]

    async def size(self) -> int:
        return await self._server.size()


def _entry(
    generation: Generation, attempt: str, segments: tuple[int, ...], page_map: int, model: int
) -> Listed:
    body = msgspec.json.encode(generation)
    return Listed(generation.number, attempt, segments, page_map, model, body)


def _page_of_day(row: Document) -> PageOfDay:
    day, *texts = (pipelines.plain(column, row[column]) for column in PageOfDay._fields)
    return PageOfDay(int(day), *map(str, texts))


def _without(
    a: Mapping[str, frozenset[int]], b: Mapping[str, frozenset[int]]
) -> dict[str, frozenset[int]]:
    return {k: left for k, numbers in a.items() if (left := numbers - b.get(k, frozenset()))}


def _gone(number: int) -> Gone:
    return Gone(f"generation {number} is no longer kept")


def _joined(
    a: Mapping[str, frozenset[int]], b: Mapping[str, frozenset[int]]
) -> dict[str, frozenset[int]]:
    empty: frozenset[int] = frozenset()
    return {k: both for k in {*a, *b} if (both := a.get(k, empty) | b.get(k, empty))}


if TYPE_CHECKING:
    _: type[BatchView] = MongoBatchView
