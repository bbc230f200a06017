"""What every batch view promises (services/shared/batchview/port.py), over every adapter."""

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.shared.batchview.port import BatchView, Gone, Run, Step, Superseded
from services.shared.domain import hll
from services.shared.domain.generation import Generation, Segment, first
from services.shared.domain.identity import day_start
from services.shared.domain.query import Between, Condition, Having, OneOf, Query
from services.shared.domain.views import (
    EDITS,
    MINUTES,
    PAGES,
    VIEWS,
    Document,
    Key,
    Measures,
    Registers,
    Rows,
    View,
    add,
    add_registers,
)
from services.shared.runtime.clock import ManualClock
from services.shared.runtime.exits import Exit
from tests.contract.batchviews import MANY, backend_of, fresh
from tests.deaths import died
from tests.unit.batch.made import DAYS, PROJECTS, all_registers, all_rows, documents

Opener = Callable[[], Awaitable[BatchView]]
NOW = 1_700_000_000
DAY = 20240229
ONE: Measures = (1, 1, 1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
async def view(opener: Opener) -> BatchView:
    view = await opener()
    await view.begin(first("log", 1, NOW * 1000))
    return view


def segment(name: str, since: int, until: int) -> Segment:
    return Segment(name, (since,), (until,), "1")


def page(project: str, title: str, day: int = DAY, editor_class: str = "user") -> Key:
    return (project, day, title, editor_class, "content")


async def publish(
    view: BatchView, *segments: Segment, minutes_from: int = 0, at: int = NOW * 1000
) -> Generation:
    current = await view.current()
    assert current is not None
    horizon = segments[-1].until if segments else current.horizon
    generation = Generation(current.number + 1, "log", segments, horizon, (0,), minutes_from, at)
    await view.publish(current.number, generation)
    return generation


async def publish_pages(view: BatchView, *parts: Rows) -> Generation:
    """One segment for each of the parts."""
    segments = [segment(f"s{i}", i, i + 1) for i in range(len(parts))]
    for each, rows in zip(segments, parts, strict=True):
        await view.stage(each, {"pages": rows.items()}, {})
    return await publish(view, *segments)


# Generations


async def test_it_begins_once_with_a_present_and_empty_layer(opener: Opener) -> None:
    view = await opener()
    assert await view.current() is None
    zero = first("log", 2, 5)
    assert await view.begin(zero) == zero
    assert await view.begin(first("log", 2, 99)) == zero
    assert await view.current() == zero == await view.generation(0)
    assert await view.sums(zero, Query(EDITS, ("project",))) == {}
    assert await view.sums(zero, Query(EDITS)) == {}
    assert await view.top(zero, Query(PAGES, ("title",)), measure="edits", limit=5) == []
    assert await view.registers(zero, "pages", ()) == b""
    assert await view.days(zero) == []


async def test_publish_compares_and_sets(view: BatchView, opener: Opener) -> None:
    other = await opener()
    a, b = segment("a", 0, 1), segment("b", 0, 1)
    await view.stage(a, {"pages": [(page("p", "A"), ONE)]}, {})
    await other.stage(b, {"pages": [(page("p", "B"), ONE)]}, {})
    won = Generation(1, "log", (a,), (1,), (0,), 0, NOW * 1000)
    await view.publish(0, won)
    with pytest.raises(Superseded):
        await other.publish(0, replace(won, segments=(b,)))
    assert await other.current() == won
    assert await other.sums(won, Query(PAGES, ("title",))) == {("A",): ONE}


async def test_of_many_who_publish_at_once_one_wins(opener: Opener) -> None:
    views = [await opener() for _ in range(3)]
    await views[0].begin(first("log", 1, 0))
    rivals = [Generation(1, "log", (), (0,), (0,), i, i) for i in range(3)]
    outcomes = await asyncio.gather(
        *(view.publish(0, rival) for view, rival in zip(views, rivals, strict=True)),
        return_exceptions=True,
    )
    assert sorted(type(o).__name__ for o in outcomes) == ["NoneType", "Superseded", "Superseded"]
    assert await views[0].current() == rivals[outcomes.index(None)]


async def test_a_generation_needs_its_segments_whole(view: BatchView) -> None:
    with pytest.raises(ValueError, match="not staged: missing"):
        await publish(view, segment("missing", 0, 1))
    assert [g.number for g in await view.generations()] == [0]


async def test_a_reader_of_the_old_generation_is_not_disturbed(view: BatchView) -> None:
    old = await publish_pages(view, {page("p", "A"): ONE})
    new_segment = segment("next", 1, 2)
    await view.stage(new_segment, {"pages": [(page("p", "A"), (5, 5, 5))]}, {})
    assert await view.sums(old, Query(PAGES)) == {(): ONE}
    new = await publish(view, *old.segments, new_segment)
    assert await view.sums(old, Query(PAGES)) == {(): ONE}
    assert await view.sums(new, Query(PAGES)) == {(): (6, 6, 6)}
    assert await view.generations() == [await view.generation(0), old, new]


async def test_everything_is_there_after_reopening(view: BatchView, opener: Opener) -> None:
    generation = await publish_pages(view, {page("p", "A"): ONE})
    again = await opener()
    assert await again.current() == generation
    assert await again.sums(generation, Query(PAGES, ("title",))) == {("A",): ONE}


# Segments


async def test_a_segment_that_a_generation_lists_cannot_be_staged_again(view: BatchView) -> None:
    generation = await publish_pages(view, {page("p", "A"): ONE})
    with pytest.raises(ValueError, match="s0"):
        await view.stage(generation.segments[0], {}, {})
    assert await view.sums(generation, Query(PAGES)) == {(): ONE}


async def test_staging_again_replaces(view: BatchView) -> None:
    part = segment("a", 0, 1)
    await view.stage(part, {"pages": [(page("p", "A"), ONE)]}, {})
    await view.stage(part, {"pages": [(page("p", "B"), ONE)]}, {})
    generation = await publish(view, part)
    assert await view.sums(generation, Query(PAGES, ("title",))) == {("B",): ONE}


async def test_half_a_segment_cannot_be_published(view: BatchView) -> None:
    def breaks() -> "itertools.chain[tuple[Key, Measures]]":
        return itertools.chain([(page("p", "A"), ONE)], _failing())

    part = segment("a", 0, 1)
    with pytest.raises(OSError, match="the lake is away"):
        await view.stage(part, {"pages": breaks()}, {})
    with pytest.raises(ValueError, match="not staged"):
        await publish(view, part)


def _failing() -> "itertools.chain[tuple[Key, Measures]]":
    raise OSError("the lake is away")
    return itertools.chain()


async def test_repeated_keys_of_a_segment_add_up(view: BatchView) -> None:
    part = segment("a", 0, 1)
    await view.stage(part, {"pages": [(page("p", "A"), ONE), (page("p", "A"), (2, -5, 5))]}, {})
    assert await view.rows([part], "pages", [DAY]) == [(page("p", "A"), (3, -4, 6))]


parts = st.lists(st.lists(documents(), max_size=12), min_size=1, max_size=4)


@given(parts=parts, days=st.none() | st.lists(st.sampled_from(DAYS), max_size=2))
@settings(max_examples=40, deadline=None)
async def test_combining_is_adding(
    backend: str, parts: list[list[Document]], days: list[int] | None
) -> None:
    async with fresh(backend, ManualClock(NOW)) as view:
        segments = [segment(f"s{i}", i, i + 1) for i in range(len(parts))]
        for each, taken in zip(segments, parts, strict=True):
            await view.stage(
                each, {n: r.items() for n, r in all_rows(taken).items()}, all_registers(taken)
            )
        into = segment("all", 0, len(parts))
        await view.combine(segments, into, minutes_from=0, days=days)
        held = DAYS if days is None else days
        for declared in VIEWS:
            total: Rows = {}
            for taken in parts:
                total = add(total, all_rows(taken)[declared.name])
            expected = {key: m for key, m in total.items() if key[1] in held}
            assert dict(await view.rows([into], declared.name, DAYS)) == expected
        joined: Registers = {}
        for taken in parts:
            joined = add_registers(joined, all_registers(taken))
        expected_registers = {key: value for key, value in joined.items() if key[2] in held}
        assert await view.day_registers([into], DAYS) == expected_registers
        assert await view.day_registers(segments, held) == expected_registers


async def test_combining_leaves_out_minutes_that_nobody_can_ask_for(view: BatchView) -> None:
    minute = day_start(DAY) // 60
    who = ("user", 0, 0, "content", "edit")
    parts = [segment("a", 0, 1), segment("b", 1, 2)]
    for part, m in zip(parts, (minute, minute + 1), strict=True):
        await view.stage(part, {"minutes": [(("p", DAY, m, *who), (1, 0, 0, 0, 0))]}, {})
    both = segment("both", 0, 2)
    await view.combine(parts, both, minutes_from=minute + 1)
    rows = await view.rows([both], "minutes", [DAY])
    assert [key[2] for key, _ in rows] == [minute + 1]


async def test_minutes_before_the_generations_first_are_in_no_answer(view: BatchView) -> None:
    minute = day_start(DAY) // 60
    who = ("user", 0, 0, "content", "edit")
    part = segment("a", 0, 1)
    rows = [(("p", DAY, minute + n, *who), (1, 5, 5, 0, 0)) for n in range(3)]
    await view.stage(part, {"minutes": rows, "edits": rows}, {})
    generation = await publish(view, part, minutes_from=minute + 1)
    query = Query(MINUTES, ("minute",))
    later = [((minute + n,), (1, 5, 5, 0, 0)) for n in (1, 2)]
    assert await view.sums(generation, query) == dict(later)
    assert await view.sums(generation, Query(MINUTES)) == {(): (2, 10, 10, 0, 0)}
    assert await view.top(generation, query, measure="edits", limit=9) == later
    assert await view.count(generation, query, Having("edits", 1)) == 2
    assert (await view.sums(generation, Query(EDITS)))[()][0] == 3, "hours are kept for ever"


async def test_sizes_are_the_rows_that_combining_would_copy(view: BatchView) -> None:
    parts = [segment("a", 0, 1), segment("b", 1, 2)]
    await view.stage(parts[0], {"pages": [(page("p", t), ONE) for t in "ABC"]}, {})
    await view.stage(parts[1], {"pages": [(page("p", "A"), ONE)]}, {})
    assert await view.sizes(parts) == [3, 1]
    assert await view.sizes(list(reversed(parts))) == [1, 3]


async def test_a_segment_larger_than_a_transaction(backend: str, view: BatchView) -> None:
    many = MANY[backend]
    rows: Rows = {page("p", f"{i:06}", DAYS[i % 3]): (i, 1, 1) for i in range(many)}
    generation = await publish_pages(view, rows)
    assert await view.count(generation, Query(PAGES, ("title",)), Having("edits", 0)) == many
    total = segment("copy", 0, 1)
    await view.combine(generation.segments, total, minutes_from=0)
    assert await view.sizes([total]) == [many]
    assert await view.days(await publish(view, total)) == list(DAYS)


# Answers


@given(parts=parts, data=st.data())
@settings(max_examples=60, deadline=None)
async def test_answers_are_what_grouping_the_sum_gives(
    backend: str, parts: list[list[Document]], data: st.DataObject
) -> None:
    declared = data.draw(st.sampled_from(VIEWS))
    query = data.draw(queries(declared))
    measure = data.draw(st.sampled_from(declared.measures))
    limit = data.draw(st.integers(0, 5))
    having = Having(measure, data.draw(st.integers(-3, 3)), data.draw(st.none() | st.just(4)))
    minutes_from = data.draw(st.sampled_from((0, day_start(DAY) // 60)))
    total: Rows = {}
    for taken in parts:
        total = add(total, all_rows(taken)[declared.name])
    expected = naive(total, query, minutes_from)
    async with fresh(backend, ManualClock(NOW)) as view:
        await view.begin(first("log", 1, 0))
        segments = [segment(f"s{i}", i, i + 1) for i in range(len(parts))]
        for each, taken in zip(segments, parts, strict=True):
            await view.stage(
                each, {n: r.items() for n, r in all_rows(taken).items()}, all_registers(taken)
            )
        generation = await publish(view, *segments, minutes_from=minutes_from)
        assert await view.sums(generation, query) == expected
        value = declared.measures.index(measure)
        ordered = sorted(expected.items(), key=lambda row: (-row[1][value], row[0]))
        assert await view.top(generation, query, measure=measure, limit=limit) == ordered[:limit]
        met = [m for m in expected.values() if having.low <= m[value] < (having.high or 1 << 62)]
        assert await view.count(generation, query, having) == len(met)


@st.composite
def queries(draw: st.DrawFn, declared: View) -> Query:
    group = draw(st.permutations(declared.keys).flatmap(_prefix))
    where: list[Condition] = []
    if draw(st.booleans()):
        where.append(OneOf("project", tuple(draw(st.sets(st.sampled_from(PROJECTS))))))
    if draw(st.booleans()):
        where.append(Between("day", *draw(st.sampled_from([(DAYS[0], DAYS[2]), (DAY, DAY)]))))
    for unit, seconds in (("hour", 3600), ("minute", 60)):
        if unit in declared.keys and draw(st.booleans()):
            low = day_start(DAY) // seconds
            where.append(Between(unit, low, low + draw(st.sampled_from((1, 24, 2000)))))
    if draw(st.booleans()):
        where.append(OneOf("editor_class", ("user", "anonymous")))
    return Query(declared, group, tuple(where))


def _prefix(keys: Sequence[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.integers(0, len(keys)).map(lambda n: tuple(keys[:n]))


def naive(rows: Rows, query: Query, minutes_from: int) -> Rows:
    total: Rows = {}
    for key, measures in rows.items():
        row = dict(zip(query.view.keys, key, strict=True))
        if int(row.get("minute", minutes_from)) >= minutes_from and all(
            row[c.column] in c.values
            if isinstance(c, OneOf)
            else c.low <= int(row[c.column]) < c.high
            for c in query.where
        ):
            total = add(total, {tuple(row[name] for name in query.group): measures})
    return total


async def test_top_is_ordered_by_value_then_by_code_point(view: BatchView) -> None:
    titles = ["b", "B", "\U0001f600", "\uffe9", "é", "a"]
    first_half: Rows = {page("p", t): ONE for t in titles}
    generation = await publish_pages(
        view, first_half, {page("p", "é"): ONE, page("p", "é", 20240301): ONE}
    )
    found = await view.top(generation, Query(PAGES, ("title",)), measure="edits", limit=10)
    assert found[0] == (("é",), (3, 3, 3))
    assert [key[0] for key, _ in found[1:]] == ["B", "a", "b", "\uffe9", "\U0001f600"]


async def test_top_sums_over_all_segments_before_it_cuts(view: BatchView) -> None:
    """A page that leads in no segment leads in the sum."""
    generation = await publish_pages(
        view,
        {page("p", "A"): (5, 0, 0), page("p", "C"): (4, 0, 0)},
        {page("p", "B"): (5, 0, 0), page("p", "C"): (4, 0, 0)},
    )
    found = await view.top(generation, Query(PAGES, ("title",)), measure="edits", limit=1)
    assert found == [(("C",), (8, 0, 0))]


async def test_many_keys_are_looked_up_at_once(backend: str, view: BatchView) -> None:
    rows: Rows = {page("p", f"{i}"): (i, 0, 0) for i in range(0, 2_000, 2)}
    generation = await publish_pages(view, rows)
    asked = OneOf("title", tuple(str(i) for i in range(MANY[backend])))
    where = (OneOf("project", ("p",)), OneOf("day", (DAY,)), asked)
    query = Query(PAGES, ("title",), where)
    assert await view.sums(generation, query) == {(key[2],): m for key, m in rows.items()}
    top = await view.top(generation, query, measure="edits", limit=2)
    assert top == [(("1998",), (1998, 0, 0)), (("1996",), (1996, 0, 0))]
    assert await view.count(generation, query, Having("edits", 1990)) == 5


HOSTILE = ("$title", "$$ROOT", "$$NOW", "$", "a.b", "{'$gt': ''}", "a\0b", "\\", "\\$", "'; --", "")


async def test_hostile_titles_are_data(view: BatchView) -> None:
    generation = await publish_pages(view, {page("p", title): ONE for title in HOSTILE})
    by_title = Query(PAGES, ("title",))
    assert await view.sums(generation, by_title) == {(title,): ONE for title in HOSTILE}
    for title in HOSTILE:
        asked = Query(PAGES, ("title",), (OneOf("title", (title,)),))
        assert await view.top(generation, asked, measure="edits", limit=9) == [((title,), ONE)]
    (part,) = generation.segments
    one_by_one = [page_of_day := (await view.pages(part, limit=1))[0]]
    while some := await view.pages(part, limit=1, after=page_of_day):
        one_by_one.append(page_of_day := some[0])
    assert sorted(found.title for found in one_by_one) == sorted(HOSTILE)


async def test_of_many_equals_the_first_by_code_point_are_found(view: BatchView) -> None:
    rows: Rows = {page("p", f"{i:04}"): (1, 0, 0) for i in range(1_500, 0, -1)}
    generation = await publish_pages(view, rows | {page("p", "zz"): (2, 0, 0)})
    found = await view.top(generation, Query(PAGES, ("title",)), measure="edits", limit=3)
    assert [key for key, _ in found] == [("zz",), ("0001",), ("0002",)]


@given(parts=parts)
@settings(max_examples=25, deadline=None)
async def test_registers_are_the_union_of_what_the_conditions_leave(
    backend: str, parts: list[list[Document]]
) -> None:
    async with fresh(backend, ManualClock(NOW)) as view:
        await view.begin(first("log", 1, 0))
        segments = [segment(f"s{i}", i, i + 1) for i in range(len(parts))]
        for each, taken in zip(segments, parts, strict=True):
            rows = all_rows(taken)
            await view.stage(each, {n: r.items() for n, r in rows.items()}, all_registers(taken))
        generation = await publish(view, *segments)
        where = (OneOf("project", ("pt.wikipedia",)), Between("day", DAYS[0], DAYS[2]))
        changes = [document.change for document in itertools.chain(*parts)]
        titles = {
            change.title
            for change in changes
            if change.is_edit and change.project == "pt.wikipedia" and change.day < DAYS[2]
        }
        assert await view.registers(generation, "pages", where) == hll.registers(titles)
        users = {change.user for change in changes if change.is_edit and change.user}
        assert await view.registers(generation, "editors", ()) == hll.registers(users)


async def test_a_column_that_the_view_lacks_is_no_query(view: BatchView) -> None:
    generation = await publish_pages(view, {page("p", "A"): ONE})
    with pytest.raises(ValueError, match="no measure minor"):
        await view.count(generation, Query(PAGES, ("title",)), Having("minor", 1))
    with pytest.raises(ValueError, match="minor"):
        await view.registers(generation, "pages", [OneOf("minor", (1,))])


# Removal


async def test_old_generations_go_and_so_do_their_segments(view: BatchView) -> None:
    old = await publish_pages(view, {page("p", "A"): ONE}, {page("p", "B"): ONE})
    both = segment("both", 0, 2)
    await view.combine(old.segments, both, minutes_from=0)
    later = NOW * 1000 + 60_000
    new = await publish(view, both, at=later)
    await view.remove(later)
    assert await view.sums(old, Query(PAGES)) == {(): (2, 2, 2)}, "superseded at that very time"
    await view.remove(later + 1)
    assert await view.generations() == [new]
    for ask in (
        view.sums(old, Query(PAGES)),
        view.top(old, Query(PAGES, ("title",)), measure="edits", limit=1),
        view.count(old, Query(PAGES, ("title",)), Having("edits", 1)),
        view.registers(old, "pages", ()),
        view.days(old),
        view.generation(old.number),
    ):
        with pytest.raises(Gone, match="generation 1"):
            await ask
    assert await view.sums(new, Query(PAGES)) == {(): (2, 2, 2)}
    with pytest.raises(ValueError, match="not staged"):
        await view.sizes(old.segments)


async def test_the_current_generation_stays_however_old(view: BatchView) -> None:
    current = await publish_pages(view, {page("p", "A"): ONE})
    await view.remove(NOW * 10_000)
    assert await view.generations() == [current]
    assert await view.sums(current, Query(PAGES)) == {(): ONE}


async def test_a_segment_that_nothing_lists_goes_once_it_is_old(
    view: BatchView, clock: ManualClock
) -> None:
    await view.stage(segment("left", 0, 1), {"pages": [(page("p", "A"), ONE)]}, {})
    clock.advance(60)
    await view.stage(segment("fresh", 0, 1), {"pages": [(page("p", "A"), ONE)]}, {})
    await view.remove((NOW + 60) * 1000)
    assert await view.sizes([segment("fresh", 0, 1)]) == [1]
    with pytest.raises(ValueError, match="not staged: left"):
        await view.sizes([segment("left", 0, 1)])


# All at once


async def test_every_answer_is_whole_whatever_is_published_and_removed_meanwhile(
    opener: Opener, clock: ManualClock
) -> None:
    """Each generation has one edit for each position up to its horizon, however they are added up."""
    views = [await opener() for _ in range(5)]
    await views[0].begin(first("log", 1, NOW * 1000))
    names = itertools.count()
    others = [keep_removing(views[2], clock), *map(keep_reading, views[3:])]
    tasks = list(map(asyncio.ensure_future, others))
    well = await asyncio.gather(*(keep_publishing(view, names, clock) for view in views[:2]))
    for task in tasks:
        task.cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(end) for end in ends} == {asyncio.CancelledError}, ends
    current = await views[0].current()
    assert current is not None
    assert current.number == sum(well) > 0
    assert await edits(views[0], current) == current.horizon[0]


async def keep_publishing(view: BatchView, names: Iterator[int], clock: ManualClock) -> int:
    """Publishes one position more, now and then as one segment; how often that has gone well."""
    well = 0
    for turn in range(10):
        current = await view.current()
        assert current is not None
        end = current.horizon[0]
        new = segment(f"s{next(names)}", end, end + 1)
        clock.advance(1)
        with contextlib.suppress(Superseded, ValueError):  # the other's, or removed before its time
            await view.stage(new, {"pages": [(page("p", f"{end % 3}"), ONE)]}, {})
            segments = (*current.segments, new)
            if turn % 3 == 2:
                into = segment(f"s{next(names)}", 0, end + 1)
                await view.combine(segments, into, minutes_from=0)
                segments = (into,)
            generation = replace(
                current,
                number=current.number + 1,
                segments=segments,
                horizon=(end + 1,),
                published_at=round(clock.now() * 1000),
            )
            await view.publish(current.number, generation)
            well += 1
    return well


async def keep_removing(view: BatchView, clock: ManualClock) -> None:
    while True:
        await view.remove(round(clock.now() * 1000) - 2_000)


async def keep_reading(view: BatchView) -> None:
    while True:
        for generation in await view.generations():
            with contextlib.suppress(Gone):
                assert await edits(view, generation) == generation.horizon[0]


async def edits(view: BatchView, generation: Generation) -> int:
    rows = await view.sums(generation, Query(PAGES, ("title",)))
    return sum(measures[0] for measures in rows.values())


# Runs


async def test_runs_are_kept_newest_first_and_replaced_by_id(view: BatchView) -> None:
    steps = (Step("ingest", "done", 5, 0.25, 10, 9), Step("count", "failed", 6, 0.5, error="x"))
    for number in range(4):
        await view.record(Run(f"r{number}", "run", "running", 1000 + number))
    await view.record(Run("r2", "run", "failed", 1002, 1010, steps=steps))
    assert [run.id for run in await view.runs()] == ["r3", "r2", "r1", "r0"]
    assert [run.state for run in await view.runs(limit=2)] == ["running", "failed"]
    assert (await view.runs())[1].steps == steps


async def test_size_is_what_it_takes(view: BatchView) -> None:
    before = await view.size()
    await publish_pages(view, {page("p", f"{i}"): ONE for i in range(20_000)})
    assert await view.size() > before + 20_000 * 20


# Crashes

MORE = {"embedded": 60_000, "real": 1_500}
"""Rows that take two writes to stage."""


async def grow_and_tidy_up(backend: str, folder: Path) -> None:
    """A segment more, added up with the one before and published; then what is old goes."""
    view = await backend_of(backend, folder).open(ManualClock(NOW))
    old = await view.current()
    assert old is not None
    part = segment("new", 1, 2)
    rows = [(page("p", f"{i:06}"), ONE) for i in range(MORE[backend])]
    await view.stage(part, {"pages": rows}, {})
    both = segment("both", 0, 2)
    await view.combine([*old.segments, part], both, minutes_from=0)
    await view.publish(old.number, Generation(2, "log", (both,), (2,), (0,), 0, NOW * 1000))
    await view.remove(NOW * 1000 + 1)
    await view.close()


@pytest.mark.parametrize(
    ("point", "number"),
    [
        ("batchview.staging", 1),
        ("batchview.copying", 1),
        ("batchview.publishing", 1),
        ("batchview.copying:3", 2),
        ("", 2),
    ],
)
async def test_a_reader_after_a_crash_sees_a_whole_generation(
    backend: str, opener: Opener, tmp_path: Path, clock: ManualClock, point: str, number: int
) -> None:
    view = await opener()
    await view.begin(first("log", 1, 0))
    await publish_pages(view, {page("p", "A"): ONE})
    end = await died(grow_and_tidy_up, backend, tmp_path, at=point)
    assert end == (Exit.CRASHED if point else 0)
    view = await opener()
    current = await view.current()
    assert current is not None
    assert current.number == number
    edits = 1 if number == 1 else 1 + MORE[backend]
    assert await view.sums(current, Query(PAGES)) == {(): (edits, edits, edits)}
    if point in {"batchview.staging", "batchview.copying"}:
        with pytest.raises(ValueError, match=r"not staged: .*both"):
            await view.sizes([segment("both", 0, 2)])
    clock.advance(60)
    await view.remove(round(clock.now() * 1000))
    assert await view.sums(current, Query(PAGES)) == {(): (edits, edits, edits)}
