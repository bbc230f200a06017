"""What every speed view promises (services/shared/speedview/port.py), over every adapter."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.shared.domain.positions import Vector
from services.shared.domain.query import Between, Condition, OneOf, Query
from services.shared.domain.views import EDITS, PAGES, VIEWS, WORDS, Rows, View, rows_of
from services.shared.runtime.exits import Exit
from services.shared.runtime.unavailable import Unavailable
from services.shared.speedview.elasticsearch import ElasticSpeedView
from services.shared.speedview.embedded import SqliteSpeedView
from services.shared.speedview.port import BegunAnew, Indexed, Search, SpeedView, Visible
from services.shared.text import search_terms
from tests.contract import elastic
from tests.contract.backends import chosen, url
from tests.deaths import died
from tests.launchers.elasticsearch import VARIABLE
from tests.unit.speed.made import END, MORNING, START, at, logs, winners

LOG = "log-1"
Opener = Callable[[], Awaitable[SpeedView]]
# The view is emptied by each example itself, for which a server needs half a second.
law = settings(
    deadline=None,
    max_examples=15 if os.environ.get(VARIABLE) else 60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def place(backend: str, tmp_path: Path) -> Iterator[str]:
    """Where a view of this test's own is: a file, or a URL whose path is the prefix of its indices."""
    prefix = f"test-{secrets.token_hex(6)}"
    places: dict[str, Callable[[], str]] = {
        "embedded": lambda: str(tmp_path / "speed.db"),
        "real": lambda: f"{url(VARIABLE)}/{prefix}",
    }
    yield chosen("speed view", backend, places)()
    if backend == "real":
        elastic.remove(url(VARIABLE), prefix)


async def opened(place: str) -> SpeedView:
    if place.startswith("http"):
        return await ElasticSpeedView.open(place)
    return await SqliteSpeedView.open(Path(place))


@pytest.fixture
async def opener(place: str) -> AsyncIterator[Opener]:
    """Opens the same view once more, as another process would."""
    async with AsyncExitStack() as stack:

        async def once_more() -> SpeedView:
            view = await opened(place)
            stack.push_async_callback(view.close)
            return view

        yield once_more


@pytest.fixture
async def view(opener: Opener) -> SpeedView:
    view = await opener()
    await view.begin(LOG, START, None, text_version=1)
    return view


async def put(view: SpeedView, documents: Sequence[Indexed], until: Vector, times: Vector) -> None:
    """As the one writer does: from where the view stands."""
    visible = await view.visible()
    assert visible is not None
    await view.write(documents, visible.positions, until, times)


async def everything(view: SpeedView) -> list[Indexed]:
    """All whole documents that the view vouches for."""
    visible = await view.visible()
    assert visible is not None
    return await view.search(Search(), visible.floor, visible.positions, limit=1000)


async def found(view: SpeedView, text: str) -> list[str]:
    """Titles that a search for the text finds, newest first."""
    search, visible = Search(terms=tuple(search_terms(text))), await view.visible()
    assert visible is not None
    hits = await view.search(search, visible.floor, visible.positions, limit=100)
    return [hit.document.change.title for hit in hits]


def untold(log: list[Indexed]) -> list[Indexed]:
    """As a search returns them: newest append first, without terms."""
    newest = sorted(log, key=lambda f: (f.appended_at, f.partition, f.offset), reverse=True)
    return [hit._replace(terms=()) for hit in newest]


def grouped(rows: Rows, query: Query) -> Rows:
    """The query's sums from a view's rows, by the slowest way that can be right."""
    sums: Rows = {}
    for key, measures in rows.items():
        row = dict(zip(query.view.keys, key, strict=True))
        if all(_meets(row, condition) for condition in query.where):
            group = tuple(row[name] for name in query.group)
            old = sums.get(group, (0,) * len(measures))
            sums[group] = tuple(x + y for x, y in zip(old, measures, strict=True))
    return sums


def _meets(row: dict[str, int | str], condition: Condition) -> bool:
    value = row[condition.column]
    if isinstance(condition, OneOf):
        return value in condition.values
    return isinstance(value, int) and condition.low <= value < condition.high


