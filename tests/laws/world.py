"""The whole product but its processes: real embedded stores, driven step by step, and a naive model.

The model is a list of what the log acknowledged. An answer must equal the recount of the distinct
changes before its `as_of`, where of the copies of an id the one with the lowest position counts.
"""

import asyncio
import contextlib
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

from services.batch.run import run_once
from services.batch.work import Options
from services.collector import upkeep as log_upkeep
from services.serving.answers import Answers
from services.serving.pin import Pin, pin
from services.shared import decode, documents
from services.shared.batchview.embedded import SqliteBatchView
from services.shared.cache.embedded import MemoryCache
from services.shared.domain import generation, hll
from services.shared.domain.change import Change
from services.shared.domain.positions import Vector, reaches
from services.shared.domain.query import Having, OneOf, Query
from services.shared.domain.topics import Page, PageMap, Topic, TopicModel, identified, packed
from services.shared.domain.views import (
    EDITORS,
    PAGES,
    TOPICS,
    VIEWS,
    WORDS,
    Rows,
    add,
    registers_of,
    rows_of,
)
from services.shared.lake.embedded import IcebergLake
from services.shared.log.embedded import SqliteLog
from services.shared.log.port import Entry, Record
from services.shared.runtime import crash
from services.shared.runtime.clock import ManualClock
from services.shared.runtime.duration import Duration
from services.shared.runtime.settings import Settings
from services.shared.runtime.unavailable import Unavailable
from services.shared.speedview.embedded import SqliteSpeedView
from services.shared.speedview.port import BegunAnew, Indexed, Search
from services.speed import rebuild, upkeep
from services.speed.prepare import Prepared, prepare

START = 1_700_000_000
STEMS = ("igrej", "rom", "roma", "futebol", "igreja")
WINDOW = 100.0
WINDOW_MS = round(WINDOW * 1000)
SETTINGS = Settings(
    dedupe_window=Duration.of(WINDOW),
    log_retention_margin=Duration.of(20),
    document_keep=Duration.of(30),
    generation_keep=Duration.of(40),
)


class Died(BaseException):
    """The process died here; what was written so far is what the next one finds."""


