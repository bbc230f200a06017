"""The step that gives pages topics: when it makes a model, when it keeps one, and what it costs nobody."""

from __future__ import annotations

import asyncio
import random
import sys
from dataclasses import replace

import pytest

from services.batch.run import run_once
from services.batch.work import Stopped
from services.shared.domain.query import Query
from services.shared.domain.topics import NONE, Page, PageMap, TopicModel
from services.shared.domain.views import EDITS, PAGES, TOPICS, Rows
from services.shared.runtime import metrics
from services.shared.text import TEXT_VERSION
from tests.unit.batch.conftest import Stores, current, event, options
from tests.unit.batch.test_cluster import THEMES


def themed(first: int, count: int) -> list[bytes]:
    """Edits of so many pages, each of two words of a theme; every third page edited twice."""
    return [
        edit(3 * number + again, title(number))
        for number in range(first, first + count)
        for again in range(1 + (number % 3 == 0))
    ]


def title(number: int) -> str:
    chance = random.Random(number)
    words = list(THEMES.values())[number % len(THEMES)].split()
    return f"{' '.join(chance.sample(words, 2))} {number}"


def edit(number: int, name: str) -> bytes:
    meta = {"id": f"id-{number}", "domain": "en.wikipedia.org", "dt": "x"}
    return event(number, meta=meta, type="edit", namespace=0, title=name)


def put_into(number: int, name: str, category: str) -> bytes:
    meta = {"id": f"category-{number}", "domain": "en.wikipedia.org", "dt": "x"}
    return event(
        number, meta=meta, type="categorize", namespace=14, title=f"Category:{category}",
        comment=f"[[:{name}]] added to category",
    )  # fmt: skip


async def model(stores: Stores) -> TopicModel:
    return await stores.batchview.model((await current(stores)).topic_model)


async def topics_of(stores: Stores, *titles: str) -> list[int | None]:
    pages = [Page("en.wikipedia", name) for name in titles]
    known = await stores.batchview.topics_of(await current(stores), pages)
    return [known.get(page) for page in pages]


async def sums(stores: Stores, query: Query) -> Rows:
    return await stores.batchview.sums(await current(stores), query)


async def assert_adds_up(stores: Stores) -> None:
    """Topics and none have the edits that there are; and every page that batch knows is on the map."""
    by_topic = await sums(stores, Query(TOPICS, ("topic",)))
    edits = await sums(stores, Query(EDITS, ("type",)))
    assert sum(m[0] for m in by_topic.values()) == sum(
        m[0] for (kind,), m in edits.items() if kind in {"edit", "new"}
    )
    pages = [
        Page(str(project), str(name))
        for project, name in await sums(stores, Query(PAGES, ("project", "title")))
    ]
    known = await stores.batchview.topics_of(await current(stores), pages)
    assert known.keys() == set(pages)


async def test_of_few_pages_nothing_is_said(stores: Stores) -> None:
    await stores.append(*themed(0, 30))
    await stores.run()
    assert (await current(stores)).topic_model == ""
    assert {key[0] for key in await sums(stores, Query(TOPICS, ("topic",)))} == {NONE}


async def test_a_model_is_made_kept_for_new_pages_and_made_anew_when_pages_have_doubled(
    stores: Stores,
) -> None:
    await stores.append(*themed(0, 160), edit(9_999, "Zzyzx"))
    await stores.run(piece=50)
    first = await model(stores)
    assert (first.pages, first.sample, first.covered) == (161, 161, 160)
    themes = [await topics_of(stores, *(title(n) for n in range(t, 160, 4))) for t in range(4)]
    assert sum(map(len, map(set, themes))) == len(set().union(*themes)), (
        "a theme has its own topics"
    )
    assert await topics_of(stores, "Zzyzx") == [NONE], "known to batch, and about nothing"
    await assert_adds_up(stores)

    await stores.append(*themed(160, 60))
    await stores.run()
    assert (await model(stores)).id == first.id
    assert set(await topics_of(stores, title(160))) <= set(themes[0])
    await assert_adds_up(stores)

    await stores.append(*themed(220, 120))
    await stores.run()
    second = await model(stores)
    assert second.id != first.id
    assert second.pages == 341
    await assert_adds_up(stores)