@st.composite
def queries(draw: st.DrawFn, view: View) -> Query:
    group = draw(st.lists(st.sampled_from(view.keys), unique=True))
    where: list[Condition] = []
    if draw(st.booleans()):
        low = MORNING // 3600 + draw(st.integers(0, 2))
        column = next((name for name in ("hour", "day") if name in view.keys), "day")
        where.append(Between(column, 0 if column == "day" else low, 20_160_101))
    if draw(st.booleans()):
        projects = draw(st.lists(st.sampled_from(["pt.wikipedia", "en.wikipedia", "x"])))
        where.append(OneOf("project", tuple(projects)))
    return Query(view, tuple(group), tuple(where))


# The lowest position wins


@law
@given(log=logs(), data=st.data())
async def test_the_lowest_position_wins_in_any_order_split_and_repetition(
    view: SpeedView, log: list[Indexed], data: st.DataObject
) -> None:
    await view.begin(LOG, START, None, text_version=1)
    order = data.draw(
        st.permutations(log + data.draw(st.lists(st.sampled_from(log)) if log else st.just([])))
    )
    while order:
        size = data.draw(st.integers(1, len(order)))
        await put(view, order[:size], END, START)
        order = order[size:]
    await put(view, [], END, START)
    assert await everything(view) == untold(winners(log))
    for of in VIEWS:
        expected = rows_of(of, (hit.document for hit in winners(log)))
        assert await view.sums(Query(of, of.keys), START, END) == expected


async def test_a_copy_beaten_after_it_was_found_is_in_no_search_and_no_sum(view: SpeedView) -> None:
    await put(view, [at(0, 9, "x", title="Porto", net_bytes=9)], END, START)
    await put(view, [at(0, 3, "x", title="Lisboa", net_bytes=3)], END, START)
    assert await found(view, "porto") == []
    assert await found(view, "lisboa") == ["Lisboa"]
    assert await view.sums(Query(PAGES, ("title",)), START, END) == {("Lisboa",): (1, 3, 3)}


# Sums


@law
@given(log=logs(), data=st.data())
async def test_sums_are_those_of_the_winners_in_the_span(
    view: SpeedView, log: list[Indexed], data: st.DataObject
) -> None:
    await view.begin(LOG, START, None, text_version=1)
    await put(view, log, END, START)
    offsets = st.tuples(st.integers(0, 20), st.integers(0, 20))
    since, until = data.draw(offsets), data.draw(offsets)
    query = data.draw(st.sampled_from(VIEWS).flatmap(queries))
    rows = rows_of(query.view, (hit.document for hit in winners(log, since, until)))
    assert await view.sums(query, since, until) == grouped(rows, query)


async def test_a_batch_that_does_not_follow_is_refused_whole(view: SpeedView) -> None:
    """A writer may come late, to a view that has been emptied since it read the log."""
    await put(view, [at(0, 1), at(0, 2)], (3, 3), START)
    before = await view.visible()
    await view.begin(LOG, START, (3, 3), text_version=1)
    begun = await view.visible()
    for late in ([], [at(0, 3)]):
        with pytest.raises(BegunAnew, match=r"begins at \(3, 3\), the view stands at \(0, 0\)"):
            await view.write(late, (3, 3), (4, 3), START)
    assert await view.visible() == begun
    assert await view.search(Search(), START, START, limit=9) == []
    await view.write([at(0, 1), at(0, 2)], START, (3, 3), START)
    assert await view.visible() == before
    await view.write([at(0, 2)], (1, 1), (3, 3), START)
    assert await view.visible() == before, "a copy of what is there follows"
    assert len(await view.search(Search(), START, (3, 3), limit=9)) == 2


async def test_a_condition_may_have_very_many_values(view: SpeedView) -> None:
    await put(view, [at(0, 1, title="Lisboa"), at(1, 1, title="Ünïcödé 'n\" co")], END, START)
    titles = (*(f"page {n}" for n in range(100_000)), "Ünïcödé 'n\" co")
    rows = await view.sums(Query(PAGES, ("title",), (OneOf("title", titles),)), START, END)
    assert rows == {("Ünïcödé 'n\" co",): (1, 7, 7)}


async def test_values_are_data_whatever_they_look_like(view: SpeedView) -> None:
    await put(view, [at(0, 1)], END, START)
    hostile = Query(EDITS, (), (OneOf("project", ("' OR 1=1 --", "pt.wikipedia') --")),))
    assert await view.sums(hostile, START, END) == {}