@dataclass
class World:
    path: Path
    clock: ManualClock = field(default_factory=lambda: ManualClock(float(START)))
    stored: list[Record] = field(default_factory=list)
    horizons: list[Vector] = field(default_factory=list)
    delayed: list[Prepared] = field(default_factory=list)
    """Batches of the speed layer that a process had in its hands when it was thought dead."""
    ticks: int = 0

    async def open(self) -> None:
        self.log = await SqliteLog.open(self.path / "log.sqlite", partitions=2, clock=self.clock)
        self.speed = await SqliteSpeedView.open(self.path / "speed.sqlite")
        self.batch = await SqliteBatchView.open(self.path / "batch.sqlite", self.clock)
        self.lake = await IcebergLake.open(self.path / "lake", self.clock)
        self.cache = MemoryCache()
        self.answers = Answers(self.speed, self.batch, self.cache)
        now = round(self.clock.now() * 1000)
        await self.batch.begin(generation.first(self.log.identity, self.log.partitions, now))
        await rebuild.reconcile(self.log, self.speed, self.batch, WINDOW_MS, self.path)

    async def close(self) -> None:
        for store in (self.log, self.speed, self.batch, self.lake):
            await store.close()

    async def surviving(self, work: Callable[[], Awaitable[object]], dies_at: str = "") -> None:
        """Do something; if it dies at the armed crash point, start again on what is there."""
        died = False
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(crash, "_pass", _die)
            crash.arm(dies_at)
            try:
                await work()
            except Died:
                died = True
            finally:
                crash.arm("")
        if died:
            await self.close()
            await self.open()

    # What happens

    async def append(self, raws: Iterable[bytes]) -> None:
        changes = [(raw, decode.parse(raw)) for raw in raws]
        entries = [Entry(change.id, raw) for raw, change in changes if isinstance(change, Change)]
        await self.log.append(entries)

    async def learn(self) -> None:
        """The model learns what the log has acknowledged: by reading it, as nothing else may."""
        known = {(record.partition, record.offset) for record in self.stored}
        at = await self.log.start()
        end = await self.log.stable_end()
        while not reaches(at, end):
            batch = await self.log.read(at, limit=1000, until=end)
            self.stored += [r for r in batch.records if (r.partition, r.offset) not in known]
            at = batch.until

    async def index(self, limit: int, *, half: bool = False, again: bool = False) -> None:
        """One batch of the speed layer; `half` of it may be written before it is done whole."""
        visible = await self.speed.visible()
        assert visible is not None
        batch = await self.log.read(visible.positions, limit=limit)
        prepared = await asyncio.to_thread(prepare, batch)
        if half:
            part = prepared.documents[1::2][::-1]
            await self.speed.write(part, batch.since, batch.since, visible.times)
        await self.speed.write(prepared.documents, prepared.since, prepared.until, prepared.times)
        if again:
            self.delayed.append(prepared)

    async def write_delayed(self) -> None:
        """A zombie comes back with what it had."""
        for prepared in self.delayed:
            late = prepared.documents[::-1], prepared.since, prepared.until, prepared.times
            with contextlib.suppress(BegunAnew):
                await self.speed.write(*late)
        self.delayed.clear()

    async def age(self, free: int, *, rebuilt: bool) -> None:
        """So much time passes, with a little life in it, that everything of before may go."""
        for seconds in (WINDOW, SETTINGS.generation_keep):
            self.clock.set(self.clock.now() + 1.1 * seconds)
            self.ticks += 1
            await self.append([event(1000 + self.ticks)])
            await self.learn()
            await self.index(100_000)
            await self.run("run", 1000, free=free)
        await self.let_go()
        if rebuilt:
            await self.run("rebuild", 1000)

    async def run(self, kind: Any, piece: int, *, free: int = 0) -> None:
        options = Options(
            dedupe_window=WINDOW_MS,
            generation_keep=round(SETTINGS.generation_keep * 1000),
            piece=piece,
            free_bytes=free,
        )
        current = await self.batch.current()
        if current is None or (kind == "rebuild" and not current.segments):
            kind = "run"  # there is nothing to rebuild, and it may say so
        await run_once(
            self.log, self.lake, self.batch, self.speed,
            clock=self.clock, options=options, kind=kind,
        )  # fmt: skip

    async def let_go(self) -> None:
        await upkeep.let_go(self.speed, self.batch, SETTINGS)
        await log_upkeep.shorten(self.log, self.speed, self.batch, SETTINGS, keep_margin=False)

    async def lose_speed_view(self) -> None:
        await rebuild.begin(self.log, self.speed, self.batch, WINDOW_MS, why="lost")

    async def lose_batch_view(self) -> None:
        """As an operator may who trusts the lake; not once the lake has let days go."""
        if await self.lake.expired():
            return
        await self.close()
        for file in self.path.glob("batch*"):
            file.unlink()
        self.horizons.clear()
        await self.open()

    async def publish_topics(self, seed: int, known: int) -> None:
        """Another model, which knows some of the pages that batch does."""
        base = await self.batch.current()
        assert base is not None
        pages = await self.batch.sums(base, Query(PAGES, ("project", "title")))
        chance = random.Random(seed)
        weights = [chance.choice((0.0, 1.0, 2.0)) for _ in range(3 * len(STEMS))]
        shown = (Topic((), (), 0.0, 0.0, 0),) * 3
        model = identified(
            TopicModel("", 1, 0, seed, 0, 0, 0.0, 0.0, shown, STEMS, packed(weights))
        )
        page_map = PageMap(f"{seed}-{base.number}", model.id)
        of = {Page(str(p), str(t)): chance.randrange(-1, 3) for p, t in sorted(pages)[:known]}
        await self.batch.stage_model(model)
        await self.batch.stage_map(page_map, of)
        now = round(self.clock.now() * 1000)
        await self.batch.publish(
            base.number,
            replace(
                base, number=base.number + 1, published_at=now,
                topic_model=model.id, topic_map=page_map.id,
            ),
        )  # fmt: skip

    # What must hold

    async def pinned(self) -> Pin:
        current = await self.batch.current()
        assert current is not None
        return pin(current, await self.speed.visible())

    def winners(self, as_of: Vector) -> dict[str, Record]:
        """The copies that count: the lowest position of each id before `as_of`."""
        found: dict[str, Record] = {}
        for record in sorted(self.stored, key=lambda r: (r.partition, r.offset)):
            if record.offset < as_of[record.partition]:
                found.setdefault(record.key, record)
        return found

    def late(self, at: Pin) -> list[Record]:
        """Copies behind the horizon that came after the dedupe window: they may show."""
        first = self.winners(at.until)
        return [
            r
            for r in self.stored
            if at.since[r.partition] <= r.offset < at.until[r.partition]
            and r.appended_at - first[r.key].appended_at > WINDOW_MS
        ]

    async def check(self, at: Pin | None = None) -> Pin:
        at = at or await self.pinned()
        assert reaches(at.until, at.since), "as_of is never before the horizon"
        winners, late = list(self.winners(at.until).values()), self.late(at)
        whole = await asyncio.to_thread(_recounted, winners)
        more = await asyncio.to_thread(_recounted, late)
        for view in VIEWS:
            answer = await self.answers.sums(at, Query(view, view.keys))
            if late:
                _between(whole[view.name], answer, add(whole[view.name], more[view.name]))
            else:
                assert answer == whole[view.name]
        await self._check_topics(at)
        if not late:
            await self._check_tops(at, whole)
            await self._check_distinct(at, whole)
            await self._check_search(at, winners)
        return at

    async def _check_topics(self, at: Pin) -> None:
        """Each edit is of one topic or of none, under whatever model the pin stands on."""
        place = TOPICS.keys.index("topic")
        topics = await self.answers.sums(at, Query(TOPICS, TOPICS.keys))
        pages: Rows = {}
        for key, row in topics.items():
            pages = add(pages, {key[:place] + key[place + 1 :]: row})
        assert pages == await self.answers.sums(at, Query(PAGES, PAGES.keys))
        model = await self.answers.model(at)
        known = range(-1, len(model.topics) if model else 0)
        assert {key[place] for key in topics} <= set(known)

    async def _check_distinct(self, at: Pin, whole: dict[str, Rows]) -> None:
        for view in (PAGES, EDITORS):
            groups = registers_of(view, whole[view.name]).values()
            assert await self.answers.distinct(at, view.name, ()) == reduce(hll.add, groups, b"")

    async def _check_search(self, at: Pin, winners: list[Record]) -> None:
        """Every change behind the horizon is found, and whatever is found is the copy that counts."""
        visible = await self.speed.visible()
        assert visible is not None
        if not reaches(at.floor, visible.floor):  # an old pin: it says so instead of finding less
            with pytest.raises(Unavailable):
                await self.answers.search(at, Search(), limit=10_000, after=None)
            return
        hits = await self.answers.search(at, Search(), limit=10_000, after=None)
        found = [(hit.partition, hit.offset) for hit in hits]
        counting = {(record.partition, record.offset): record for record in winners}
        assert len(set(found)) == len(found)
        behind = {place for place in counting if at.since[place[0]] <= place[1]}
        assert behind <= set(found)
        unsure = {r.key for r in self.stored if r.appended_at < max(at.times) - WINDOW_MS}
        assert all(hit.document.change.id in unsure for hit in hits if _place(hit) not in counting)

    async def _check_tops(self, at: Pin, whole: dict[str, Rows]) -> None:
        for view, column in ((PAGES, "title"), (EDITORS, "user"), (WORDS, "stem")):
            for measure in view.measures[:2]:
                query = Query(view, (column,), (OneOf("project", ("pt.wikipedia", "wikidata")),))
                sums = _grouped(whole[view.name], view.keys.index(column), query, measure)
                expected = sorted(sums.items(), key=lambda row: (-row[1], row[0]))
                for limit in (1, 3):
                    top = await self.answers.top(at, query, measure=measure, limit=limit)
                    place = view.measures.index(measure)
                    assert [(key[0], row[place]) for key, row in top] == expected[:limit]
                having = Having(measure, 2, 5)
                assert await self.answers.count(at, query, having) == sum(
                    1 for value in sums.values() if 2 <= value < 5
                )

    async def forward(self) -> None:
        """The horizon of what a reader sees never goes back."""
        current = await self.batch.current()
        assert current is not None
        if self.horizons:
            assert reaches(current.horizon, self.horizons[-1])
        self.horizons.append(current.horizon)


