"""Answers from the parts of one generation on MongoDB. Whether it is still kept is for the caller to see.

The server makes the sums. It may not know the first of equals (see `pipelines`), nor the topics of pages: those
are looked up, and counted here.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing

from services.shared.batchview import parts, pipelines, topical
from services.shared.batchview.driver import Document, Server
from services.shared.batchview.layout import days_asked
from services.shared.batchview.pipelines import Row
from services.shared.batchview.pointer import Listed
from services.shared.domain.query import Condition, Having, Query
from services.shared.domain.views import TOPICS, Registers, Rows, add_row


async def sums(server: Server, listed: Listed, query: Query) -> Rows:
    total: Rows = {}
    if query.view is TOPICS:
        await _by_topic(server, listed, query, total)
    else:
        within = await _within(server, listed, query)
        for piece in pipelines.pieces(query):
            async for batch in groups(server, piece, within):
                for row in batch:
                    add_row(total, *row)
    return total


async def top(server: Server, listed: Listed, query: Query, at: int, limit: int) -> list[Row]:
    """The first by the measure at `at`."""
    if not _is_one_request(query):
        found = await sums(server, listed, query)
        return pipelines.first(found.items(), at, limit)
    within = await _within(server, listed, query)
    largest = pipelines.descending(query.view.measures[at])
    best: list[Row] = []
    # All that equal the last of the first may be the last: they are read to their end.
    async with aclosing(groups(server, query, within, largest)) as batches:
        async for batch in batches:
            best = pipelines.first([*best, *batch], at, limit)
            if not best or (len(best) == limit and batch[-1][1][at] < best[-1][1][at]):
                break
    return best


async def count(server: Server, listed: Listed, query: Query, having: Having) -> int:
    if not _is_one_request(query):
        return pipelines.number(await sums(server, listed, query), query, having)
    within = await _within(server, listed, query)
    pipeline = [*pipelines.sums(query, within), *pipelines.counted(having)]
    found = server.aggregate(query.view.name, pipeline)
    return sum([int(row["n"]) async for batch in found for row in batch])


async def registers(server: Server, listed: Listed, where: Sequence[Condition]) -> Registers:
    asked = pipelines.conditions(where)
    held = days_asked(await days(server, listed.segments), where)
    return await joined(server, [*pipelines.within(listed.segments, held), *asked])


async def days(server: Server, segments: Iterable[int]) -> list[int]:
    """Event days that the segments have rows of."""
    found = await parts.described(server, parts.SEGMENTS, segments)
    return sorted({int(day) for part in found.values() for day in part["days"]})


async def groups(
    server: Server, query: Query, within: Sequence[Document], then: Sequence[Document] = ()
) -> AsyncGenerator[list[Row], None]:
    """The rows of a query, batch by batch."""
    pipeline = [*pipelines.sums(query, within), *then]
    async with aclosing(server.aggregate(query.view.name, pipeline)) as batches:
        async for batch in batches:
            yield list(pipelines.rows(query, batch))


async def joined(server: Server, where: Sequence[Document]) -> Registers:
    """Registers that meet the conditions, added up by key."""
    total: Registers = {}
    async for batch in server.find(parts.REGISTERS, {"$and": list(where)}):
        await asyncio.to_thread(pipelines.join_registers, total, batch)
    return total


async def _by_topic(server: Server, listed: Listed, query: Query, total: Rows) -> None:
    by_page = topical.by_page(query)
    chain = await parts.chain(server, listed)
    within = await _within(server, listed, by_page)
    for piece in pipelines.pieces(by_page):
        async for batch in groups(server, piece, within):
            known = await parts.topics(server, chain, topical.pages(batch))
            for row in topical.rows(query, batch, known):
                add_row(total, *row)


async def _within(server: Server, listed: Listed, query: Query) -> list[Document]:
    held = days_asked(await days(server, listed.segments), query.where)
    within = pipelines.within(listed.segments, held)
    return pipelines.answered(query.view, within, listed.generation.minutes_from)


def _is_one_request(query: Query) -> bool:
    return query.view is not TOPICS and len(pipelines.pieces(query)) == 1
