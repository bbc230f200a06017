"""Edits by topic equal a plain recount, wherever the horizon lies and whatever model is published."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from services.shared.documents import page_words
from services.shared.domain.change import Change
from services.shared.domain.topics import (
    NONE,
    Page,
    Topic,
    TopicModel,
    assign,
    identified,
    packed,
)
from tests.unit.serving import made
from tests.unit.serving.made import World, get

SPAN = "start=20240228&end=20240302"
BOTS = {"group-bot", "name-bot"}
WORDS = ("lisbo", "port", "évor")


@pytest.fixture(autouse=True)
def _word_lists() -> None:
    """Read before the loop runs: the recount below is on it."""
    for project in made.PROJECTS:
        page_words(project, "Lisboa", "content")


def model(*weights: tuple[float, float], silhouette: float = 0.6) -> TopicModel:
    """Two topics; a pair of weights for each of the words."""
    shown = (
        Topic(("Lisboa", "Porto", "Rio", "Faro"), (Page("pt.wikipedia", "Lisboa"),), 0.5, -1.0, 7),
        Topic(("Évora",), (Page("pt.wikipedia", "Évora"),), -0.5, 1.0, 3),
    )
    numbers = packed(weight for pair in weights for weight in pair)
    return identified(
        TopicModel("", 1, 1_000, 12, 11, 10, silhouette, 0.5, shown, WORDS[: len(weights)], numbers)
    )


CITIES = model((1.0, 0.0), (1.0, 0.0), (0.0, 1.0))
OTHERS = model((0.0, 1.0), (1.0, 0.0), (1.0, 0.0), silhouette=0.2)
KNOWN = {Page("pt.wikipedia", "Lisboa"): 1, Page("en.wikipedia", "東京"): 0}
"""What batch says of two pages, and nobody would guess."""


def topic(of: TopicModel, change: Change) -> int:
    page = Page(change.project, change.title)
    stems = (word.stem for word in page_words(*page, change.page_class))
    return KNOWN.get(page, assign(of, stems))


async def filled(world: World) -> None:
    """Half of the changes before the horizon, where batch knows all of their pages."""
    changes = made.documents(240)
    await world.append(changes[:120])
    await world.publish()
    await world.append(changes[120:])
    await world.follow()


async def publish(world: World, of: TopicModel) -> None:
    current = await world.batch.current()
    assert current is not None
    taken = [d.document.change for d in world.counted if d.offset < current.horizon[d.partition]]
    await world.publish_topics(of, {Page(c.project, c.title): topic(of, c) for c in taken})


def recount(world: World, of: TopicModel) -> dict[int, list[Change]]:
    found: dict[int, list[Change]] = {NONE: [], 0: [], 1: []}
    for document in world.where(lambda c: c.is_edit):
        found[topic(of, document.change)].append(document.change)
    return found


def bots(changes: list[Change]) -> int:
    return sum(change.editor_class in BOTS for change in changes)


def check(answer: Any, expected: dict[int, list[Change]]) -> None:
    total = sum(map(len, expected.values()))
    assert answer["edits"] == total
    rows = {int(row["id"].rpartition("-")[2]): row for row in answer["topics"]}
    for number, row in (rows | {NONE: answer["none"]}).items():
        changes = expected[number]
        assert (row["edits"], row["bots"]) == (len(changes), bots(changes))
        assert row["humans"] == row["edits"] - row["bots"]
        assert row["share"] == row["edits"] / total
    edits = [row["edits"] for row in answer["topics"]]
    assert edits == sorted(edits, reverse=True)


async def test_topics_and_none_add_up_under_each_model(world: World) -> None:
    await filled(world)
    async with world.served() as client:
        await publish(world, CITIES)
        first = await get(client, f"/v1/topics?{SPAN}")
        await publish(world, OTHERS)
        second = await get(client, f"/v1/topics?{SPAN}")
        again = await get(client, f"/v1/topics?{SPAN}&at={first['meta']['at']}")
    check(first, recount(world, CITIES))
    check(second, recount(world, OTHERS))
    assert again == first, "under its token the model of before answers"
    assert {row["id"] for row in first["topics"]}.isdisjoint(row["id"] for row in second["topics"])


async def test_what_topics_show_of_themselves(world: World) -> None:
    await filled(world)
    await publish(world, CITIES)
    async with world.served() as client:
        answer = await get(client, f"/v1/topics?{SPAN}")
        await publish(world, OTHERS)
        other = await get(client, f"/v1/topics?{SPAN}")
    row = next(row for row in answer["topics"] if row["id"] == f"{CITIES.id}-0")
    assert row["label"] == "Lisboa, Porto, Rio"
    assert row["words"] == ["Lisboa", "Porto", "Rio", "Faro"]
    assert row["titles"] == [{"project": "pt.wikipedia", "title": "Lisboa"}]
    assert (row["x"], row["y"]) == (0.5, -1.0)
    assert answer["model"] == {
        "id": CITIES.id, "made_at": "1970-01-01T00:00:01.000Z", "text_version": 1, "pages": 12,
        "sample": 11, "covered": 10, "silhouette": 0.6, "largest_share": 0.5, "verdict": "clear",
    }  # fmt: skip
    assert answer["note"] == ""
    assert other["model"]["verdict"] == "scattered"
    assert "scattered" in other["note"]


@pytest.mark.parametrize("project", ["all-projects", "pt.wikipedia"])
async def test_one_topic_in_detail(world: World, project: str) -> None:
    await filled(world)
    await publish(world, CITIES)
    async with world.served() as client:
        for number, name in ((0, f"{CITIES.id}-0"), (1, f"{CITIES.id}-1"), (NONE, "none")):
            path = f"/v1/topics/{name}?{SPAN}&project={project}"
            answer = await get(client, f"{path}&limit=3")
            changes = [
                change
                for change in recount(world, CITIES)[number]
                if project in ("all-projects", change.project)
            ]
            assert answer["topic"]["id"] == name
            assert answer["topic"]["edits"] == len(changes) > 0
            classes = Counter(change.editor_class for change in changes)
            assert {c["name"]: c["edits"] for c in answer["classes"] if c["edits"]} == classes
            days = Counter((change.day, change.editor_class) for change in changes)
            assert len(answer["course"]) == 3
            assert {
                (int(step["timestamp"][:10].replace("-", "")), name): edits
                for step in answer["course"]
                for name, edits in step["edits"].items()
                if edits
            } == days
            pages = Counter((change.project, change.title) for change in changes)
            ranked = sorted(pages.items(), key=lambda row: (-row[1], row[0]))
            assert answer["distinct_pages"] == len(pages)
            assert [((p["project"], p["title"]), p["edits"]) for p in answer["pages"]] == ranked[:3]


async def test_without_a_model_everything_is_in_none_and_it_says_so(world: World) -> None:
    await filled(world)
    async with world.served() as client:
        answer = await get(client, f"/v1/topics?{SPAN}")
        detail = await get(client, f"/v1/topics/none?{SPAN}")
    assert (answer["model"], answer["topics"]) == (None, [])
    assert answer["none"]["edits"] == answer["edits"] == len(world.where(lambda c: c.is_edit))
    assert "no topics yet" in answer["note"] == detail["note"]
    assert detail["topic"]["edits"] == answer["edits"]


async def test_a_model_that_has_found_nothing_says_so(world: World) -> None:
    await filled(world)
    nothing = identified(replace(CITIES, topics=(), vocabulary=(), weights=b"", silhouette=0.0))
    await world.publish_topics(nothing, {})
    async with world.served() as client:
        answer = await get(client, f"/v1/topics?{SPAN}")
    assert (answer["topics"], answer["model"]["verdict"]) == ([], "none")
    assert answer["none"]["edits"] == answer["edits"]
    assert "No topics were found" in answer["note"]


async def test_a_topic_of_another_model_is_not_known(world: World) -> None:
    await filled(world)
    await publish(world, CITIES)
    async with world.served() as client:
        assert (await get(client, f"/v1/topics/{CITIES.id}-1"))["topic"]["words"] == ["Évora"]
        for name in (f"{OTHERS.id}-1", f"{CITIES.id}-2"):
            assert name in (await get(client, f"/v1/topics/{name}", 404))["detail"]
        for name in ("x", "-1", f"{CITIES.id}-", "%00"):
            problem = await get(client, f"/v1/topics/{name}", 400)
            assert problem["errors"][0]["parameter"] == "topic"


async def test_an_answer_is_kept_until_something_changes(world: World) -> None:
    await filled(world)
    await publish(world, CITIES)
    async with world.served() as client:
        async with client.get(f"/v1/topics?{SPAN}") as response:
            known = {"If-None-Match": response.headers["ETag"]}
        async with client.get(f"/v1/topics?{SPAN}", headers=known) as response:
            assert response.status == 304
        await publish(world, OTHERS)
        async with client.get(f"/v1/topics?{SPAN}", headers=known) as response:
            assert response.status == 200
