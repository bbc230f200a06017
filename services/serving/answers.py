"""The questions that both layers answer together, each at one pin.

The batch part of an answer depends on the generation alone, so it is kept in the cache by that; the
speed part is asked each time. A generation without segments has nothing to say and is not asked.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec

from services.serving import merge, topics
from services.serving.kept import kept
from services.serving.pin import Pin
from services.shared.batchview.port import BatchView, Gone
from services.shared.cache.port import Cache
from services.shared.domain import hll
from services.shared.domain.positions import upper
from services.shared.domain.query import Condition, Having, OneOf, Query
from services.shared.domain.topics import TopicModel
from services.shared.domain.views import BY_NAME, EDITS, TOPICS, Key, Rows, add, registers_of
from services.shared.speedview.port import Indexed, Place, Search, SpeedView

T = TypeVar("T")
_Rows = list[tuple[Key, tuple[int, ...]]]


class Answers:
    """Reads both views; of what they say it keeps nothing but topic models, which never change."""

    def __init__(self, speed: SpeedView, batch: BatchView, cache: Cache) -> None:
        self._speed = speed
        self._batch = batch
        self._cache = cache
        self._topics = topics.Topics(batch)

    async def sums(self, pin: Pin, query: Query) -> Rows:
        """The sum of both parts, per group."""
        return add(await self._batch_sums(pin, query), await self._speed_sums(pin, query))

    async def top(self, pin: Pin, query: Query, *, measure: str, limit: int) -> merge.Ranked:
        """The first `limit` groups of the sum, measure descending, key ascending."""
        column = query.view.measures.index(measure)
        speed = await self._speed_sums(pin, query)
        deep = merge.depth(speed, column, limit)
        batch = (
            await self._cached(
                f"{pin.batch_key}:top:{_named(query)}:{measure}:{deep}",
                lambda: self._batch.top(pin.generation, query, measure=measure, limit=deep),
                _Rows,
            )
            if pin.generation.segments
            else []
        )
        known = await self._known(pin, query, speed)
        return merge.top(batch, speed, known, measure=column, limit=limit)

    async def count(self, pin: Pin, query: Query, having: Having) -> int:
        """How many groups of the sum meet `having`: exact, the union of both parts."""
        speed = await self._speed_sums(pin, query)
        batch = (
            await self._cached(
                f"{pin.batch_key}:count:{_named(query)}:{having}",
                lambda: self._batch.count(pin.generation, query, having),
                int,
            )
            if pin.generation.segments
            else 0
        )
        known = await self._known(pin, query, speed)
        return merge.count(batch, speed, known, view=query.view, having=having)

    async def distinct(self, pin: Pin, of: str, where: Sequence[Condition]) -> bytes:
        """The registers of a view's distinct keys over both parts (an estimate: `hll.estimate`)."""
        view = BY_NAME[of]
        batch = (
            await self._cached(
                f"{pin.batch_key}:registers:{of}:{tuple(where)}",
                lambda: self._batch.registers(pin.generation, of, where),
                bytes,
            )
            if pin.generation.segments
            else b""
        )
        speed = await self._speed_sums(pin, Query(view, view.keys, tuple(where)))
        for registers in registers_of(view, speed).values():
            batch = hll.add(batch, registers)
        return batch

    async def model(self, pin: Pin) -> TopicModel | None:
        """The topic model that the pin stands on, None if there is none yet. Raises `Gone`."""
        return await self._topics.model(pin.generation)

    async def search(
        self, pin: Pin, search: Search, *, limit: int, after: Place | None
    ) -> list[Indexed]:
        """Documents that the speed view still holds whole, on both sides of the horizon. Raises `Gone`
        if some of those that the pin stands on have been let go of since.
        """
        if pin.shrunk:
            raise Gone("documents have been let go of since")
        return await self._speed.search(search, pin.floor, pin.visible, limit=limit, after=after)

    async def days(self, pin: Pin, project: str | None = None) -> list[int]:
        """The event days with changes (of the project), in order."""
        if project is None:
            query = Query(EDITS, ("day",))
            batch = await self._batch_days(pin)
        else:
            query = Query(EDITS, ("day",), (OneOf("project", (project,)),))
            batch = [int(key[0]) for key in await self._batch_sums(pin, query)]
        speed = [int(key[0]) for key in await self._speed_sums(pin, query)]
        return sorted({*batch, *speed})

    async def knows(self, pin: Pin, project: str) -> bool:
        """Whether the project has any change at all."""
        if (project,) in await self._batch_sums(pin, Query(EDITS, ("project",))):
            return True
        return bool(await self._speed_sums(pin, Query(EDITS, (), (OneOf("project", (project,)),))))

    async def oldest(self) -> int | None:
        """Append time (ms) of the oldest change that is kept whole."""
        return await self._speed.oldest()

    async def _batch_days(self, pin: Pin) -> list[int]:
        if not pin.generation.segments:
            return []
        return await self._cached(
            f"{pin.batch_key}:days", lambda: self._batch.days(pin.generation), list[int]
        )

    async def _speed_sums(self, pin: Pin, query: Query) -> Rows:
        # A view that begins after the horizon makes the pin partial, and answers from there on.
        since = upper(pin.since, pin.floor)
        if since == pin.until:
            return {}
        if query.view is TOPICS:
            pages = await self._speed.sums(topics.of_pages(query), since, pin.until)
            return await self._topics.grouped(pin.generation, query, pages)
        return await self._speed.sums(query, since, pin.until)

    async def _batch_sums(self, pin: Pin, query: Query) -> Rows:
        if not pin.generation.segments:
            return {}
        rows = await self._cached(
            f"{pin.batch_key}:sums:{_named(query)}", lambda: self._batch_rows(pin, query), _Rows
        )
        return dict(rows)

    async def _batch_rows(self, pin: Pin, query: Query) -> _Rows:
        return list((await self._batch.sums(pin.generation, query)).items())

    async def _known(self, pin: Pin, query: Query, speed: Rows) -> Rows:
        """The batch part's rows of the keys that the speed part touches."""
        if not speed or not query.group or not pin.generation.segments:
            return {}
        keys = [
            OneOf(column, tuple({key[place] for key in speed}))
            for place, column in enumerate(query.group)
        ]
        narrowed = Query(query.view, query.group, (*query.where, *keys))
        rows = await self._batch.sums(pin.generation, narrowed)
        return {key: row for key, row in rows.items() if key in speed}

    async def _cached(self, key: str, ask: Callable[[], Awaitable[T]], type_: type[T]) -> T:
        def decode(stored: bytes) -> T:
            return msgspec.msgpack.decode(stored, type=type_)

        known = await kept(self._cache, key, decode)
        if known is not None:
            return known
        answer = await ask()
        await self._cache.put(key, msgspec.msgpack.encode(answer))
        return answer


def _named(query: Query) -> str:
    return f"{query.view.name}:{query.group}:{query.where}"
