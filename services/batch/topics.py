"""The step that says what the pages are about: model and page map of the generation to come.

A model stays for as long as it is of use: a run gives the pages of its new segment the topics that the
model says, and that is all. A new one is made when there is none, when the pages have doubled, when it is
old, or when the text analysis has changed: from a bounded sample, in a process of its own (`fit`); then
every page is assigned again, in a stream. Doubling makes that a constant cost for each page that is new.

Topics are a guess and counts are not: where no model can be made the run goes on without, or
with the one there was.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from services.batch import sample as sampling
from services.batch.fitting import fitted
from services.batch.sample import Categories, Sample, Task
from services.batch.work import Skipped, Work, in_thread
from services.shared.batchview.port import PageOfDay
from services.shared.domain.generation import Generation, Segment
from services.shared.domain.positions import Span
from services.shared.domain.topics import Page, PageMap, TopicModel, assign
from services.shared.lake.port import DEFINED
from services.shared.runtime import memory
from services.shared.text import TEXT_VERSION

LEAST_PAGES: Final = 100
"""Of fewer pages nothing can be said."""
GROWTH: Final = 2
CATEGORISED: Final = 100_000
"""Pages whose categories are in memory at once."""
_COLUMNS: Final = ("type", "project", "title", "comment")


class Mapped(NamedTuple):
    """A model and the map, of so many pages, that says what they are about by it."""

    model: TopicModel
    page_map: str
    pages: int


async def topics(work: Work) -> None:
    staged = work.staged
    if staged is None:
        raise Skipped
    if not work.options.topic_sample:
        work.staged = replace(staged, topic_model="", topic_map="")
        raise Skipped
    mapped = await _extended(work, staged)
    if mapped is None or _is_due(work, mapped):
        mapped = await _renewed(work, staged) or mapped
    if mapped is not None:
        work.staged = replace(staged, topic_model=mapped.model.id, topic_map=mapped.page_map)


async def _extended(work: Work, staged: Generation) -> Mapped | None:
    """Give the pages of the new segments topics of the model that there is, if there is one."""
    if not staged.topic_model:
        return None
    model = await work.batchview.model(staged.topic_model)
    new = [segment for segment in staged.segments if segment not in work.base.segments]
    known = await _categories(work, Span(work.base.horizon, staged.horizon))
    return await _mapped(work, model, new, known, staged.topic_map)


def _is_due(work: Work, mapped: Mapped) -> bool:
    """Whether it is time for another model."""
    model = mapped.model
    aged = work.now() - model.made_at >= work.options.topic_age
    grown = mapped.pages >= GROWTH * model.pages
    return aged or grown or model.text_version != TEXT_VERSION


async def _renewed(work: Work, staged: Generation) -> Mapped | None:
    """Make another model and assign all pages by it; None where that can't be done."""
    pages = Sample[str](work.options.topic_sample)
    for segment in staged.segments:
        async for some in _pages(work, segment):
            await asyncio.to_thread(_offer, pages, some)
            await work.advance(0, 0)
    distinct = await asyncio.to_thread(pages.settle)
    if distinct < LEAST_PAGES:
        return None
    known = await _categories(work, Span(staged.segments[0].since, staged.horizon))
    described = await asyncio.to_thread(lambda: list(sampling.described(pages, known)))
    await asyncio.to_thread(memory.give_back)  # what counting took: two processes need room now
    model = await fitted(Task(TEXT_VERSION, work.now(), distinct, described), work.stop)
    if model is None:
        return None
    await work.batchview.stage_model(model)
    return await _mapped(work, model, staged.segments, known, "")


def _offer(sample: Sample[str], pages: Iterable[PageOfDay]) -> None:
    for _, project, title, page_class in pages:
        sample.offer(Page(project, title), page_class)


async def _pages(work: Work, segment: Segment) -> AsyncIterator[list[PageOfDay]]:
    """The pages of a staged segment in pieces."""
    limit, last = work.options.piece, None
    while some := await work.batchview.pages(segment, limit=limit, after=last):
        yield some
        last = some[-1]


async def _categories(work: Work, span: Span) -> Categories:
    """What the lake says at these positions of categories that pages were put into."""
    known = Categories(CATEGORISED)
    pieces = work.lake.scan(DEFINED, _COLUMNS, span=span)
    async for piece in in_thread(pieces):
        await asyncio.to_thread(_learn, known, piece)
        await work.advance(0, 0)
    return known


def _learn(known: Categories, defined: pa.Table) -> None:
    of = defined.filter(pc.equal(defined["type"], pa.scalar("categorize")))
    columns: list[list[Any]] = [of[name].to_pylist() for name in _COLUMNS[1:]]
    sampling.categorised(known, *columns)


async def _mapped(
    work: Work, model: TopicModel, segments: Sequence[Segment], known: Categories, after: str
) -> Mapped:
    """Extend the map `after` by the pages of the segments."""
    total = 0
    for segment in segments:
        async for some in _pages(work, segment):
            page_map = PageMap(work.name(), model.id, after)
            assigned = await asyncio.to_thread(_assigned, model, known, some)
            total = await work.batchview.stage_map(page_map, assigned)
            after = page_map.id
            await work.advance(len(some), len(assigned))
    return Mapped(model, after, total)


def _assigned(model: TopicModel, known: Categories, pages: Iterable[PageOfDay]) -> dict[Page, int]:
    found: dict[Page, int] = {}
    for _, project, title, page_class in pages:
        page = Page(project, title)
        if page not in found:
            words = sampling.words(page, page_class, known)
            found[page] = assign(model, (word.stem for word in words))
    return found
