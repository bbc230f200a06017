"""What the speed view on Elasticsearch promises beside its port: honest whatever happens to its indices.

Runs with `--backends=real` only.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from services.shared.domain.query import OneOf, Query
from services.shared.domain.views import EDITS, HASHTAGS, PAGES, WORDS, Document, Word, rows_of
from services.shared.runtime.unavailable import Unavailable
from services.shared.speedview import asking, bulk
from services.shared.speedview.cluster import Cluster
from services.shared.speedview.elasticsearch import ElasticSpeedView
from services.shared.speedview.port import BegunAnew, Busy, Indexed, Search
from tests.contract import elastic
from tests.contract.backends import url
from tests.launchers.elasticsearch import VARIABLE
from tests.unit.speed.made import END, START, at, change

LOG = "log-1"
W = (9, 9)
TOTAL = Query(EDITS)


class Place:
    """A view's own place on the server."""

    def __init__(self, server: str) -> None:
        self.server = server
        self.prefix = f"test-{secrets.token_hex(6)}"

    async def call(self, method: str, path: str, body: object = None) -> Any:
        return await asyncio.to_thread(elastic.call, self.server, method, path, body)

    async def documents(self) -> list[str]:
        names = await asyncio.to_thread(elastic.indices, self.server, self.prefix)
        return [name for name in names if "documents" in name]

    async def opened(self) -> ElasticSpeedView:
        return await ElasticSpeedView.open(f"{self.server}/{self.prefix}")


@pytest.fixture
async def place(backend: str) -> AsyncIterator[Place]:
    if backend != "real":
        pytest.skip("of the server's adapter")
    place = Place(url(VARIABLE))
    yield place
    await asyncio.to_thread(elastic.remove, place.server, place.prefix)


@pytest.fixture
async def view(place: Place) -> AsyncIterator[ElasticSpeedView]:
    """Begun, with two documents before W."""
    view = await place.opened()
    await view.begin(LOG, START, None, text_version=1)
    await view.write([at(0, 1), at(1, 2)], START, W, W)
    yield view
    await view.close()


async def refuses_to_answer(view: ElasticSpeedView) -> None:
    asked: list[Callable[[], Awaitable[object]]] = [
        lambda: view.sums(TOTAL, START, W),
        lambda: view.sums(Query(PAGES, PAGES.keys), START, W),
        lambda: view.search(Search(), START, W, limit=9),
        lambda: view.scan(Search(), START, W, limit=9),
    ]
    for ask in asked:
        with pytest.raises(Unavailable):
            await ask()


# What somebody else does to the indices


async def test_a_removed_index_is_a_lost_view_and_not_an_empty_one(
    view: ElasticSpeedView, place: Place
) -> None:
    (documents,) = await place.documents()
    await place.call("DELETE", documents)
    assert await view.visible() is None
    await refuses_to_answer(view)
    assert await view.oldest() is None
    assert await view.shrink(END, END) == await view.forget(END) == 0
    with pytest.raises(BegunAnew):
        await view.write([at(0, 9)], W, (10, 9), W)
    assert await place.documents() == [], "nothing makes an index on the side"
    await view.begin(LOG, START, W, text_version=1)
    await view.write([at(0, 1), at(1, 2)], START, W, W)
    assert (await view.sums(TOTAL, START, W))[()][0] == 2


async def test_an_index_in_the_place_of_ours_is_not_ours(
    view: ElasticSpeedView, place: Place
) -> None:
    (documents,) = await place.documents()
    await place.call("DELETE", documents)
    await place.call("PUT", documents)
    assert await view.visible() is None
    await refuses_to_answer(view)
    with pytest.raises(BegunAnew):
        await view.write([at(0, 9)], W, (10, 9), W)


async def test_a_removed_state_is_a_view_that_has_not_begun(
    view: ElasticSpeedView, place: Place
) -> None:
    await place.call("DELETE", f"{place.prefix}-speed-state-1")
    assert await view.visible() is None
    await refuses_to_answer(view)
    with pytest.raises(BegunAnew):
        await view.write([], W, (10, 9), W)
    await view.begin(LOG, W, None, text_version=1)
    assert len(await place.documents()) == 1, "what was left of before is gone"
    visible = await view.visible()
    assert visible is not None
    assert visible.positions == W


async def test_a_blocked_index_is_busy_and_nothing_moves(
    view: ElasticSpeedView, place: Place
) -> None:
    """As Elasticsearch blocks indices where the disk is full."""
    (documents,) = await place.documents()
    block = "index.blocks.read_only_allow_delete"
    await place.call("PUT", f"{documents}/_settings", {block: True})
    before = await view.visible()
    with pytest.raises(Busy):
        await view.write([at(0, 9)], W, (10, 9), W)
    assert await view.visible() == before
    assert (await view.sums(TOTAL, START, W))[()][0] == 2
    await place.call("PUT", f"{documents}/_settings", {block: None})
    await view.write([at(0, 9)], W, (10, 9), W)
    assert (await view.sums(TOTAL, START, (10, 9)))[()][0] == 3


# Several at once


async def test_writers_of_different_partitions_move_the_same_position(
    view: ElasticSpeedView, place: Place
) -> None:
    other = await place.opened()

    async def follow(writer: ElasticSpeedView, partition: int) -> None:
        for offset in range(9, 19):
            since = tuple(offset if p == partition else 0 for p in (0, 1))
            until = tuple(offset + 1 if p == partition else 0 for p in (0, 1))
            await writer.write([at(partition, offset)], since, until, START)

    await asyncio.gather(follow(view, 0), follow(other, 1))
    visible = await view.visible()
    assert visible is not None
    assert visible.positions == (19, 19)
    assert (await other.sums(TOTAL, START, (19, 19)))[()][0] == 22
    await other.close()