async def test_nothing_sums_up_to_no_rows(view: SpeedView) -> None:
    await put(view, [], END, START)
    assert await view.sums(Query(WORDS), START, END) == {}


async def test_a_span_has_its_first_position_and_not_its_last(view: SpeedView) -> None:
    await put(view, [at(p, n) for p in (0, 1) for n in range(5)], (5, 5), START)
    for since, until, count in (((1, 4), (3, 5), 3), ((2, 2), (2, 3), 1), ((0, 0), (5, 5), 10)):
        assert (await view.sums(Query(EDITS), since, until))[()][0] == count


async def test_sums_are_exact_or_nothing(view: SpeedView) -> None:
    """A view that has lost what somebody pinned must not answer without it."""
    log = [at(0, 1), at(1, 1), at(0, 6), at(1, 6)]
    await put(view, log, (8, 8), START)
    total = Query(EDITS)
    whole = await view.sums(total, START, (8, 8))
    for until in ((9, 8), (8, 9)):
        with pytest.raises(Unavailable):
            await view.sums(total, START, until)
    await view.begin(LOG, START, (8, 8), text_version=1)
    with pytest.raises(Unavailable):
        await view.sums(total, START, (8, 8))
    await put(view, log[:2], (5, 5), START)
    with pytest.raises(Unavailable):
        await view.sums(total, (5, 0), (8, 5))
    assert (await view.sums(total, (5, 0), (5, 5)))[()][0] == 1
    await put(view, log[2:], (8, 8), START)
    assert await view.sums(total, START, (8, 8)) == whole
    await view.begin(LOG, (5, 0), None, text_version=1)
    await put(view, log[1:], (8, 8), START)
    with pytest.raises(Unavailable):
        await view.sums(total, (4, 0), (8, 8))
    assert (await view.sums(total, (5, 0), (8, 8)))[()][0] == 3


# Visible


async def test_a_view_that_has_not_begun_vouches_for_nothing(opener: Opener) -> None:
    fresh = await opener()
    assert await fresh.visible() is None
    assert await fresh.oldest() is None
    with pytest.raises(Unavailable):
        await fresh.sums(Query(EDITS), START, END)
    with pytest.raises(Unavailable):
        await fresh.search(Search(), START, END, limit=9)
    assert await fresh.sums(Query(EDITS), START, START) == {}
    assert await fresh.shrink(END, END) == await fresh.forget(END) == 0


async def test_the_visible_position_moves_over_canaries_and_never_goes_back(
    view: SpeedView,
) -> None:
    await put(view, [at(0, 1)], (2, 0), (1_001, 0))
    await put(view, [], (2, 5), (1_001, 1_005))
    await put(view, [at(0, 0, "late")], (1, 1), (1_000, 1_001))
    assert await view.visible() == Visible(LOG, (2, 5), (1_001, 1_005), START, text_version=1)


async def test_a_rebuild_ends_where_it_was_to_end(view: SpeedView) -> None:
    await view.begin(LOG, (3, 0), (5, 5), text_version=1)
    await put(view, [], (5, 4), START)
    assert await view.visible() == Visible(LOG, (5, 4), START, (3, 0), (5, 5), text_version=1)
    await put(view, [], (5, 5), START)
    assert await view.visible() == Visible(LOG, (5, 5), START, (3, 0), text_version=1)


async def test_begin_empties_the_view(view: SpeedView) -> None:
    await put(view, [at(0, 1, "x")], (2, 0), (1, 1))
    await view.begin("log-2", (7, 7), None, text_version=2)
    assert await view.visible() == Visible("log-2", (7, 7), START, (7, 7), text_version=2)
    assert await everything(view) == []
    await put(view, [at(0, 9, "x")], (10, 7), (1, 1))
    assert [hit.offset for hit in await everything(view)] == [9]


async def test_what_is_written_is_there_after_a_reopening_and_for_others(
    view: SpeedView, opener: Opener
) -> None:
    await put(view, [at(0, 1)], (2, 0), (1_001, 0))
    other = await opener()
    assert await other.visible() == Visible(LOG, (2, 0), (1_001, 0), START, text_version=1)
    assert await everything(other) == untold([at(0, 1)])


async def test_a_view_that_has_not_begun_takes_nothing(opener: Opener) -> None:
    fresh = await opener()
    with pytest.raises(ValueError, match="not begun"):
        await fresh.write([at(0, 1)], START, END, END)