def _place(hit: Indexed) -> tuple[int, int]:
    return hit.partition, hit.offset


def _between(low: Rows, answer: Rows, high: Rows) -> None:
    """Each key counts as many changes as in `low`, or some more, but not more than in `high`."""
    assert low.keys() <= answer.keys() <= high.keys()
    assert all(low.get(key, (0,))[0] <= row[0] <= high[key][0] for key, row in answer.items())


def _grouped(rows: Rows, column: int, query: Query, measure: str) -> Counter[Any]:
    sums: Counter[Any] = Counter()
    place = query.view.measures.index(measure)
    for key, row in rows.items():
        if key[0] in {"pt.wikipedia", "wikidata"}:
            sums[key[column]] += row[place]
    return sums


def _recounted(records: list[Record]) -> dict[str, Rows]:
    counted = [documents.document(_change(record)) for record in records]
    return {view.name: rows_of(view, counted) for view in VIEWS}


def _change(record: Record) -> Change:
    change = decode.parse(record.raw)
    assert isinstance(change, Change)
    return change


def _die() -> None:
    crash._passes_left -= 1
    if crash._passes_left == 0:
        raise Died


def event(number: int) -> bytes:
    """The n-th of a small world of events: few projects, pages, people and days; pure."""
    domains = ("pt.wikipedia.org", "www.wikidata.org", "en.wikipedia.org")
    kinds = ("edit", "new", "edit", "log")
    titles = ("Igreja de Roma", "Roma", "Futebol (desporto)", "Q42")
    users = ("Ana", "CleanupBot", "10.0.0.1", "", "Zé")
    late = 86_400 * (number % 7 == 3)
    old, new = number * 37 % 100, number * 53 % 100
    return json.dumps(
        {
            "meta": {"id": f"id-{number}", "domain": domains[number % 3], "dt": "x"},
            "type": kinds[number % 4],
            "title": titles[number % len(titles)],
            "namespace": number % 2,
            "timestamp": START + number - late,
            "user": users[number % 5],
            "bot": number % 3 == 0,
            "minor": number % 2 == 0,
            "length": {"old": old, "new": new},
            "comment": "#wpwp" if number % 4 == 0 else "fix",
            "wiki": "x",
        }
    ).encode()