async def test_a_model_is_made_anew_when_it_is_old_or_of_another_text_analysis(
    stores: Stores,
) -> None:
    await stores.append(*themed(0, 160))
    await stores.run()
    first = await model(stores)
    stores.clock.advance(3_600)
    await stores.append(edit(5_000, title(161)))
    await stores.run()
    assert (await model(stores)).made_at == first.made_at
    await stores.append(edit(5_001, title(162)))
    await stores.run(topic_age=3_600_000)
    second = await model(stores)
    assert second.made_at == first.made_at + 3_600_000

    before = await current(stores)
    older = replace(second, id="0ld", text_version=0)
    await stores.batchview.stage_model(older)
    await stores.batchview.stage_map(PageMap("map", "0ld"), {})
    await stores.batchview.publish(
        before.number,
        replace(before, number=before.number + 1, topic_model="0ld", topic_map="map"),
    )
    await stores.append(edit(5_002, title(163)))
    await stores.run()
    assert (await model(stores)).text_version == TEXT_VERSION
    await assert_adds_up(stores)


async def test_a_sample_is_enough_and_the_rest_is_assigned(stores: Stores) -> None:
    await stores.append(*themed(0, 400))
    await stores.run(topic_sample=120, piece=64)
    made = await model(stores)
    assert made.sample == 120
    assert 300 < made.pages < 540, "about so many"
    await assert_adds_up(stores)


async def test_categories_say_what_titles_do_not(stores: Stores) -> None:
    strange = [f"Qwerty{n} Asdf{n}" for n in range(20)]
    await stores.append(
        *themed(0, 160),
        *(edit(6_000 + n, name) for n, name in enumerate(strange)),
        *(put_into(n, name, "Abbey bishop psalm") for n, name in enumerate(strange)),
    )
    await stores.run()
    assert (await model(stores)).covered == 180
    (topic,) = set(await topics_of(stores, *strange))
    assert topic in await topics_of(stores, *(title(n) for n in range(0, 160, 4)))


async def test_without_a_sample_there_are_no_topics(stores: Stores) -> None:
    await stores.append(*themed(0, 160))
    await stores.run()
    assert (await current(stores)).topic_model
    await stores.append(edit(5_000, title(161)))
    await stores.run(topic_sample=0)
    assert (await current(stores)).topic_model == ""


async def test_a_model_that_cannot_be_made_keeps_no_edit_from_being_counted(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = metrics.TOPIC_MODELS.labels("failed")
    before = failed._value.get()
    monkeypatch.setattr(sys, "executable", "/bin/false")
    await stores.append(*themed(0, 160))
    run = await stores.run()
    assert run.state == "done"
    assert failed._value.get() == before + 1
    assert (await current(stores)).topic_model == ""
    monkeypatch.undo()
    await stores.append(edit(5_000, title(161)))
    await stores.run()
    assert (await model(stores)).pages == 161
    await assert_adds_up(stores)


async def test_a_stop_does_not_wait_for_a_model(stores: Stores) -> None:
    stop = asyncio.Event()
    await stores.append(*themed(0, 160))
    running = asyncio.ensure_future(
        run_once(
            stores.log, stores.lake, stores.batchview, stores.speedview,
            clock=stores.clock, options=options(), stop=stop,
        )
    )  # fmt: skip
    made = metrics.TOPIC_MODELS.labels("made")
    before = made._value.get()
    async with asyncio.timeout(60):
        while not running.done() and not await searching(stores):  # noqa: ASYNC110 - it is recorded
            await asyncio.sleep(0.005)
    stop.set()
    with pytest.raises(Stopped):
        await running
    assert made._value.get() == before
    assert (await current(stores)).number == 0


async def searching(stores: Stores) -> bool:
    runs = await stores.batchview.runs()
    return bool(runs) and runs[0].steps[-1:] != () and runs[0].steps[-1].name == "topics"