# Search


@pytest.mark.parametrize(
    "text",
    ["łodz", "LODZ", "Łódź fabryczna", "東京", "京", "東京都", "Ana's", "fabryczna ana"],
)
async def test_search_finds_all_terms_without_case_and_accents(view: SpeedView, text: str) -> None:
    match = at(0, 1, title="Łódź Fabryczna", comment="東京都", user="Ana's")
    await put(view, [match, at(1, 1, title="Kraków", user="Bob")], END, START)
    assert await found(view, text) == ["Łódź Fabryczna"]


@pytest.mark.parametrize("text", ["Łódź Kraków", "fabry", "京東", "krakow AND lodz"])
async def test_search_finds_nothing_that_lacks_a_term(view: SpeedView, text: str) -> None:
    await put(view, [at(0, 1, title="Łódź Fabryczna", comment="東京都")], END, START)
    assert await found(view, text) == []


HOSTILE = (
    'a"b', "NEAR(a b)", "fish*", "terms:fish", "(fish", "^fish", "fish OR chips", "-fish", "'; --",
    "fish AND NOT chips", '""', "\\", "%", "{terms}: fish + chips",
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_text_is_plain_text(view: SpeedView, text: str) -> None:
    await put(view, [at(0, 1, title=text, user=""), at(0, 2, title="Lisboa")], END, START)
    assert text in await found(view, text)
    assert (await found(view, text) == [text]) == bool(search_terms(text))


@pytest.mark.parametrize("term", [*HOSTILE, "ab*cd", '"', "é", "𞤢𞤣", "x" * 64])
async def test_a_term_is_found_by_itself_alone(view: SpeedView, term: str) -> None:
    term = term.replace(" ", "_").lower()
    await put(view, [at(0, 1)._replace(terms=(term, "z")), at(0, 2)], END, START)
    hits = await view.search(Search(terms=(term,)), START, END, limit=9)
    assert [hit.offset for hit in hits] == [1]


async def test_a_search_may_have_very_many_terms(view: SpeedView) -> None:
    terms = tuple(f"t{n}" for n in range(2000))
    await put(view, [at(0, 1)._replace(terms=terms), at(0, 2)], END, START)
    assert len(await view.search(Search(terms=terms), START, END, limit=9)) == 1
    assert await view.search(Search(terms=(*terms, "more")), START, END, limit=9) == []


@pytest.mark.parametrize(
    ("search", "offsets"),
    [
        (Search(projects=("en.wikipedia",)), [2]),
        (Search(projects=("en.wikipedia", "pt.wikipedia")), [3, 2, 1]),
        (Search(types=("log",)), [3]),
        (Search(editor_classes=("group-bot",)), [2]),
        (Search(namespaces=(4, 5)), [3]),
        (Search(low=MORNING + 1), [3]),
        (Search(low=MORNING, high=MORNING + 1), [2, 1]),
        (Search(terms=("lisboa",), projects=("pt.wikipedia",), types=("edit",)), [1]),
        (Search(types=("nonsense",)), []),
    ],
)
async def test_every_filter_must_hold(view: SpeedView, search: Search, offsets: list[int]) -> None:
    await put(
        view,
        [
            at(0, 1),
            at(0, 2, project="en.wikipedia", editor_class="group-bot"),
            at(0, 3, type="log", namespace=4, timestamp=MORNING + 1),
        ],
        END,
        START,
    )
    assert [hit.offset for hit in await view.search(search, START, END, limit=9)] == offsets


async def test_search_stays_within_the_span(view: SpeedView) -> None:
    await put(view, [at(p, n) for p in (0, 1) for n in range(5)], END, START)
    hits = await view.search(Search(terms=("lisboa",)), (1, 4), (3, 5), limit=9)
    assert [(hit.partition, hit.offset) for hit in hits] == [(1, 4), (0, 2), (0, 1)]


@law
@given(
    times=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2)), max_size=20),
    size=st.integers(1, 5),
    terms=st.sampled_from([(), ("lisboa",)]),
)
async def test_pages_join_to_the_whole_while_new_documents_arrive(
    view: SpeedView, times: list[tuple[int, int]], size: int, terms: tuple[str, ...]
) -> None:
    await view.begin(LOG, START, None, text_version=1)
    log, now = [], 1_000
    for offset, (partition, passed) in enumerate(times):
        now += passed
        log.append(at(partition, offset, time=now))
    await put(view, log, END, START)
    until, search = (len(log), len(log)), Search(terms=terms)
    pages: list[Indexed] = []
    while page := await view.search(
        search, START, until, limit=size,
        after=(pages[-1].appended_at, pages[-1].partition, pages[-1].offset) if pages else None,
    ):  # fmt: skip
        assert len(page) <= size
        pages += page
        await put(view, [at(0, len(log) + len(pages), time=now)], END, START)
    assert pages == untold(log)


