"""BatchView in one SQLite file.

The pointer is the newest row of `generations`: publishing compares its number and inserts the next
one in one transaction, so a reader's snapshot has a whole generation or the one before. A reader
finds its generation, the numbers of its segments and their rows in one snapshot; after `remove` has
dropped the generation it gets `Gone`, never a part. See `tables` for how rows lie, `staging` for how
they come and go, and `maps` for topics.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import reduce
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import msgspec

from services.shared import sql
from services.shared.batchview import maps, staging, tables
from services.shared.batchview.layout import days_asked
from services.shared.batchview.port import BatchView, Gone, PageOfDay, Run, Superseded
from services.shared.domain import hll
from services.shared.domain.generation import Generation, Segment
from services.shared.domain.query import Condition, Having, OneOf, Query
from services.shared.domain.topics import Page, PageMap, TopicModel
from services.shared.domain.views import (
    BY_NAME,
    REGISTER_KEYS,
    Key,
    Measures,
    Registers,
    Rows,
)
from services.shared.runtime import crash, database
from services.shared.runtime.clock import Clock
from services.shared.runtime.database import Connection, Database

RUNS_KEPT: Final = 5_000


class SqliteBatchView:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    @classmethod
    async def open(cls, path: Path, clock: Clock) -> Self:
        schema = tables.schema() + maps.SCHEMA
        return cls(await Database.open(path, schema, prepare=_prepare), clock)

    async def close(self) -> None:
        await self._database.close()

    # Generations

    async def begin(self, generation: Generation) -> Generation:
        def work(connection: Connection) -> Generation:
            current = _current(connection)
            if current is None:
                _list(connection, generation)
            return current or generation

        return await self._database.write(work)

    async def current(self) -> Generation | None:
        return await self._database.read(_current)

    async def generation(self, number: int) -> Generation:
        def work(connection: Connection) -> Generation:
            _readable(connection, number)
            row = connection.execute("SELECT body FROM generations WHERE number = ?", (number,))
            return msgspec.json.decode(row.fetchone()[0], type=Generation)

        return await self._database.read(work)

    async def generations(self) -> list[Generation]:
        return await self._database.read(_generations)

    async def publish(self, expected: int, generation: Generation) -> None:
        def work(connection: Connection) -> None:
            current = _current(connection)
            if current is None or current.number != expected:
                raise Superseded(f"generation {expected} is no longer the current one")
            if generation.number <= expected:
                raise ValueError(f"generation {generation.number} does not follow {expected}")
            staging.staged(connection, generation.segments)
            maps.check(connection, generation)
            _list(connection, generation)
            crash.point("batchview.publishing")

        await self._database.write(work)

    async def remove(self, superseded_before: int) -> None:
        def work(connection: Connection) -> Iterable[staging.Statement]:
            found = _generations(connection)
            old = [a.number for a, b in pairwise(found) if b.published_at < superseded_before]
            connection.executemany("DELETE FROM generations WHERE number = ?", [(n,) for n in old])
            kept = [generation for generation in found if generation.number not in old]
            numbers = staging.unlist(connection, staging.listed(kept), superseded_before)
            pages = maps.unlist(connection, kept, superseded_before)
            return chain(staging.removals(numbers), pages)

        await self._execute(await self._database.write(work))
        await self._database.give_back()

    # Segments

    async def stage(
        self,
        segment: Segment,
        rows: Mapping[str, Iterable[tuple[Key, Measures]]],
        registers: Registers,
    ) -> None:
        number = await self._start(segment)
        total = 0
        for name, items in rows.items():
            flat = ((number, *key, *measures) for key, measures in items)
            total += await self._add(tables.insert(BY_NAME[name]), flat)
        joined = ((number, *key, value) for key, value in registers.items())
        total += await self._add(tables.insert_registers(), joined)
        await self._database.write(lambda connection: staging.finish(connection, number, total))

    async def combine(
        self,
        segments: Sequence[Segment],
        into: Segment,
        *,
        minutes_from: int,
        days: Sequence[int] | None = None,
    ) -> None:
        def found(connection: Connection) -> list[tuple[int, list[int]]]:
            numbers = staging.staged(connection, segments).values()
            wanted = None if days is None else set(days)
            return [
                (n, [day for day in staging.days(connection, n) if wanted is None or day in wanted])
                for n in numbers
            ]

        sources = await self._database.read(found)
        number = await self._start(into)
        total = await self._execute(staging.copies(sources, number, minutes_from))
        await self._database.write(lambda connection: staging.finish(connection, number, total))

    async def sizes(self, segments: Sequence[Segment]) -> list[int]:
        def work(connection: Connection) -> list[int]:
            numbers = staging.staged(connection, segments).values()
            query = "SELECT rows FROM segments WHERE number = ?"
            return [connection.execute(query, (number,)).fetchone()[0] for number in numbers]

        return await self._database.read(work)

    # Topics

    async def pages(
        self, segment: Segment, *, limit: int, after: PageOfDay | None = None
    ) -> list[PageOfDay]:
        def work(connection: Connection) -> list[PageOfDay]:
            (number,) = staging.staged(connection, [segment]).values()
            return maps.pages(connection, number, limit, after)

        return await self._database.read(work)

    async def stage_model(self, model: TopicModel) -> None:
        now = round(self._clock.now() * 1000)
        await self._database.write(lambda connection: maps.stage_model(connection, model, now))

    async def model(self, model_id: str) -> TopicModel:
        found = await self._database.read(lambda connection: maps.model(connection, model_id))
        if found is None:
            raise Gone(f"topic model {model_id} is no longer kept")
        return found

    async def stage_map(self, page_map: PageMap, pages: Mapping[Page, int]) -> int:
        def work(connection: Connection) -> int:
            now = round(self._clock.now() * 1000)
            return maps.stage_map(connection, page_map, pages, _generations(connection), now)

        total = await self._database.write(work)
        crash.point("batchview.mapping")
        return total

    async def topics_of(self, generation: Generation, pages: Collection[Page]) -> dict[Page, int]:
        def work(connection: Connection) -> dict[Page, int]:
            _readable(connection, generation.number)
            return maps.found(connection, generation.topic_map, pages)

        return await self._database.read(work)

    async def _start(self, segment: Segment) -> int:
        def work(connection: Connection) -> int:
            listed = staging.listed(_generations(connection))
            return staging.start(connection, segment.id, listed, round(self._clock.now() * 1000))

        return await self._database.write(work)

    async def _add(self, statement: str, rows: Iterable[tuple[int | str | bytes, ...]]) -> int:
        coming, total = iter(rows), 0
        while True:
            added = await self._database.write(lambda c: staging.add(c, statement, coming))
            total += added
            crash.point("batchview.staging")
            if added < staging.ROWS_A_TRANSACTION:
                return total

    async def _execute(self, statements: Iterable[staging.Statement]) -> int:
        coming, total, more = iter(statements), 0, True
        while more:
            changed, more = await self._database.write(lambda c: staging.some(c, coming))
            total += changed
            crash.point("batchview.copying")
        return total

    # Answers

    async def sums(self, generation: Generation, query: Query) -> Rows:
        def work(connection: Connection) -> Rows:
            text, values = _sums(connection, generation, query)
            return sql.rows(query, connection.execute(text, values))

        return await self._database.read(work)

    async def top(
        self, generation: Generation, query: Query, *, measure: str, limit: int
    ) -> list[tuple[Key, Measures]]:
        width = len(query.group)
        value = width + 1 + query.view.measures.index(measure)
        order = ", ".join([f"{value} DESC", *map(str, range(1, width + 1))])

        def work(connection: Connection) -> list[tuple[Key, Measures]]:
            text, values = _sums(connection, generation, query)
            found = connection.execute(f"{text} ORDER BY {order} LIMIT ?", [*values, limit])
            return list(sql.rows(query, found).items())

        return await self._database.read(work)

    async def count(self, generation: Generation, query: Query, having: Having) -> int:
        if having.measure not in query.view.measures:
            raise ValueError(f"view {query.view.name} has no measure {having.measure}")
        bounds = [having.low] if having.high is None else [having.low, having.high]
        below = "" if having.high is None else f" AND SUM({having.measure}) < ?"

        def work(connection: Connection) -> int:
            text, values = _sums(connection, generation, query)
            text = f"SELECT COUNT(*) FROM ({text} HAVING SUM({having.measure}) >= ?{below})"
            return int(connection.execute(text, [*values, *bounds]).fetchone()[0])

        return await self._database.read(work)

    async def registers(self, generation: Generation, of: str, where: Sequence[Condition]) -> bytes:
        asked = (OneOf("of", (of,)), *where)

        def work(connection: Connection) -> bytes:
            text, values = sql.conditions(asked)
            within = _within(connection, generation, where)
            found = connection.execute(
                f"SELECT registers FROM registers WHERE {within} AND {text}", values
            )
            return reduce(hll.add, (value for (value,) in found), b"")

        return await self._database.read(work)

    async def rows(
        self, segments: Sequence[Segment], view: str, days: Sequence[int]
    ) -> list[tuple[Key, Measures]]:
        declared = BY_NAME[view]
        query = Query(declared, declared.keys)

        def work(connection: Connection) -> list[tuple[Key, Measures]]:
            within = _in(staging.staged(connection, segments).values(), days)
            text, values = sql.sums(query, view, within)
            return list(sql.rows(query, connection.execute(text, values)).items())

        return await self._database.read(work)

    async def day_registers(self, segments: Sequence[Segment], days: Sequence[int]) -> Registers:
        def work(connection: Connection) -> Registers:
            within = _in(staging.staged(connection, segments).values(), days)
            columns = ", ".join(REGISTER_KEYS)
            joined: Registers = {}
            for *key, value in connection.execute(
                f"SELECT {columns}, registers FROM registers WHERE {within}"
            ):
                joined[tuple(key)] = hll.add(joined.get(tuple(key), b""), value)
            return joined

        return await self._database.read(work)

    async def days(self, generation: Generation) -> list[int]:
        return await self._database.read(lambda connection: _days(connection, generation)[1])

    # Runs

    async def record(self, run: Run) -> None:
        def work(connection: Connection) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO runs VALUES (?, ?, ?)",
                (run.id, run.started_at, msgspec.json.encode(run)),
            )
            connection.execute(
                "DELETE FROM runs WHERE (started_at, id) < (SELECT started_at, id FROM runs"
                " ORDER BY started_at DESC, id DESC LIMIT 1 OFFSET ?)",
                (RUNS_KEPT - 1,),
            )

        await self._database.write(work)

    async def runs(self, *, limit: int = 50) -> list[Run]:
        def work(connection: Connection) -> list[Run]:
            found = connection.execute(
                "SELECT body FROM runs ORDER BY started_at DESC, id DESC LIMIT ?", (limit,)
            )
            return [msgspec.json.decode(body, type=Run) for (body,) in found]

        return await self._database.read(work)

    async def size(self) -> int:
        return await self._database.size()


def _prepare(connection: Connection) -> None:
    # Adding segments up and sorting a long answer may take more than memory should: into files.
    connection.execute("PRAGMA temp_store = FILE")
    connection.execute("PRAGMA cache_size = -16000")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    connection.create_function("hll_add", 2, hll.add, deterministic=True)


def _list(connection: Connection, generation: Generation) -> None:
    connection.execute(
        "INSERT INTO generations VALUES (?, ?)",
        (generation.number, msgspec.json.encode(generation)),
    )


def _current(connection: Connection) -> Generation | None:
    rows = connection.execute("SELECT body FROM generations ORDER BY number DESC LIMIT 1")
    return next((msgspec.json.decode(body, type=Generation) for (body,) in rows), None)


def _generations(connection: Connection) -> list[Generation]:
    rows = connection.execute("SELECT body FROM generations ORDER BY number")
    return [msgspec.json.decode(body, type=Generation) for (body,) in rows]


def _readable(connection: Connection, number: int) -> None:
    if not connection.execute("SELECT 1 FROM generations WHERE number = ?", (number,)).fetchone():
        raise Gone(f"generation {number} is no longer kept")


def _days(connection: Connection, generation: Generation) -> tuple[list[int], list[int]]:
    """The numbers of the generation's segments, and the days that they have rows of."""
    _readable(connection, generation.number)
    numbers = list(staging.staged(connection, generation.segments).values())
    return numbers, sorted({day for n in numbers for day in staging.days(connection, n)})


