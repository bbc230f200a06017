"""What every batch view promises of topics (services/shared/batchview/port.py), over every adapter."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.shared.batchview.port import BatchView, Gone, PageOfDay, Superseded
from services.shared.domain.generation import Generation, first
from services.shared.domain.query import Having, OneOf, Query
from services.shared.domain.topics import NONE, Page, PageMap, TopicModel, identified
from services.shared.domain.views import PAGES, TOPICS, Document, Key, Measures, Rows, add, rows_of
from services.shared.runtime.clock import ManualClock
from services.shared.runtime.exits import Exit
from tests.contract.batchviews import MANY, backend_of, fresh
from tests.contract.test_batchview import DAY, NOW, ONE, page, queries, segment
from tests.deaths import died
from tests.unit.batch.made import documents
from tests.unit.domain.test_topics import model

Opener = Callable[[], Awaitable[BatchView]]
A, B = identified(model([[1.0, 0.0]])), identified(model([[0.0, 1.0]]))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
async def view(opener: Opener) -> BatchView:
    view = await opener()
    await view.begin(first("log", 1, NOW * 1000))
    part = segment("s", 0, 1)
    rows = [(page("p", title), ONE) for title in "ABC"]
    await view.stage(part, {"pages": rows}, {})
    await view.publish(0, Generation(1, "log", (part,), (1,), (0,), 0, NOW * 1000))
    return view


async def mapped(
    view: BatchView, made: TopicModel, name: str, after: str = "", **pages: int
) -> int:
    await view.stage_model(made)
    of = {Page("p", title): topic for title, topic in pages.items()}
    return await view.stage_map(PageMap(name, made.id, after), of)


async def publish(view: BatchView, made: TopicModel, name: str, at: int = NOW * 1000) -> Generation:
    current = await view.current()
    assert current is not None
    generation = replace(
        current,
        number=current.number + 1,
        topic_model=made.id,
        topic_map=name,
        published_at=at,
    )
    await view.publish(current.number, generation)
    return generation


async def topics(view: BatchView, generation: Generation) -> dict[Key, Measures]:
    return await view.sums(generation, Query(TOPICS, ("title", "topic")))


def each(**pages: int) -> Rows:
    return dict.fromkeys(pages.items(), ONE)


# Answers


@given(
    parts=st.lists(st.lists(documents(), max_size=12), min_size=1, max_size=3),
    known=st.lists(st.dictionaries(st.integers(0, 30), st.integers(-1, 3)), min_size=1, max_size=3),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
async def test_answers_are_what_grouping_by_the_map_gives(
    backend: str, parts: list[list[Document]], known: list[dict[int, int]], data: st.DataObject
) -> None:
    query = data.draw(queries(TOPICS))
    if data.draw(st.booleans()):
        query = replace(query, where=(*query.where, OneOf("topic", (-1, 2))))
    total = rows_of(PAGES, itertools.chain(*parts))
    pages = sorted({Page(str(key[0]), str(key[2])) for key in total})
    maps = [
        {pages[n % len(pages)]: topic for n, topic in one.items()} if pages else {} for one in known
    ]
    of: dict[Page, int] = {}
    for one in reversed(maps):
        of |= one  # what the first has, the later ones don't change
    expected = grouped(total, of, query)
    async with fresh(backend, ManualClock(NOW)) as view:
        await view.begin(first("log", 1, 0))
        segments = [segment(f"s{i}", i, i + 1) for i in range(len(parts))]
        for part, taken in zip(segments, parts, strict=True):
            await view.stage(part, {"pages": rows_of(PAGES, taken).items()}, {})
        await view.stage_model(A)
        for n, one in enumerate(maps):
            size = await view.stage_map(PageMap(f"m{n}", A.id, f"m{n - 1}" if n else ""), one)
        assert size == len(of)
        last = f"m{len(maps) - 1}"
        generation = Generation(
            1, "log", tuple(segments), (len(parts),), (0,), 0, 0,
            topic_model=A.id, topic_map=last,
        )  # fmt: skip
        await view.publish(0, generation)
        assert await view.sums(generation, query) == expected
        ordered = sorted(expected.items(), key=lambda row: (-row[1][0], row[0]))
        assert await view.top(generation, query, measure="edits", limit=3) == ordered[:3]
        met = [m for m in expected.values() if 1 <= m[0] < 4]
        assert await view.count(generation, query, Having("edits", 1, 4)) == len(met)
        assert await view.topics_of(generation, [*pages, Page("p", "unknown")]) == of


def grouped(total: Rows, of: dict[Page, int], query: Query) -> Rows:
    sums: Rows = {}
    for key, measures in total.items():
        row = dict(zip(PAGES.keys, key, strict=True))
        row["topic"] = of.get(Page(str(row["project"]), str(row["title"])), NONE)
        if all(
            row[c.column] in c.values
            if isinstance(c, OneOf)
            else c.low <= int(row[c.column]) < c.high
            for c in query.where
        ):
            sums = add(sums, {tuple(row[name] for name in query.group): measures})
    return sums


async def test_without_a_model_every_page_is_about_none(view: BatchView) -> None:
    current = await view.generation(1)
    assert await topics(view, current) == each(A=NONE, B=NONE, C=NONE)
    assert await view.topics_of(current, [Page("p", "A")]) == {}


async def test_a_model_may_be_large(view: BatchView) -> None:
    """Larger than what a server takes as one piece."""
    weights = [[float(row), *([0.5] * 63)] for row in range(70_000)]
    large = identified(model(weights, tuple(f"w{row}" for row in range(70_000))))
    await view.stage_model(large)
    await view.stage_model(large)
    assert await view.model(large.id) == large
    with pytest.raises(Gone, match="topic model"):
        await view.model(A.id)


async def test_a_reader_of_the_old_map_is_not_disturbed(view: BatchView) -> None:
    await mapped(view, A, "a", A=0)
    old = await publish(view, A, "a")
    assert await mapped(view, A, "ab", after="a", A=1, B=1) == 2
    assert await topics(view, old) == each(A=0, B=NONE, C=NONE)
    new = await publish(view, A, "ab")
    assert await topics(view, old) == each(A=0, B=NONE, C=NONE)
    assert await topics(view, new) == each(A=0, B=1, C=NONE), "A keeps the topic it had"
    assert await view.topics_of(old, [Page("p", "A"), Page("p", "B")]) == {Page("p", "A"): 0}


async def test_each_generation_answers_by_its_own_model(view: BatchView) -> None:
    await mapped(view, A, "a", A=0, B=0)
    old = await publish(view, A, "a")
    await mapped(view, B, "b", A=1, C=1)
    new = await publish(view, B, "b")
    assert await topics(view, old) == each(A=0, B=0, C=NONE)
    assert await topics(view, new) == each(A=1, B=NONE, C=1)
    assert await view.model(old.topic_model) == A
    assert await view.model(new.topic_model) == B


async def test_two_that_extend_one_map_know_nothing_of_each_other(view: BatchView) -> None:
    await mapped(view, A, "a", A=0)
    base = await publish(view, A, "a")
    await mapped(view, A, "lost", after="a", B=1, C=1)
    await mapped(view, A, "won", after="a", B=0)
    won = await publish(view, A, "won")
    with pytest.raises(Superseded):
        await view.publish(base.number, replace(won, topic_map="lost"))
    assert await topics(view, won) == each(A=0, B=0, C=NONE)
    assert await mapped(view, A, "next", after="won", C=0) == 3
    assert await topics(view, await publish(view, A, "next")) == each(A=0, B=0, C=0)


async def test_hostile_titles_are_pages_like_any_other(view: BatchView) -> None:
    titles = ["'; DROP TABLE pages; --", '"', "\U0001f600", "a\tb", "%_", ""]
    await view.stage_model(A)
    await view.stage_map(PageMap("a", A.id), {Page("p", title): 0 for title in titles})
    generation = await publish(view, A, "a")
    pages = [Page("p", title) for title in titles]
    assert await view.topics_of(generation, pages) == dict.fromkeys(pages, 0)


async def test_many_pages_are_looked_up_at_once(backend: str, view: BatchView) -> None:
    await view.stage_model(A)
    known = {Page(f"p{n % 3}", f"{n}"): n % 2 for n in range(0, MANY[backend], 2)}
    assert await view.stage_map(PageMap("a", A.id), known) == len(known)
    generation = await publish(view, A, "a")
    asked = [Page(f"p{n % 3}", f"{n}") for n in range(MANY[backend])]
    assert await view.topics_of(generation, asked) == known


async def test_the_pages_of_a_segment_come_in_pieces(view: BatchView) -> None:
    rows = {
        (project, day, name, editor, kind): ONE
        for project, day, name, kind in itertools.product(
            ("p", "q"), (DAY, DAY + 1), ("A", "'; --", "\U0001f600", ""), ("content", "non-content")
        )
        for editor in ("user", "group-bot")
        if kind == "non-content" or name != "A"
    }
    part = segment("more", 1, 2)
    await view.stage(part, {"pages": rows.items()}, {})
    found: list[PageOfDay] = []
    while some := await view.pages(part, limit=5, after=found[-1] if found else None):
        assert len(some) <= 5
        found += some
    first: dict[tuple[object, ...], str] = {}
    for project, day, name, _, kind in sorted(rows, key=lambda key: str(key[4])):
        first.setdefault((day, project, name), str(kind))
    assert sorted(found) == sorted((*key, kind) for key, kind in first.items())
    with pytest.raises(ValueError, match="not staged"):
        await view.pages(segment("none", 0, 1), limit=5)


# Staging


async def test_a_generation_needs_its_model_and_its_map(view: BatchView) -> None:
    for name in ("missing", "a"):
        with pytest.raises(ValueError, match="topics not staged"):
            await publish(view, A, name)
        await view.stage_map(PageMap("a", A.id), {})  # a map, whose model is nowhere
    await mapped(view, A, "b")
    with pytest.raises(ValueError, match="topics not staged"):
        await publish(view, B, "b")
    current = await view.current()
    assert current is not None
    assert current.number == 1


async def test_a_map_extends_one_of_its_own_model(view: BatchView) -> None:
    await mapped(view, A, "a", A=0)
    with pytest.raises(ValueError, match="not staged, or of another model: a"):
        await mapped(view, B, "b", after="a")
    with pytest.raises(ValueError, match="not staged, or of another model: none"):
        await mapped(view, A, "c", after="none")


async def test_staging_a_map_again_replaces_it_unless_a_generation_names_it(
    view: BatchView,
) -> None:
    await mapped(view, A, "a", A=0)
    assert await mapped(view, A, "a", B=1) == 1
    generation = await publish(view, A, "a")
    assert await topics(view, generation) == each(A=NONE, B=1, C=NONE)
    with pytest.raises(ValueError, match="page map a"):
        await mapped(view, A, "a", C=1)
    assert await topics(view, generation) == each(A=NONE, B=1, C=NONE)


async def test_everything_is_there_after_reopening(view: BatchView, opener: Opener) -> None:
    await mapped(view, A, "a", A=0)
    await mapped(view, A, "ab", after="a", B=1)
    generation = await publish(view, A, "ab")
    again = await opener()
    assert await again.current() == generation
    assert await again.model(A.id) == A
    assert await topics(again, generation) == each(A=0, B=1, C=NONE)


# Removal


async def test_models_and_maps_go_with_the_last_generation_that_needs_them(
    view: BatchView, clock: ManualClock
) -> None:
    await mapped(view, A, "a", A=0)
    await mapped(view, A, "ab", after="a", B=0)
    old = await publish(view, A, "ab")
    await mapped(view, A, "abc", after="ab", C=0)
    await mapped(view, A, "lost", after="ab", C=1)
    clock.advance(60)
    later = round(clock.now() * 1000)
    kept = await publish(view, A, "abc", at=later)
    await view.remove(later + 1)
    assert await topics(view, kept) == each(A=0, B=0, C=0), "with the maps that it extends"
    with pytest.raises(ValueError, match="lost"):
        await mapped(view, A, "more", after="lost")
    with pytest.raises(Gone):
        await view.topics_of(old, [Page("p", "A")])
    await mapped(view, B, "b", A=1)
    clock.advance(60)
    latest = round(clock.now() * 1000)
    new = await publish(view, B, "b", at=latest)
    await view.remove(latest)
    assert await topics(view, kept) == each(A=0, B=0, C=0), "superseded at that very time"
    await view.remove(latest + 1)
    assert await topics(view, new) == each(A=1, B=NONE, C=NONE)
    with pytest.raises(Gone, match="topic model"):
        await view.model(A.id)
    with pytest.raises(ValueError, match="abc"):
        await mapped(view, A, "more", after="abc")


async def test_what_was_staged_a_moment_ago_stays(view: BatchView, clock: ManualClock) -> None:
    await mapped(view, A, "a", A=0)
    await view.remove(round(clock.now() * 1000))
    assert await topics(view, await publish(view, A, "a")) == each(A=0, B=NONE, C=NONE)


# Crashes


async def assign_more(backend: str, folder: Path) -> None:
    view = await backend_of(backend, folder).open(ManualClock(NOW))
    await mapped(view, A, "ab", after="a", B=0)
    await mapped(view, A, "abc", after="ab", C=0)
    await publish(view, A, "abc")
    await view.close()


@pytest.mark.parametrize("passes", [1, 2])
async def test_a_crash_while_pages_are_assigned_leaves_the_map_as_it_was(
    backend: str, opener: Opener, view: BatchView, tmp_path: Path, passes: int
) -> None:
    await mapped(view, A, "a", A=0)
    base = await publish(view, A, "a")
    end = await died(assign_more, backend, tmp_path, at=f"batchview.mapping:{passes}")
    assert end == Exit.CRASHED
    view = await opener()
    assert await view.current() == base
    assert await topics(view, base) == each(A=0, B=NONE, C=NONE)
    assert await view.sums(base, Query(TOPICS, ("day",))) == {(DAY,): (3, 3, 3)}
    assert await mapped(view, A, "ab", after="a", B=1) == 2, "and it is done again"
    assert await topics(view, await publish(view, A, "ab")) == each(A=0, B=1, C=NONE)