# Scan and follow: how somebody keeps up with the view


@law
@given(
    times=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2)), max_size=20),
    limit=st.integers(1, 25),
    search=st.sampled_from([Search(), Search(terms=("lisboa",)), Search(types=("edit",))]),
    data=st.data(),
)
async def test_a_scan_is_a_search_from_the_other_end(
    view: SpeedView,
    times: list[tuple[int, int]],
    limit: int,
    search: Search,
    data: st.DataObject,
) -> None:
    await view.begin(LOG, START, None, text_version=1)
    log, now = [], 1_000
    for offset, (partition, passed) in enumerate(times):
        now += passed
        kind, title = data.draw(st.sampled_from([("edit", "Lisboa"), ("log", "Porto")]))
        log.append(at(partition, offset, time=now, type=kind, title=title))
    await put(view, log, (20, 20), START)
    offsets = st.tuples(st.integers(0, 20), st.integers(0, 20))
    since, until = data.draw(offsets), data.draw(offsets)
    newest_first = await view.search(search, since, until, limit=100)
    assert await view.scan(search, since, until, limit=limit) == newest_first[::-1][:limit]


async def test_a_scan_is_exact_or_nothing(view: SpeedView) -> None:
    await put(view, [at(0, 1), at(0, 6)], (8, 8), START)
    with pytest.raises(Unavailable):
        await view.scan(Search(), START, (9, 8), limit=9)
    await view.begin(LOG, (5, 0), None, text_version=1)
    await put(view, [at(0, 6)], (8, 8), START)
    with pytest.raises(Unavailable):
        await view.scan(Search(), (4, 0), (8, 8), limit=9)
    assert [hit.offset for hit in await view.scan(Search(), (5, 0), (8, 8), limit=9)] == [6]


async def test_followers_hear_of_every_move_also_of_another_process(
    view: SpeedView, opener: Opener
) -> None:
    other = await opener()
    async with aclosing(view.follow()) as own, aclosing(other.follow()) as others:
        for follower in (own, others):
            assert await anext(follower) == Visible(LOG, START, START, START, text_version=1)
        async with asyncio.timeout(20):
            for offset in range(1, 4):
                coming = [asyncio.create_task(anext(follower)) for follower in (own, others)]
                await asyncio.sleep(0)  # both wait
                await put(view, [at(0, offset)], (offset + 1, 0), (1_000 + offset, 0))
                expected = Visible(LOG, (offset + 1, 0), (1_000 + offset, 0), START, text_version=1)
                assert await asyncio.gather(*coming) == [expected, expected]
            await put(view, [], (9, 0), START)
            await view.begin("log-2", START, (9, 9), text_version=1)
            assert (await anext(own)).log == "log-2", "only the newest is told"


async def test_followers_hear_of_what_is_let_go_of(view: SpeedView) -> None:
    await put(view, [at(0, 1)], (5, 5), (2_000, 2_000))
    async with aclosing(view.follow()) as follower, asyncio.timeout(20):
        assert (await anext(follower)).floor == START
        await view.shrink((2, 0), (9_999, 9_999))
        assert (await anext(follower)).floor == (2, 0)


async def test_a_view_that_has_not_begun_is_waited_for(opener: Opener) -> None:
    fresh = await opener()
    async with aclosing(fresh.follow()) as follower, asyncio.timeout(20):
        coming = asyncio.create_task(anext(follower))
        await asyncio.sleep(0.05)
        assert not coming.done()
        await fresh.begin(LOG, START, None, text_version=1)
        assert await coming == Visible(LOG, START, START, START, text_version=1)


# Retention


