"""What surrounds an answer: what it stands on, when it is asked again, when it is refused."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from services.serving.api.parameters import Cursor
from services.serving.pin import Token, packed, unpacked
from services.shared.cache.embedded import MemoryCache
from services.shared.domain.positions import Vector, zero
from services.shared.domain.query import Query
from services.shared.domain.views import Document, Rows
from services.shared.log.port import Gap
from services.shared.runtime.clock import ManualClock
from services.shared.runtime.unavailable import Unavailable
from services.shared.speedview.embedded import SqliteSpeedView
from tests.unit.serving import made
from tests.unit.serving.made import World, get

EDITS = (
    "/metrics/edits/aggregate/pt.wikipedia/all-editor-types/all-page-types/daily/20240228/20240302"
)
SHARE = "/v1/share?start=20240228&end=20240302"


async def filled(world: World) -> None:
    """Ten changes before the horizon, ten behind it."""
    changes = made.documents(20)
    await world.append(changes[:10])
    await world.publish()
    await world.append(changes[10:])
    await world.follow()


def edits(body: Any) -> int:
    return int(body["edits"])


class Counting:
    """A speed view that counts what it is asked and answers when it may."""

    def __init__(self, speed: SqliteSpeedView) -> None:
        self.speed = speed
        self.asked = 0
        self.was_asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.speed, name)

    async def sums(self, query: Query, since: Vector, until: Vector) -> Rows:
        self.asked += 1
        self.was_asked.set()
        await self.may_answer.wait()
        return await self.speed.sums(query, since, until)


# --- what an answer stands on --------------------------------------------------------------------


async def test_an_answer_says_what_it_stands_on(world: World) -> None:
    await filled(world)
    current = await world.batch.current()
    assert current is not None
    async with world.served() as client:
        meta = (await get(client, SHARE))["meta"]
        async with client.get(EDITS) as response:
            headers = response.headers
    assert meta["log"] == world.log.identity
    assert meta["generation"] == 1
    assert meta["horizon"] == list(current.horizon)
    assert meta["as_of"] == list(world.until) != meta["horizon"]
    assert (meta["completeness"], meta["reasons"]) == ("exact", [])
    assert meta["as_of_time"] == "2024-03-01T18:00:00.000Z" == headers["X-As-Of-Time"]
    assert headers["X-Generation"] == "1"
    assert headers["X-Horizon"] == ",".join(map(str, meta["horizon"]))
    assert headers["X-As-Of"] == ",".join(map(str, meta["as_of"]))
    assert headers["X-Completeness"] == "exact"
    assert headers["X-At"] == meta["at"]


async def test_a_token_answers_exactly_there_whatever_comes_after(world: World) -> None:
    await filled(world)
    async with world.served() as client:
        before = await get(client, SHARE)
        at = before["meta"]["at"]
        await world.append(made.documents(50, seed=8)[20:])
        await world.follow()
        await world.publish()
        assert edits(await get(client, SHARE)) > edits(before)
        assert await get(client, f"{SHARE}&at={at}") == before


async def test_a_page_of_changes_that_have_been_let_go_of_since_is_gone(world: World) -> None:
    await filled(world)
    await world.publish()
    page = "/v1/changes?limit=6"
    async with world.served() as client:
        first = await get(client, page)
        at, cursor = first["meta"]["at"], first["next"]
        assert len((await get(client, f"/v1/changes?limit=5&cursor={cursor}"))["changes"]) == 5
        everything = tuple(time + 1 for time in world.times)
        assert await world.speed.shrink((3, 3), everything) == 6
        for gone in (f"{page}&at={at}", f"{page}&cursor={cursor}"):
            assert "at" in (await get(client, gone, 410))["detail"]
        assert edits(await get(client, f"{SHARE}&at={at}")) == edits(await get(client, SHARE))
        again = await get(client, "/v1/changes?limit=100")
        assert len(again["changes"]) == 14
        assert again["oldest"]


@pytest.mark.parametrize("live", [0.0, 3_600.0])
async def test_a_view_that_begins_anew_in_the_middle_makes_nothing_of_it_exact(
    world: World, live: float
) -> None:
    await filled(world)
    async with world.served(pin_live=live) as client:
        before = await get(client, "/v1/span")
        await world.speed.begin(
            world.log.identity, zero(made.PARTITIONS), world.until, text_version=1
        )
        for path in ("/v1/changes", SHARE):
            assert "rebuilt" in (await get(client, path, 503))["detail"]
        await world.follow()
        world.clock.advance(2 * live)
        assert len((await get(client, "/v1/changes?limit=100"))["changes"]) == 20
        assert (await get(client, "/v1/span"))["first"] == before["first"]


async def test_days_whose_counts_were_lost_make_answers_over_them_partial(world: World) -> None:
    await filled(world)
    await world.publish()
    current = await world.batch.current()
    assert current is not None
    lost = replace(current, number=current.number + 1, lost_days=(20240227, 20240228))
    await world.batch.publish(current.number, lost)
    async with world.served() as client:
        body = await get(client, SHARE)
        assert body["meta"]["completeness"] == "partial"
        assert body["meta"]["reasons"] == [
            "counts of 1 days, 20240228 to 20240228, were lost with a batch view"
        ]
        after = await get(client, "/v1/share?start=20240229&end=20240302")
        assert after["meta"]["completeness"] == "exact"


async def test_a_token_is_gone_with_its_generation(world: World) -> None:
    await filled(world)
    async with world.served() as client:
        at = (await get(client, SHARE))["meta"]["at"]
        await world.publish()
        world.clock.advance(3600)
        await world.append([Document(made.change(99))])
        await world.publish()
        await world.batch.remove(world.now_ms + 1)
        problem = await get(client, f"{SHARE}&at={at}", 410)
        assert "at:" in problem["detail"]
        assert (await get(client, f"{EDITS}?at={at}", 410))["status"] == 410


@pytest.mark.parametrize(
    ("until", "times"),
    [
        ((10**6,) * made.PARTITIONS, zero(made.PARTITIONS)),  # not visible yet
        ((1,), (0,)),  # another number of partitions
        ((), ()),
    ],
)
async def test_a_token_that_nobody_handed_out_is_gone(
    world: World, until: Vector, times: Vector
) -> None:
    await filled(world)
    async with world.served() as client:
        for log in (world.log.identity, "another log"):
            token = packed(Token(log, 1, until, times, zero(len(until))))
            await get(client, f"{SHARE}&at={token}", 410)


@pytest.mark.parametrize("at", ["", "x", "AAAA", "W10", "eyJhIjoxfQ", "é", "x" * 5000])
async def test_what_is_no_token_is_refused(world: World, at: str) -> None:
    async with world.served() as client:
        problem = await get(client, f"{SHARE}&at={at}", 400)
        assert problem["errors"][0]["parameter"] == "at"


async def test_positions_beyond_what_a_store_can_hold_are_no_token(world: World) -> None:
    token = packed(Token(world.log.identity, 10**30, (10**30, 0), (0, 0), (0, 0)))
    cursor = packed(Cursor(Token(world.log.identity, 0, (0, 0), (0, 0), (0, 0)), (-1, 10**30, 0)))
    async with world.served() as client:
        await get(client, f"{SHARE}&at={token}", 400)
        await get(client, f"/v1/changes?cursor={cursor}", 400)


async def test_a_generation_published_in_the_middle_changes_nothing(world: World) -> None:
    """The batch part is asked at the pinned generation, whatever is published before it is."""
    await filled(world)

    class PublishesFirst(Counting):
        async def sums(self, query: Query, since: Vector, until: Vector) -> Rows:
            await world.publish()
            return await self.speed.sums(query, since, until)

    async with world.served(speed=PublishesFirst(world.speed)) as client:
        answered = await get(client, f"{SHARE}&by=type")
    assert edits(answered) == len(world.counted)
    assert answered["meta"]["generation"] == 1


# --- asking again --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", [EDITS, SHARE, "/v1/changes", "/", "/openapi.json", "/v1/batch/runs"]
)
async def test_the_same_answer_is_not_sent_twice(world: World, path: str) -> None:
    await filled(world)
    async with world.served() as client:
        async with client.get(path) as response:
            etag = response.headers["ETag"]
            assert "immutable" not in response.headers["Cache-Control"]
        async with client.get(path, headers={"If-None-Match": f'"old", W/{etag}'}) as response:
            assert (response.status, await response.read()) == (304, b"")
            assert response.headers["ETag"] == etag


async def test_an_etag_carries_generation_and_visible_position(world: World) -> None:
    await filled(world)
    async with world.served() as client:
        etags: list[str] = []
        for change in (None, "append", "publish"):
            if change == "append":
                await world.append([Document(made.change(99))])
                await world.follow()
            if change == "publish":
                await world.publish()
            async with client.get(SHARE, headers={"If-None-Match": ", ".join(etags)}) as response:
                assert response.status == 200
                etags.append(response.headers["ETag"])
    assert len(set(etags)) == 3


async def test_the_order_of_parameters_makes_no_other_question(world: World) -> None:
    await filled(world)
    async with world.served() as client:
        async with client.get("/v1/share?by=bots&project=pt.wikipedia") as one:
            etag = one.headers["ETag"]
        async with client.get("/v1/share?project=pt.wikipedia&by=bots") as two:
            assert two.headers["ETag"] == etag
        async with client.get("/v1/share?project=pt.wikipedia&by=flag") as other:
            assert other.headers["ETag"] != etag


async def test_an_answer_that_many_wait_for_is_made_once(world: World) -> None:
    await filled(world)
    speed = Counting(world.speed)
    async with world.served(speed=speed) as client:
        waiting = [asyncio.create_task(get(client, f"{SHARE}&by=type")) for _ in range(8)]
        await speed.was_asked.wait()
        # Whoever goes away leaves the others their answer.
        waiting[0].cancel()
        speed.may_answer.set()
        bodies = await asyncio.gather(*waiting[1:])
        once = speed.asked
        assert all(body == bodies[0] for body in bodies)
        await get(client, f"{SHARE}&by=type")
        assert (speed.asked, once) == (1, 1)


async def test_without_a_cache_answers_are_the_same(world: World) -> None:
    await filled(world)
    async with world.served() as client, world.served(cache=MemoryCache(0)) as without:
        assert await get(client, SHARE) == await get(without, SHARE)


async def test_what_another_version_has_put_into_the_cache_is_made_anew(world: World) -> None:
    class Damaged(MemoryCache):
        async def get(self, key: str) -> bytes | None:
            return b"\xc1 is never msgpack" if await super().get(key) else None

    await filled(world)
    async with world.served() as client, world.served(cache=Damaged()) as damaged:
        for _ in range(2):
            assert await get(damaged, SHARE) == await get(client, SHARE)


async def test_a_reading_of_the_views_is_shared_for_a_moment(world: World) -> None:
    """Within `pin_live` an answer may be that old, and not after it."""
    clock = ManualClock(made.NOW)
    await filled(world)
    async with world.served(clock=clock, pin_live=0.05) as client:
        before = await get(client, SHARE)
        await world.append([Document(made.change(99))])
        await world.follow()
        clock.advance(0.04)
        assert await get(client, SHARE) == before
        clock.advance(0.02)
        assert edits(await get(client, SHARE)) == edits(before) + 1


# --- partial and missing -------------------------------------------------------------------------


async def test_a_missing_speed_layer_is_said_and_never_silent(world: World) -> None:
    await filled(world)
    empty = await SqliteSpeedView.open(world.path / "fresh.sqlite")
    try:
        async with world.served(speed=empty) as client:
            async with client.get(SHARE) as response:
                assert response.status == 503
                assert int(response.headers["Retry-After"]) > 0
                assert "speed view missing" in (await response.json())["detail"]
            body = await get(client, f"{SHARE}&by=type&allow=partial")
            assert body["meta"]["completeness"] == "partial"
            assert body["meta"]["reasons"] == ["speed view missing"]
            assert edits(body) == 10
            async with client.get(f"{EDITS}?allow=partial") as response:
                assert response.headers["X-Completeness"] == "partial"
                assert "speed view missing" in response.headers["Warning"]
            assert (await get(client, "/v1/status"))["completeness"] == "partial"
            ready = await get(client, "/readyz", 503)
            assert ready["dependencies"]["speed view"] != "ready"
            assert ready["dependencies"]["batch view"] == "ready"
            await get(client, "/healthz")
    finally:
        await empty.close()


async def test_a_missing_batch_layer_leaves_the_speed_part(world: World) -> None:
    await world.append(made.documents(10))
    await world.follow()
    empty = await type(world.batch).open(world.path / "fresh.sqlite", world.clock)
    try:
        async with world.served(batch=empty) as client:
            await get(client, SHARE, 503)
            body = await get(client, f"{SHARE}&by=type&allow=partial")
            assert edits(body) == 10
            assert body["meta"]["reasons"] == ["batch view missing"]
    finally:
        await empty.close()


async def test_a_speed_view_that_is_being_rebuilt_is_partial_until_it_is_there(
    world: World,
) -> None:
    await filled(world)
    await world.speed.begin(world.log.identity, zero(made.PARTITIONS), world.until, text_version=1)
    async with world.served() as client:
        assert "rebuilt" in (await get(client, SHARE, 503))["detail"]
        await world.follow()
        assert (await get(client, SHARE))["meta"]["completeness"] == "exact"


async def test_a_view_that_begins_after_the_horizon_answers_partially_from_there(
    world: World,
) -> None:
    await filled(world)
    floor = world.until
    await world.append(made.documents(23)[20:])
    await world.speed.begin(world.log.identity, floor, None, text_version=1)
    behind = [d for d in world.counted if d.offset >= floor[d.partition]]
    await world.speed.write(behind, floor, world.until, world.times)
    async with world.served() as client:
        assert "begins after" in (await get(client, SHARE, 503))["detail"]
        assert edits(await get(client, f"{SHARE}&by=type&allow=partial")) == 10 + 3


async def test_a_view_of_another_log_is_not_mixed_in(world: World) -> None:
    await filled(world)
    await world.speed.begin("another log", zero(made.PARTITIONS), None, text_version=1)
    async with world.served() as client:
        assert "another log" in (await get(client, SHARE, 503))["detail"]


async def test_a_store_that_cannot_be_read_is_503(world: World) -> None:
    await filled(world)

    class Away(Counting):
        async def sums(self, query: Query, since: Vector, until: Vector) -> Rows:
            raise Unavailable("away", retry_after=7)

    async with world.served(speed=Away(world.speed)) as client, client.get(SHARE) as response:
        assert response.status == 503
        assert response.headers["Retry-After"] == "7"


async def test_a_gap_makes_answers_over_it_partial_and_no_others(world: World) -> None:
    await filled(world)
    noon = (made.FIRST + 43_200) * 1000
    await world.log.append([], gaps=[Gap(noon, noon + 60_000, "the source was \u201csilent\u201d")])
    async with world.served() as client:
        body = await get(client, "/v1/share?start=20240228&end=20240229")
        assert body["meta"]["completeness"] == "partial"
        (reason,) = body["meta"]["reasons"]
        assert reason.startswith("gap from 2024-02-28T12:00:00.000Z to 2024-02-28T12:01:00.000Z: ")
        assert "\u201csilent\u201d" in reason
        async with client.get(EDITS) as response:
            assert response.headers["X-Completeness"] == "partial"
        after = await get(client, "/v1/share?start=20240229&end=20240302")
        assert after["meta"]["completeness"] == "exact"
        assert (await get(client, "/v1/status"))["gaps"][0]["since"] == "2024-02-28T12:00:00.000Z"


# --- what can't be answered ----------------------------------------------------------------------

TAIL = "all-editor-types/all-page-types"


@pytest.mark.parametrize(
    ("path", "status", "parameter", "says"),
    [
        ("/v1/share?projct=x", 400, "projct", "did you mean project?"),
        ("/v1/share?by=moon", 400, "by", "class, bots, flag, type"),
        ("/v1/share?by=flag&by=class", 400, "by", "one value"),
        ("/v1/share?editor-type=bots", 400, "editor-type", "project, start"),
        ("/v1/share?start=20240230", 400, "start", "YYYYMMDD"),
        ("/v1/share?start=20240229&end=20240229", 400, "end", "at least one whole"),
        ("/v1/share?granularity=hourly&start=20050101&end=20990101", 422, "end", "100,000 steps"),
        ("/v1/words/top?limit=1001", 400, "limit", "1 to 1000"),
        ("/v1/words/top?limit=0", 400, "limit", "1 to"),
        ("/v1/changes?q=%21%21", 400, "q", "a letter or digit"),
        ("/v1/changes?type=edit,moved", 400, "type", "edit, new, log, categorize, external, other"),
        ("/v1/changes?namespace=x", 400, "namespace", "numbers"),
        ("/v1/changes?start=20240301&end=20240228", 400, "end", "after start"),
        ("/v1/changes?cursor=x", 400, "cursor", "next"),
        ("/v1/status?at=x", 400, "at", "no parameters"),
        (
            f"/metrics/edits/aggregate/pt wiki/{TAIL}/daily/20240228/20240301",
            400,
            "project",
            "such as",
        ),
        (
            "/metrics/edits/aggregate/pt.wikipedia/robots/content/daily/20240228/20240301",
            400,
            "editor-type",
            "all-editor-types, anonymous, group-bot, name-bot, user, bots, humans",
        ),
        (
            f"/metrics/edits/aggregate/pt.wikipedia/{TAIL}/weekly/20240228/20240301",
            400,
            "granularity",
            "daily, monthly, hourly, minutely",
        ),
        (
            f"/metrics/edits/aggregate/pt.wikipedia/{TAIL}/monthly/20240202/20240301",
            400,
            "end",
            "one whole month",
        ),
        (
            f"/metrics/edits/aggregate/pt.wikipedia/{TAIL}/minutely/20240228/20240302",
            422,
            "end",
            "24 hours",
        ),
        (
            f"/metrics/edits/aggregate/pt.wikipedia/{TAIL}/minutely/20240228/2024022801",
            422,
            "start",
            "202402290000 or later",
        ),
        (
            f"/metrics/editors/aggregate/all-projects/{TAIL}/all-activity-levels/daily/20240228/20240301",
            400,
            "project",
            "one project",
        ),
        (
            f"/metrics/editors/aggregate/pt.wikipedia/{TAIL}/all-activity-levels/hourly/20240228/20240301",
            400,
            "granularity",
            "daily, monthly",
        ),
        (
            f"/metrics/editors/aggregate/pt.wikipedia/{TAIL}/5..6-edits/daily/20240228/20240301",
            400,
            "activity-level",
            "5..24-edits",
        ),
        (
            f"/metrics/editors/aggregate/pt.wikipedia/{TAIL}/5..24-edits/daily/20200101/20240301",
            422,
            "end",
            "367 days",
        ),
        (
            f"/metrics/editors/top-by-edits/all-projects/{TAIL}/2024/02/29",
            400,
            "project",
            "one project",
        ),
        (f"/metrics/editors/top-by-edits/pt.wikipedia/{TAIL}/2024/02/30", 400, "day", "2024-02"),
        (f"/metrics/editors/top-by-edits/pt.wikipedia/{TAIL}/2024/13/01", 400, "month", "01 to 12"),
    ],
)
async def test_a_parameter_that_does_not_fit_is_named_with_what_does(
    world: World, path: str, status: int, parameter: str, says: str
) -> None:
    await world.append(made.documents(20))
    await world.follow()
    minute = int(made.FIRST / 60) + 24 * 60
    await world.publish(minutes_from=minute)
    async with world.served() as client, client.get(path) as response:
        assert response.status == status
        assert response.content_type == "application/problem+json"
        problem = await response.json()
    (error,) = problem["errors"]
    assert error["parameter"] == parameter
    assert says in error["accepted"]
    assert says in problem["detail"]
    assert problem["status"] == status


@pytest.mark.parametrize("name", ["pt.wikipedia", "PT.wikipedia", "www.pt.wikipedia.org"])
async def test_a_project_has_many_spellings(world: World, name: str) -> None:
    await filled(world)
    async with world.served() as client:
        body = await get(client, EDITS.replace("pt.wikipedia", name))
        assert body["items"][0]["project"] == "pt.wikipedia"


@pytest.mark.parametrize(
    "path",
    [EDITS.replace("pt.", "tlh."), "/v1/share?project=tlh.wikipedia", "/v1/changes?project=tlh"],
)
async def test_a_project_without_any_change_is_not_found(world: World, path: str) -> None:
    await filled(world)
    async with world.served() as client:
        problem = await get(client, path, 404)
        assert "is not loaded yet" in problem["detail"]


async def test_a_project_that_only_one_layer_knows_is_found(world: World) -> None:
    await world.append([Document(made.change(1, project="only.batch"))])
    await world.publish()
    await world.append([Document(made.change(2, project="only.speed"))])
    await world.follow()
    async with world.served() as client:
        for name in ("only.batch", "only.speed"):
            body = await get(client, f"{SHARE}&project={name}")
            assert edits(body) == 1


async def test_an_empty_log_is_answered_with_zeros(world: World) -> None:
    async with world.served() as client:
        body = await get(client, "/v1/share")
        assert (edits(body), {g["share"] for g in body["groups"]}) == (0, {0.0})
        assert (await get(client, "/v1/span"))["first"] is None
        assert (await get(client, "/v1/words/top"))["words"] == []
        changes = await get(client, "/v1/changes")
        assert (changes["changes"], changes["oldest"], changes["next"]) == ([], None, None)


async def test_an_answer_that_takes_too_long_is_503(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(world)
    monkeypatch.setattr("services.serving.api.answering.LONGEST_ANSWER", 0.01)
    async with world.served(speed=Counting(world.speed)) as client:
        await get(client, SHARE, 503)


def test_a_token_is_read_back() -> None:
    token = Token("log", 3, (1, 2), (5, 6), (0, 1))
    assert unpacked(packed(token), Token) == token


async def test_titles_are_data(world: World) -> None:
    await world.append([Document(made.change(1, title=made.HOSTILE, user=made.HOSTILE))])
    await world.follow()
    async with world.served() as client:
        (row,) = (await get(client, "/v1/changes"))["changes"]
        assert (row["title"], row["user"]) == (made.HOSTILE, made.HOSTILE)
        async with client.get("/v1/changes") as response:
            assert response.content_type == "application/json"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