def _within(connection: Connection, generation: Generation, where: Sequence[Condition]) -> str:
    """The condition for rows of the generation that the other conditions can hold for."""
    numbers, days = _days(connection, generation)
    return _in(numbers, days_asked(days, where))


def _in(numbers: Iterable[int], days: Iterable[int]) -> str:
    chosen = (", ".join(map(str, map(int, values))) for values in (numbers, days))
    return "segment IN ({}) AND day IN ({})".format(*chosen)


def _sums(
    connection: Connection, generation: Generation, query: Query
) -> tuple[str, sql.Parameters]:
    within = _within(connection, generation, query.where)
    if "minute" in query.view.keys:
        within += f" AND minute >= {int(generation.minutes_from)}"
    source = maps.source(connection, query.view, generation.topic_map)
    return sql.sums(query, source, within)


_BELONG: Final = (
    "UPDATE generations SET body = CAST(json_set(CAST(body AS TEXT), '$.log', ?) AS BLOB)"
)


def copy(source: Path, target: Path, log: str | None = None) -> None:
    """The view as it is at one moment, while others write; `log` lets the copy belong to another."""
    database.copy(source, target, *([(_BELONG, (log,))] if log else ()))


if TYPE_CHECKING:
    _: type[BatchView] = SqliteBatchView