async def test_what_shrinks_leaves_its_id_so_that_a_later_copy_loses(view: SpeedView) -> None:
    await put(view, [at(0, 1, "x"), at(0, 2, "y"), at(1, 1, "z")], END, START)
    assert await view.oldest() == 1_001
    assert await view.shrink((2, 9), (9_999, 1_001)) == 1
    assert [hit.document.change.id[-1] for hit in await everything(view)] == ["y", "z"]
    assert await found(view, "lisboa") == ["Lisboa"] * 2
    await put(view, [at(0, 7, "x"), at(0, 1, "x")], END, START)
    assert [hit.document.change.id[-1] for hit in await everything(view)] == ["y", "z"]
    assert await view.shrink((2, 9), (9_999, 1_001)) == 0


async def test_only_what_is_before_both_position_and_time_shrinks(view: SpeedView) -> None:
    await put(view, [at(0, n, time=1_000 + n // 2) for n in range(10)], END, START)
    assert await view.shrink((9, 0), (1_002, 0)) == 4
    assert await view.shrink((5, 9), (9_999, 9_999)) == 1
    assert await view.oldest() == 1_002
    assert {hit.offset for hit in await everything(view)} == set(range(5, 10))


async def test_it_vouches_for_nothing_that_it_has_let_go_of(view: SpeedView) -> None:
    await put(view, [at(p, n, f"{p}-{n}") for p in (0, 1) for n in range(4)], (4, 4), (9, 9))
    assert await view.shrink((2, 4), (1_001, 1_003)) == 4
    visible = await view.visible()
    assert visible is not None
    assert visible.floor == (1, 3)
    whole = await view.sums(Query(EDITS), (1, 3), (4, 4))
    assert whole[()][0] == 4
    for since, until in (((0, 3), (4, 4)), ((1, 2), (4, 4)), (START, (4, 4)), ((1, 3), (4, 5))):
        with pytest.raises(Unavailable):
            await view.sums(Query(EDITS), since, until)
        with pytest.raises(Unavailable):
            await view.search(Search(), since, until, limit=9)
    await view.shrink((1, 4), (9_999, 1_000))
    assert (await view.visible()) == visible, "the floor never sinks"
    await view.forget((1_002, 0))
    floor = (await view.visible() or visible).floor
    assert floor == (2, 3)


async def test_what_is_forgotten_may_come_back(view: SpeedView) -> None:
    await put(view, [at(0, 1, "x"), at(0, 2, "y"), at(1, 3, "z")], END, START)
    assert await view.forget((1_002, 0)) == 1
    assert [hit.document.change.id[-1] for hit in await everything(view)] == ["z", "y"]
    await put(view, [at(0, 9, "x"), at(0, 8, "y"), at(1, 8, "z")], END, START)
    assert [(hit.document.change.id[-1], hit.offset) for hit in await everything(view)] == [
        ("x", 9), ("z", 3), ("y", 2),
    ]  # fmt: skip


async def test_very_many_documents_shrink_and_are_forgotten(view: SpeedView) -> None:
    await put(view, [at(n % 2, n // 2) for n in range(9_000)], END, START)
    assert await view.shrink((4_400, 9_999), END) == 8_900
    assert len(await everything(view)) == 100
    assert await view.forget(END) == 9_000
    assert await view.oldest() is None


async def test_size_is_what_it_takes_on_disk(view: SpeedView) -> None:
    before = await view.size()
    await put(view, [at(0, n, comment="x" * 1000) for n in range(1000)], END, START)
    assert await view.size() - before > 1_000_000


# Crashes


async def write_twice(place: str) -> None:
    view = await opened(place)
    await view.begin(LOG, START, None, text_version=1)
    await put(view, [at(0, 1), at(0, 2)], (3, 0), (1_002, 0))
    await put(view, [at(0, 1), at(0, 3), at(1, 0, "late")], (4, 1), (1_003, 1_000))


async def test_a_write_that_dies_half_way_leaves_nothing(place: str, opener: Opener) -> None:
    assert await died(write_twice, place, at="speed.in-write:2") == Exit.CRASHED
    view = await opener()
    assert await view.visible() == Visible(LOG, (3, 0), (1_002, 0), START, text_version=1)
    assert await everything(view) == untold([at(0, 1), at(0, 2)])
    await put(view, [at(0, 3), at(1, 0, "late")], (4, 1), (1_003, 1_000))
    assert len(await everything(view)) == 4
