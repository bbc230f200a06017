"""The speed part of questions about topics: pages counted by the speed view, grouped by their topic.

The speed view knows pages and no topics, so it is asked about pages. Those that batch knows have the
topic that the pinned generation's map says; the others are assigned here, by the pinned generation's
model. So both parts of an answer speak of the same topics, whatever is published meanwhile.
"""

import asyncio
from collections.abc import Container
from typing import Final

from services.shared.batchview.port import BatchView
from services.shared.documents import page_words
from services.shared.domain.generation import Generation
from services.shared.domain.query import OneOf, Query
from services.shared.domain.topics import NONE, Page, TopicModel, assign
from services.shared.domain.views import PAGES, Rows

_PAGE: Final = ("project", "title", "page_class")
_MODELS: Final = 2
"""That are kept in memory: the current one, and the one before for readers with an old pin."""


class Topics:
    def __init__(self, batch: BatchView) -> None:
        self._batch = batch
        self._models: dict[str, TopicModel] = {}

    async def model(self, generation: Generation) -> TopicModel | None:
        """The generation's model. Raises `Gone`."""
        name = generation.topic_model
        if name and name not in self._models:
            self._models[name] = await self._batch.model(name)
            if len(self._models) > _MODELS:
                del self._models[next(iter(self._models))]
        return self._models[name] if name else None

    async def grouped(self, generation: Generation, query: Query, pages: Rows) -> Rows:
        """Rows of `of_pages(query)` as the rows of `query`. Raises `Gone`."""
        known = await self._topics_of(generation, pages)
        return await asyncio.to_thread(_grouped, query, pages, known)

    async def _topics_of(self, generation: Generation, pages: Rows) -> dict[Page, int]:
        model = await self.model(generation)
        classes = _classes(pages)
        if model is None:
            return {}
        known = await self._batch.topics_of(generation, classes)
        new = {page: of for page, of in classes.items() if page not in known}
        return known | await asyncio.to_thread(_assigned, model, new)


def of_pages(query: Query) -> Query:
    """The question about pages whose rows tell all that the question about topics needs."""
    group = dict.fromkeys((*_PAGE, *(name for name in query.group if name != "topic")))
    where = tuple(condition for condition in query.where if condition.column != "topic")
    return Query(PAGES, tuple(group), where)


def _classes(pages: Rows) -> dict[Page, str]:
    """Every page with its class, the first of several, as batch has it."""
    found: dict[Page, str] = {}
    for project, title, page_class, *_ in pages:
        page = Page(str(project), str(title))
        found[page] = min(str(page_class), found.get(page, str(page_class)))
    return found


def _assigned(model: TopicModel, pages: dict[Page, str]) -> dict[Page, int]:
    return {
        page: assign(model, (word.stem for word in page_words(*page, page_class)))
        for page, page_class in pages.items()
    }


def _grouped(query: Query, pages: Rows, topics: dict[Page, int]) -> Rows:
    columns = of_pages(query).group
    wanted = _wanted(query)
    sums: Rows = {}
    for key, measures in pages.items():
        row = dict(zip(columns, key, strict=True))
        topic = topics.get(Page(str(row["project"]), str(row["title"])), NONE)
        if all(topic in values for values in wanted):
            group = tuple((row | {"topic": topic})[name] for name in query.group)
            old = sums.get(group, (0,) * len(measures))
            sums[group] = tuple(x + y for x, y in zip(old, measures, strict=True))
    return sums


def _wanted(query: Query) -> list[Container[int | str]]:
    """The topics that each condition on them lets through."""
    conditions = (condition for condition in query.where if condition.column == "topic")
    return [c.values if isinstance(c, OneOf) else range(c.low, c.high) for c in conditions]
