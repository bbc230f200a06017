"""After an update a run counts again what another version has counted: once, before it publishes."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.batch import derive, run
from services.batch.work import VERSION
from services.shared.batchview.port import Run
from services.shared.domain.generation import Generation
from services.shared.domain.views import Document
from services.shared.lake.port import CLEANED
from services.shared.runtime.clock import ManualClock
from services.shared.runtime.exits import Exit
from tests.deaths import died
from tests.unit.batch.conftest import (
    DAY,
    NOW,
    Stores,
    current,
    event,
    open_stores,
    recount,
    recounted_registers,
)

YESTERDAY = DAY - 1
RAWS = [event(n, at=NOW - 86_400 * (n % 2)) for n in range(30)]


def states(of: Run) -> dict[str, str]:
    return {step.name: step.state for step in of.steps}


async def counted_before_the_update(stores: Stores) -> Generation:
    """Two segments of another version, whose words are wrong by today's."""
    for part in (RAWS[:10], RAWS[10:20]):
        await stores.append(*part)
        await stores.run()
    base = await current(stores)
    older = tuple(replace(segment, version="0.0") for segment in base.segments)
    for segment in older:
        rows = await stores.batchview.rows([segment], "words", [DAY, YESTERDAY])
        wrong = [((*key[:3], f"old-{key[3]}", key[4]), measures) for key, measures in rows]
        other = {
            view: await stores.batchview.rows([segment], view, [DAY, YESTERDAY])
            for view in ("edits", "minutes", "pages", "editors", "hashtags")
        }
        registers = await stores.batchview.day_registers([segment], [DAY, YESTERDAY])
        renamed = replace(segment, id=f"old-{segment.id}")
        await stores.batchview.stage(renamed, {"words": wrong, **other}, registers)
    older = tuple(replace(segment, id=f"old-{segment.id}") for segment in older)
    published = replace(base, number=base.number + 1, segments=older)
    await stores.batchview.publish(base.number, published)
    return published


@pytest.mark.parametrize("new", [0, 10])
async def test_what_another_version_has_counted_is_counted_again_once(
    stores: Stores, new: int
) -> None:
    await counted_before_the_update(stores)
    await stores.append(*RAWS[20 : 20 + new])
    done = await stores.run(piece=7, rows_a_part=60)
    assert states(done)["renew"] == "done"
    after = await current(stores)
    assert {segment.version for segment in after.segments} == {VERSION}
    assert after.carried_days == ()
    assert await stores.rows() == recount(RAWS[: 20 + new])
    assert await stores.registers() == recounted_registers(RAWS[: 20 + new])
    assert states(await stores.run())["renew"] == "skipped"


async def test_what_another_version_has_cleaned_but_not_counted_is_cleaned_again(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    await counted_before_the_update(stores)
    await stores.append(*RAWS[20:])
    with monkeypatch.context() as before_the_update:
        before_the_update.setattr(derive, "document", Document)  # it found no words at all
        before_the_update.setitem(run.GRAPHS, "run", cleaning_only(run.GRAPHS["run"]))
        await stores.run()
    assert (await stores.lake.horizon(CLEANED)).positions == await stores.log.stable_end()
    await stores.run()
    assert await stores.rows() == recount(RAWS)


def cleaning_only(graph: Any) -> Any:
    """The process died before it could count."""
    return {name: graph[name] for name in ("ingest", "define", "clean")}


async def test_days_that_the_lake_has_let_go_of_stay_as_they_were_and_ask_for_nothing(
    stores: Stores,
) -> None:
    await counted_before_the_update(stores)
    before = await stores.rows()
    await stores.lake.expire([YESTERDAY])
    await stores.append(event(100, at=NOW - 86_400), *RAWS[20:])
    await stores.run()
    after = await current(stores)
    assert after.carried_days == (YESTERDAY,)
    assert {segment.version for segment in after.segments} == {VERSION}
    late = [event(100, at=NOW - 86_400)]
    expected = recount([*RAWS, *late])
    rows = await stores.rows()
    assert {view: rows[view] for view in rows if view != "words"} == {
        view: expected[view] for view in rows if view != "words"
    }
    day = {key: m for key, m in rows["words"].items() if key[1] == DAY}
    assert day == {key: m for key, m in expected["words"].items() if key[1] == DAY}
    kept = {key: m for key, m in before["words"].items() if key[1] == YESTERDAY}
    assert kept.items() <= rows["words"].items(), "its words are those of its own version"
    assert states(await stores.run())["renew"] == "skipped"


async def renewing(path: Path) -> None:
    async with AsyncExitStack() as stack:
        stores = await open_stores(path, ManualClock(NOW), stack)
        await counted_before_the_update(stores)
        await stores.run()


async def test_a_crash_before_it_is_published_repeats_it(tmp_path: Path) -> None:
    assert await died(renewing, tmp_path, at="batch.renewed") == Exit.CRASHED
    async with AsyncExitStack() as stack:
        stores = await open_stores(tmp_path, ManualClock(NOW), stack)
        assert {s.version for s in (await current(stores)).segments} == {"0.0"}
        assert states(await stores.run())["renew"] == "done"
        assert await stores.rows() == recount(RAWS[:20])