async def test_a_write_that_is_overtaken_by_a_new_beginning_leaves_nothing(
    view: ElasticSpeedView, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, send = await place.opened(), bulk.send

    async def overtaken(*args: Any) -> int:
        taken = await send(*args)
        await other.begin(LOG, START, W, text_version=1)
        return taken

    monkeypatch.setattr(bulk, "send", overtaken)
    with pytest.raises(BegunAnew, match=r"stands at \(0, 0\)"):
        await view.write([at(0, 9)], W, (10, 9), W)
    monkeypatch.undo()
    await view.write([], START, END, START)
    assert await view.sums(TOTAL, START, END) == {}
    assert len(await place.documents()) == 1
    await other.close()


async def test_several_that_begin_at_once_leave_one_view(place: Place) -> None:
    views = [await place.opened() for _ in range(3)]
    await asyncio.gather(*(v.begin(LOG, (n, n), None, text_version=1) for n, v in enumerate(views)))
    begun = {await v.visible() for v in views}
    assert len(begun) == 1
    assert None not in begun
    assert len(await place.documents()) == 1
    for v in views:
        await v.close()


@pytest.mark.parametrize("what", ["begun anew", "shrunk", "removed"])
async def test_an_answer_is_not_given_over_what_changed_while_it_was_asked(
    view: ElasticSpeedView, place: Place, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    other, search = await place.opened(), Cluster.search
    (documents,) = await place.documents()
    disturb: dict[str, Callable[[], Awaitable[object]]] = {
        "begun anew": lambda: other.begin(LOG, START, None, text_version=1),
        "shrunk": lambda: other.shrink((5, 0), END),
        "removed": lambda: place.call("DELETE", documents),
    }

    async def disturbed(cluster: Cluster, *args: Any) -> Any:
        if cluster is view._cluster:
            await disturb[what]()
        return await search(cluster, *args)

    monkeypatch.setattr(Cluster, "search", disturbed)
    with pytest.raises(Unavailable):
        await view.sums(TOTAL, START, W)
    await other.close()


# Sums


def many() -> list[Indexed]:
    words = (Word("a", "a"), Word("b", "B"), Word("a", "a"), Word("a", "A"))
    return [
        Indexed(
            n % 2,
            n,
            1_000 + n,
            Document(
                change(f"{n}", title=f"page {n % 7}", net_bytes=(1 << 53) - n), words, ("x", "x")
            ),
        )
        for n in range(30)
    ]


@pytest.mark.parametrize("buckets", [3, 7, 20_000])
@pytest.mark.parametrize("of", [PAGES, WORDS, HASHTAGS], ids=lambda of: of.name)
async def test_sums_are_exact_over_many_pages_large_numbers_and_repeated_words(
    view: ElasticSpeedView, monkeypatch: pytest.MonkeyPatch, buckets: int, of: Any
) -> None:
    await view.begin(LOG, START, None, text_version=1)
    await view.write(many(), START, END, START)
    monkeypatch.setattr(asking, "BUCKETS", buckets)
    rows = rows_of(of, (found.document for found in many()))
    assert await view.sums(Query(of, of.keys), START, END) == rows
    total = tuple(map(sum, zip(*rows.values(), strict=True)))
    assert await view.sums(Query(of), START, END) == {(): total}


async def test_words_are_chosen_and_not_the_documents_they_stand_in(view: ElasticSpeedView) -> None:
    await view.begin(LOG, START, None, text_version=1)
    await view.write(many(), START, END, START)
    stems = (OneOf("stem", ("a", "nowhere")),)
    assert await view.sums(Query(WORDS, ("form",), stems), START, END) == {
        ("a",): (60,), ("A",): (30,),
    }  # fmt: skip
    assert await view.sums(Query(WORDS, (), stems), START, END) == {(): (90,)}
    forms = (*stems, OneOf("form", ("A", "B")))
    assert await view.sums(Query(WORDS, ("stem",), forms), START, END) == {("a",): (30,)}
    assert await view.sums(Query(WORDS, (), (OneOf("stem", ()),)), START, END) == {}
    many_stems = (OneOf("stem", (*(f"s{n}" for n in range(1_000)), "b")),)
    assert await view.sums(Query(WORDS, ("stem",), many_stems), START, END) == {("b",): (30,)}


async def test_pages_of_buckets_are_of_one_moment(
    view: ElasticSpeedView, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that is beaten between two pages is in the one or the other, not in both or none."""
    await view.begin(LOG, START, None, text_version=1)
    made = [at(0, 10 + n, str(n), title=f"page {n}") for n in range(6)]
    await view.write(made, START, END, START)
    monkeypatch.setattr(asking, "BUCKETS", 2)
    search, asked = Cluster.search, 0

    async def disturbed(cluster: Cluster, *args: Any) -> Any:
        nonlocal asked
        asked += 1
        page = await search(cluster, *args)
        if asked == 2:  # the first page of the moment
            await view.write([at(0, 1, "5", title="page 0")], START, END, START)
        return page

    monkeypatch.setattr(Cluster, "search", disturbed)
    rows = await view.sums(Query(PAGES, ("title",)), START, END)
    assert rows == {(f"page {n}",): (1, 7, 7) for n in range(6)}
    monkeypatch.undo()
    rows = await view.sums(Query(PAGES, ("title",)), START, END)
    assert rows[("page 0",)] == (2, 14, 14)
    assert ("page 5",) not in rows
