"""Every count of the API equals a plain recount, wherever the horizon lies."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.serving.api.parameters import EDITOR_TYPES, LEVELS
from services.shared.domain.change import EDIT_TYPES, Change
from services.shared.domain.classes import is_address, is_bot_name
from services.shared.domain.views import Document
from tests.unit.serving import made
from tests.unit.serving.made import Client, World, get

Wanted = Callable[[Change], bool]
DAYS = ("20240228", "20240229", "20240301")
SPAN = "20240228/20240302"


@pytest.fixture(params=["all speed", "all batch", "two segments"])
async def asked(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[World, Client]]:
    changes = made.documents(240)
    horizon = {"all speed": 0, "all batch": 240, "two segments": 60}
    first = horizon[request.param]
    async with made.world(tmp_path) as world, world.served() as client:
        if first:
            await world.append(changes[:first])
            await world.publish()
        if request.param == "two segments":
            await world.append(changes[first : 2 * first])
            await world.publish()
            first *= 2
        if first < len(changes):
            await world.append(changes[first:])
        await world.follow()
        yield world, client


def edit(of: Change) -> bool:
    return of.type in EDIT_TYPES


def stamp(of: Change, form: str = "%Y-%m-%dT00:00:00.000Z") -> str:
    return f"{datetime.fromtimestamp(of.timestamp, UTC):{form}}"


def series(body: Any, name: str) -> dict[str, int]:
    return {row["timestamp"]: row[name] for row in body["items"][0]["results"]}


def first(counts: Counter[str], limit: int = 100) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda row: (-row[1], row[0]))[:limit]


@pytest.mark.parametrize("project", ["pt.wikipedia", "all-projects"])
@pytest.mark.parametrize("who", EDITOR_TYPES)
async def test_edits_and_bytes(asked: tuple[World, Client], project: str, who: str) -> None:
    world, client = asked

    def wanted(of: Change) -> bool:
        there = project == "all-projects" or of.project == project
        return there and edit(of) and of.editor_class in EDITOR_TYPES[who]

    changes = [d.change for d in world.where(wanted)]
    path = f"/aggregate/{project}/{who}/all-page-types/daily/{SPAN}"
    zeros = {f"{day[:4]}-{day[4:6]}-{day[6:]}T00:00:00.000Z": 0 for day in DAYS}

    edits = series(await get(client, f"/metrics/edits{path}"), "edits")
    assert edits == zeros | Counter(map(stamp, changes))
    net = series(await get(client, f"/metrics/bytes-difference/net{path}"), "net_bytes_diff")
    assert net == {day: sum(c.net_bytes for c in changes if stamp(c) == day) for day in zeros}
    absolute = series(
        await get(client, f"/api/rest_v1/metrics/bytes-difference/absolute{path}"), "abs_bytes_diff"
    )
    assert sum(absolute.values()) == sum(abs(c.net_bytes) for c in changes)


@pytest.mark.parametrize(
    ("granularity", "span", "steps", "form"),
    [
        ("hourly", "2024022823/2024030101", 26, "%Y-%m-%dT%H:00:00.000Z"),
        ("minutely", "202402290000/202403010000", 1440, "%Y-%m-%dT%H:%M:00.000Z"),
        ("daily", "2024022823/2024030101", 2, "%Y-%m-%dT00:00:00.000Z"),
        ("monthly", "20240201/20240301", 1, "%Y-%m-01T00:00:00.000Z"),
        # Whole months only: the first that is whole is March, and April is not over.
        ("monthly", "20240228/20240415", 1, "%Y-%m-01T00:00:00.000Z"),
    ],
)
async def test_steps_of_time(
    asked: tuple[World, Client], granularity: str, span: str, steps: int, form: str
) -> None:
    world, client = asked
    path = f"/metrics/edits/aggregate/all-projects/all-editor-types/content/{granularity}/{span}"
    edits = series(await get(client, path), "edits")
    wanted = world.where(lambda of: edit(of) and of.namespace == 0)
    counted = Counter(stamp(d.change, form) for d in wanted)
    assert edits == {at: counted[at] for at in edits}
    assert len(edits) == steps
    assert sum(edits.values()) > 0


async def test_other_types_where_asked_for(asked: tuple[World, Client]) -> None:
    world, client = asked
    path = f"/metrics/edits/aggregate/all-projects/all-editor-types/all-page-types/daily/{SPAN}"
    for types in ("log", "categorize,external", "edit,new,log"):
        edits = series(await get(client, f"{path}?type={types}"), "edits")
        assert sum(edits.values()) == len(world.where(lambda of, t=types: of.type in t.split(",")))  # type: ignore[misc]


def levels(documents: Iterable[Document], column: str, level: str) -> int:
    low, high = LEVELS[level]
    edits = Counter(getattr(d.change, column) for d in documents)
    return sum(1 for n in edits.values() if n >= low and (high is None or n < high))


@pytest.mark.parametrize("who", EDITOR_TYPES)
@pytest.mark.parametrize(
    ("path", "column"), [("edited-pages", "title"), ("editors", "user")], ids=["pages", "editors"]
)
async def test_distinct_counts_are_unions(
    asked: tuple[World, Client], path: str, column: str, who: str
) -> None:
    world, client = asked
    name = path.replace("-", "_")

    def wanted(of: Change) -> bool:
        there = of.project == "pt.wikipedia" and edit(of) and getattr(of, column) != ""
        return there and of.editor_class in EDITOR_TYPES[who]

    for level in LEVELS:
        asks = f"/metrics/{path}/aggregate/pt.wikipedia/{who}/all-page-types/{level}"
        daily = series(await get(client, f"{asks}/daily/{SPAN}"), name)
        assert list(daily.values()) == [
            levels(world.where(lambda of, d=day: wanted(of) and of.day == int(d)), column, level)  # type: ignore[misc]
            for day in DAYS
        ]
        body = await get(client, f"{asks}/monthly/20240201/20240301")
        february = world.where(lambda of: wanted(of) and of.day < 20240301)
        # Few keys, so the estimate of the month's registers is their number.
        assert list(series(body, name).values()) == [levels(february, column, level)]
        assert body["items"][0].get("distinct") == (
            "estimate" if level == "all-activity-levels" else None
        )


@pytest.mark.parametrize("who", EDITOR_TYPES)
async def test_top_lists(asked: tuple[World, Client], who: str) -> None:
    world, client = asked

    def wanted(of: Change) -> bool:
        return of.project == "pt.wikipedia" and edit(of) and of.editor_class in EDITOR_TYPES[who]

    for path, until in (("2024/02/29", 1), ("2024/02/all-days", 2)):
        days = DAYS[2 - until : 2] if until == 2 else DAYS[1:2]
        changes = [d.change for d in world.where(wanted) if str(d.change.day) in days]
        asks = f"top-by-edits/pt.wikipedia/{who}/all-page-types/{path}"
        (pages,) = (await get(client, f"/metrics/edited-pages/{asks}"))["items"][0]["results"]
        assert [(row["page_title"], row["edits"]) for row in pages["top"]] == first(
            Counter(c.title for c in changes)
        )
        (editors,) = (await get(client, f"/metrics/editors/{asks}"))["items"][0]["results"]
        ranked = first(Counter(c.user for c in changes if c.user))
        assert [(row["rank"], row["user_text"], row["edits"]) for row in editors["top"]] == [
            (rank, None if is_address(user) or user.startswith("~2") else user, edits)
            for rank, (user, edits) in enumerate(ranked, 1)
        ]


@pytest.mark.parametrize("project", ["pt.wikipedia", "all-projects"])
@pytest.mark.parametrize("by", ["class", "bots", "flag", "type"])
async def test_share(asked: tuple[World, Client], project: str, by: str) -> None:
    world, client = asked
    name: dict[str, Callable[[Change], str]] = {
        "class": lambda of: of.editor_class,
        "bots": lambda of: "bots" if of.editor_class in EDITOR_TYPES["bots"] else "humans",
        "flag": lambda of: "flagged" if of.bot else "unflagged",
        "type": lambda of: of.type,
    }
    body = await get(client, f"/v1/share?project={project}&by={by}&start=20240229&end=20240301")
    changes = [
        d.change
        for d in world.where(
            lambda of: (
                of.day == 20240229
                and (by == "type" or edit(of))
                and project in (of.project, "all-projects")
            )
        )
    ]
    counted = Counter(map(name[by], changes))
    groups = {group["name"]: group for group in body["groups"]}
    assert {n: g["edits"] for n, g in groups.items() if g["edits"]} == counted
    assert body["edits"] == len(changes)
    assert sum(g["share"] for g in groups.values()) == pytest.approx(1)
    for group in groups.values():
        members = [c for c in changes if name[by](c) == group["name"]]
        assert group["net_bytes"] == sum(c.net_bytes for c in members)
        assert group["abs_bytes"] == sum(abs(c.net_bytes) for c in members)
        assert group["minor"] == sum(c.minor for c in members)
        assert group["new_pages"] == sum(c.type == "new" for c in members)
    assert len(body["course"]) == 24
    assert sum((Counter(step["edits"]) for step in body["course"]), Counter()) == counted
    distinct = {group: len({c.title for c in changes if name[by](c) == group}) for group in groups}
    counts_pages = project != "all-projects" and by in ("class", "bots")
    pages = body["pages"] and {row["name"]: row["pages"] for row in body["pages"]}
    assert pages == (distinct if counts_pages else None)


async def test_agreement_of_flag_and_name(asked: tuple[World, Client]) -> None:
    world, client = asked
    body = await get(client, "/v1/agreement?project=pt.wikipedia&start=20240228&end=20240302")
    changes = [d.change for d in world.where(lambda of: edit(of) and of.project == "pt.wikipedia")]
    assert {(c["flagged"], c["bot_name"]): c["edits"] for c in body["cells"]} == {
        cell: sum(1 for c in changes if (c.bot, is_bot_name(c.user)) == cell)
        for cell in ((True, True), (True, False), (False, True), (False, False))
    }


@pytest.mark.parametrize("who", ["all-editor-types", "bots", "user"])
async def test_words_and_hashtags(asked: tuple[World, Client], who: str) -> None:
    world, client = asked
    asks = f"top?start=20240228&end=20240301&editor_type={who}&project=pt.wikipedia"

    def wanted(of: Change) -> bool:
        there = of.project == "pt.wikipedia" and of.day < 20240301
        return there and of.editor_class in EDITOR_TYPES[who]

    documents = world.where(wanted)
    words = (await get(client, f"/v1/words/{asks}"))["words"]
    assert [(w["stem"], w["edits"]) for w in words] == first(
        Counter(w.stem for d in documents for w in d.words)
    )
    for row in words:
        forms = Counter(w.form for d in documents for w in d.words if w.stem == row["stem"])
        assert row["word"] == first(forms)[0][0]
    tags = (await get(client, f"/v1/hashtags/{asks}&limit=1"))["hashtags"]
    assert [(t["rank"], t["hashtag"], t["edits"]) for t in tags] == [
        (1, *first(Counter(t for d in documents for t in d.hashtags))[0])
    ]


async def test_projects_and_span(asked: tuple[World, Client]) -> None:
    world, client = asked
    body = await get(client, "/v1/projects?start=20240228&end=20240302")
    ranked = [(row["project"], row["edits"]) for row in body["projects"]]
    assert ranked == first(Counter(d.change.project for d in world.where(edit)))
    bots = world.where(lambda of: edit(of) and of.editor_class in EDITOR_TYPES["bots"])
    by_bots = Counter(d.change.project for d in bots)
    assert {row["project"]: row["bots"] for row in body["projects"] if row["bots"]} == by_bots
    span = await get(client, "/v1/span")
    assert (span["first"], span["last"]) == (20240228, 20240301)


async def test_the_default_span_is_the_newest_day_and_the_one_before(
    asked: tuple[World, Client],
) -> None:
    _, client = asked
    body = await get(client, "/v1/share")
    assert (body["start"], body["end"]) == ("2024-02-29T00:00:00.000Z", "2024-03-02T00:00:00.000Z")


async def test_a_change_from_the_future_does_not_move_the_default_span(world: World) -> None:
    later = made.NOW + timedelta(days=400).total_seconds()
    await world.append(
        [
            Document(made.change(1, timestamp=int(made.NOW))),
            Document(made.change(2, timestamp=int(later))),
        ]
    )
    await world.follow()
    async with world.served() as client:
        assert (await get(client, "/v1/share"))["end"] == "2024-03-02T00:00:00.000Z"
        assert (await get(client, "/v1/span"))["last"] == 20250405


async def test_changes_pages_never_tear(asked: tuple[World, Client]) -> None:
    world, client = asked
    wanted = sorted(
        (d for d in world.counted if d.document.change.project == "en.wikipedia"),
        key=lambda d: (d.appended_at, d.partition, d.offset),
        reverse=True,
    )
    seen: list[str] = []
    path = "/v1/changes?project=en.wikipedia&limit=7"
    body = await get(client, path)
    while True:
        seen += [row["id"] for row in body["changes"]]
        if body["next"] is None:
            break
        # Whatever comes meanwhile is on no later page.
        number = 1000 + len(seen)
        await world.append([Document(made.change(number, project="en.wikipedia"))])
        await world.follow()
        body = await get(client, f"{path}&cursor={body['next']}")
    assert seen == [d.document.change.id for d in wanted]


async def test_changes_are_searched_and_filtered(asked: tuple[World, Client]) -> None:
    world, client = asked

    async def ids(query: str) -> set[str]:
        body = await get(client, f"/v1/changes?limit=1000&{query}")
        return {row["id"] for row in body["changes"]}

    def found(wanted: Wanted) -> set[str]:
        return {d.change.id for d in world.where(wanted)}

    assert await ids("q=EVORA") == found(lambda of: of.title == "Évora")
    assert await ids("q=cedilha+lisboa") == found(
        lambda of: of.title == "Lisboa" and "çedilha" in of.comment
    )
    assert await ids("editor_type=bots&type=log,new&namespace=1,14") == found(
        lambda of: (
            of.editor_class in EDITOR_TYPES["bots"]
            and of.type in ("log", "new")
            and of.namespace in (1, 14)
        )
    )
    assert await ids("start=2024022912&end=20240301") == found(
        lambda of: "2024-02-29T12" <= stamp(of, "%Y-%m-%dT%H") < "2024-03"
    )
