"""The audit says exact where it is, and finds every kind of lie."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3

import pytest

from services.audit.questions import EVERYBODY
from services.shared.domain import hll
from services.shared.runtime.exits import Exit, Refused
from tests.unit.audit.conftest import WINDOW_MS, Answer, Scene
from tests.unit.batch.conftest import CANARY, DAY, HOUR_MS, NOW, event


async def test_types_that_nobody_knows_are_counted_and_recounted(scene: Scene) -> None:
    await scene.append(*(event(n, type=kind) for n, kind in enumerate([142, "flow", "edit"], 200)))
    await scene.see()
    assert (await scene.audited()).exact
    await scene.stores.run()
    assert (await scene.audited()).exact


async def test_what_is_true_is_exact(scene: Scene) -> None:
    await scene.append(CANARY)
    await scene.see()
    found = await scene.audited()
    assert found.exact
    assert found.listed == []
    assert (found.events, found.copies, found.generation) == (60, 10, 1)
    assert found.as_of == list(await scene.stores.log.stable_end())
    assert found.cells > 5 * found.questions > 500
    assert [*found.days_not_recounted, *found.late_days, *found.reasons] == []


async def test_every_kind_of_answer_is_asked_for(scene: Scene) -> None:
    asked: set[str] = set()

    def note(path: str, answer: Answer) -> Answer:
        asked.add(path)
        return answer

    await scene.audited(note)
    for part in (
        "/metrics/edits/aggregate/all-projects/", "/hourly/", "/minutely/", "type=log",
        "/metrics/bytes-difference/net/", "/metrics/bytes-difference/absolute/",
        "/metrics/edited-pages/aggregate/", "/metrics/editors/aggregate/",
        "/all-activity-levels/daily/", "/all-activity-levels/monthly/", "/5..24-edits/monthly/",
        "/metrics/edited-pages/top-by-edits/", "/metrics/editors/top-by-edits/", "/all-days",
        "/v1/share", "/v1/agreement", "/v1/words/top", "/v1/hashtags/top", "/v1/projects",
    ):  # fmt: skip
        assert any(part in path for path in asked), part
    tokens = {path.partition("at=")[2].partition("&")[0] for path in asked if "at=" in path}
    assert len(tokens) == 1, "all at one pin"


CHANGED = [
    ("edits", "edits = edits + 1"),
    ("edits", "net_bytes = net_bytes - 1"),
    ("edits", "abs_bytes = abs_bytes + 1"),
    ("edits", "minor = minor + 1"),
    ("edits", "new_pages = new_pages + 1"),
    ("edits", "hour = hour + 1"),
    ("edits", "bot = 1 - bot"),
    ("edits", "bot_name = 1 - bot_name"),
    ("edits", "page_class = 'other'"),
    ("minutes", "edits = edits + 1"),
    ("minutes", "minute = minute + 1"),
    ("minutes", "page_class = 'other'"),
    ("minutes", "net_bytes = net_bytes + 1"),
    ("minutes", "abs_bytes = abs_bytes + 1"),
    ("minutes", "minor = minor + 1"),
    ("minutes", "new_pages = new_pages + 1"),
    ("pages", "title = 'Elsewhere'"),
    ("pages", "edits = edits + 1"),
    ("pages", "page_class = 'other'"),
    ("editors", "user = 'Somebody'"),
    ("editors", "edits = edits + 1"),
    ("editors", "page_class = 'other'"),
    ("words", "edits = edits + 1"),
    ("words", "stem = 'else'"),
    ("words", "form = 'Else'"),
    ("hashtags", "hashtag = 'else'"),
    ("hashtags", "edits = edits + 1"),
]
VIEWS = ["edits", "minutes", "pages", "editors", "words", "hashtags"]


async def test_a_stored_value_that_is_wrong_is_found(scene: Scene) -> None:
    for view, change in CHANGED:
        async with scene.planted(f"UPDATE {view} SET {change} WHERE {_one(view)}"):
            found = await scene.audited()
        assert not found.exact, (view, change)
        assert found.differences >= len(found.listed) > 0
    assert (await scene.audited()).exact, "restored"


async def test_a_stored_row_that_is_missing_is_found(scene: Scene) -> None:
    for view in VIEWS:
        async with scene.planted(f"DELETE FROM {view} WHERE {_one(view)}"):
            assert not (await scene.audited()).exact, view


async def test_registers_that_are_wrong_are_found(scene: Scene) -> None:
    more = hll.registers(f"stranger {n}" for n in range(20))
    for of in ("pages", "editors"):
        key = "(of, project, editor_class, page_class)"
        sql = f"UPDATE registers SET registers = ? WHERE {key} IN (SELECT {key[1:-1]}"
        sql += " FROM registers WHERE of = ? LIMIT 1)"
        async with scene.planted(sql, more, of):
            found = await scene.audited()
        (difference,) = found.listed
        assert "/all-activity-levels/monthly/" in difference.question
        assert difference.answered > difference.recounted


async def test_what_should_not_be_there_is_found(scene: Scene) -> None:
    keys = "day, hour, editor_class, bot, bot_name, page_class, type"
    rest = f"{keys}, edits, net_bytes, abs_bytes, minor, new_pages"
    sql = f"INSERT INTO edits (segment, project, {rest}) SELECT segment, 'xx.wikipedia', {rest}"
    async with scene.planted(f"{sql} FROM edits WHERE {_one('edits')}"):
        found = await scene.audited()
    assert ("xx.wikipedia", None) in {(d.cell, d.recounted) for d in found.listed}


async def test_a_document_that_the_speed_layer_lost_is_found(scene: Scene) -> None:
    def lose() -> None:
        with contextlib.closing(sqlite3.connect(scene.path / "speed.db")) as connection:
            sql = "DELETE FROM documents WHERE rowid IN (SELECT max(rowid) FROM documents)"
            assert connection.execute(sql).rowcount == 1
            connection.commit()

    await asyncio.to_thread(lose)
    assert not (await scene.audited()).exact


async def test_an_answer_that_is_refused_is_a_difference(scene: Scene) -> None:
    def refuse(path: str, answer: Answer) -> Answer:
        return (500, {"detail": "broken"}) if "/v1/words" in path else answer

    found = await scene.audited(refuse)
    assert not found.exact
    assert {difference.cell for difference in found.listed} == {"HTTP 500"}


async def test_all_differences_are_counted_and_the_first_are_listed(scene: Scene) -> None:
    def more(path: str, answer: Answer) -> Answer:
        if f"/{EVERYBODY}/all-page-types/minutely/" in path:
            for row in answer[1]["items"][0]["results"]:
                row["edits"] += 1
        return answer

    found = await scene.audited(more)
    assert found.differences == 2 * 1440
    assert len(found.listed) == 100


async def test_what_is_appended_meanwhile_is_not_counted(scene: Scene) -> None:
    async def append(path: str, answer: Answer) -> Answer:
        if path == "/v1/projects":
            await scene.append(event(100), event(101))
            await scene.see()
            await scene.stores.run()
        return answer

    found = await scene.audited(append)
    assert found.exact
    assert (found.events, found.generation) == (60, 1)


async def test_it_starts_again_when_its_generation_is_gone(scene: Scene) -> None:
    asked: list[str] = []

    async def gone_once(path: str, answer: Answer) -> Answer:
        asked.append(path)
        if "at=" not in path or len([path for path in asked if "at=" in path]) > 1:
            return answer
        await scene.append(event(100))
        await scene.see()
        return 410, None

    found = await scene.audited(gone_once)
    assert found.exact
    assert found.events == 61
    assert asked.count("/v1/projects") == 2


async def test_it_gives_up_when_generations_go_too_fast(scene: Scene) -> None:
    def gone(path: str, answer: Answer) -> Answer:
        return (410, None) if "at=" in path else answer

    with pytest.raises(Refused, match=r"gone before the end, 3 times.*BVW_GENERATION_KEEP") as why:
        await scene.audited(gone)
    assert why.value.code == Exit.TEMPORARY


async def test_an_answer_that_is_not_exact_cannot_be_audited(scene: Scene) -> None:
    visible = await scene.stores.speedview.visible()
    assert visible is not None
    end = await scene.stores.log.stable_end()
    await scene.stores.speedview.begin(
        scene.stores.log.identity, visible.positions, end, text_version=1
    )
    with pytest.raises(
        Refused, match="does not answer exactly now: speed view begins after"
    ) as why:
        await scene.audited()
    assert why.value.code == Exit.TEMPORARY


async def test_the_api_of_another_log_is_refused(scene: Scene) -> None:
    def other(_path: str, answer: Answer) -> Answer:
        answer[1]["meta"]["log"] = "another"
        return answer

    with pytest.raises(Refused, match="another log"):
        await scene.audited(other)


async def test_days_that_are_no_longer_stored_are_named_and_not_compared(scene: Scene) -> None:
    old = event(200, at=NOW - 86_400)
    await scene.append(old, event(201))
    await scene.see()
    await scene.stores.run()
    await scene.stores.log.trim(await scene.stores.log.stable_end())
    assert (await scene.audited()).exact, "recounted from the lake"
    await scene.stores.lake.expire([DAY - 1])
    found = await scene.audited()
    assert found.exact
    assert found.days_not_recounted == [DAY - 1]
    assert found.events == 61
    async with scene.planted(f"UPDATE edits SET edits = 9 WHERE day = {DAY - 1}"):
        assert (await scene.audited()).exact, "nobody can tell"
    async with scene.planted(f"UPDATE edits SET edits = edits + 1 WHERE {_one('edits')}"):
        assert not (await scene.audited()).exact, "the other day is still proved"


async def test_copies_later_than_the_window_wait_for_the_batch_run(scene: Scene) -> None:
    scene.stores.clock.advance(WINDOW_MS / 1000 + 3600)
    await scene.append(event(1), event(300, at=NOW + 86_400))
    await scene.see()
    found = await scene.audited()
    assert found.late_days == [DAY]
    assert found.copies == 11
    await scene.stores.run()
    found = await scene.audited()
    assert (found.exact, found.late_days, found.events) == (True, [], 61)


async def test_minutes_are_compared_from_where_they_are_kept(scene: Scene) -> None:
    first = await scene.stores.batchview.current()
    assert first is not None
    await scene.append(event(400))
    await scene.see()
    await scene.stores.run(minutes_keep=HOUR_MS)
    asked: list[str] = []

    def note(path: str, answer: Answer) -> Answer:
        asked.append(path)
        return answer

    found = await scene.audited(note)
    assert found.exact
    minutely = [path for path in asked if "/minutely/" in path]
    assert minutely
    assert all(f"/minutely/{DAY}1100/{DAY + 72}" in path for path in minutely)


def _one(view: str) -> str:
    """One row of an edit (type edit) of the view in the batch layer."""
    type_ = "type = 'edit' AND " if view in {"edits", "minutes"} else ""
    keys = "segment, day, project, editor_class"
    own = {
        "edits": "hour, bot, bot_name, page_class, type",
        "minutes": "minute, bot, bot_name, page_class, type",
        "pages": "title, page_class",
        "editors": "user, page_class",
        "words": "stem, form",
        "hashtags": "hashtag",
    }[view]
    columns = f"{keys}, {own}"
    return f"({columns}) IN (SELECT {columns} FROM {view} WHERE {type_}day = {DAY} LIMIT 1)"
