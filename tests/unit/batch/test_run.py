"""A batch run from the log to a generation, on the embedded stores."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from services.batch import publish
from services.batch.raw import Unreadable
from services.batch.run import run_once
from services.batch.work import VERSION, Options, Stopped
from services.shared.batchview.port import Run
from services.shared.domain.generation import Segment, first
from services.shared.domain.query import Query
from services.shared.domain.views import MINUTES
from services.shared.lake.port import CLEANED, DEFINED, RAW, TABLES
from services.shared.log.port import Entry
from services.shared.runtime.exits import Exit, Refused
from tests.unit.batch.conftest import (
    CANARY,
    HOUR_MS,
    NOW,
    Stores,
    begun,
    event,
    options,
    recount,
    recounted_registers,
)


def states(run: Run) -> dict[str, str]:
    return {step.name: step.state for step in run.steps}


async def test_a_run_counts_every_event_once(stores: Stores) -> None:
    raws = [event(n) for n in range(60)]
    await stores.append(*raws, CANARY, *raws[:20])
    await stores.append(*raws[10:30], CANARY)
    run = await stores.run(piece=25)
    assert run.state == "done"
    assert run.generation == 1
    assert await stores.rows() == recount(raws)
    assert await stores.registers() == recounted_registers(raws)
    end = await stores.log.stable_end()
    current = await stores.batchview.current()
    assert current is not None
    assert current.horizon == end
    assert current.segments[0].version == VERSION
    assert [(await stores.lake.horizon(t)).positions for t in TABLES] == [end] * 3


async def test_runs_add_up_whatever_they_find_new(stores: Stores) -> None:
    raws = [event(n, at=NOW - 86_400 * (n % 3)) for n in range(40)]
    for start in range(0, 40, 8):
        await stores.append(*raws[start : start + 8], raws[0], raws[start])
        await stores.run()
    assert await stores.rows() == recount(raws)
    assert await stores.registers() == recounted_registers(raws)


async def test_the_lowest_position_of_an_event_wins_for_good(stores: Stores) -> None:
    early, copy = event(1, title="First"), event(1, title="Second")
    await stores.append(early, copy)
    await stores.run()
    await stores.append(copy)
    await stores.run()
    rows = await stores.rows()
    assert [key[2] for key in rows["pages"]] == ["First"]
    assert sum(m[0] for m in rows["edits"].values()) == 1


async def test_nothing_new_publishes_nothing(stores: Stores) -> None:
    assert (await stores.run()).generation is None
    await stores.append(event(1))
    await stores.run()
    run = await stores.run()
    assert states(run)["count"] == states(run)["publish"] == states(run)["ingest"] == "skipped"
    assert run.state == "done"
    current = await stores.batchview.current()
    assert current is not None
    assert current.number == 1


async def test_canaries_alone_move_the_horizon(stores: Stores) -> None:
    await stores.append(CANARY)
    await stores.run()
    current = await stores.batchview.current()
    assert current is not None
    assert current.horizon == await stores.log.stable_end()
    assert not any((await stores.rows()).values())


async def test_many_small_parts_make_the_same_segment(stores: Stores) -> None:
    raws = [event(n) for n in range(60)]
    await stores.append(*raws)
    await stores.run(piece=7, rows_a_part=50)
    assert await stores.rows() == recount(raws)
    assert await stores.registers() == recounted_registers(raws)
    current = await stores.batchview.current()
    assert current is not None
    assert len(current.segments) == 1


async def test_what_an_earlier_run_took_in_but_did_not_publish_is_counted(stores: Stores) -> None:
    raws = [event(n) for n in range(12)]
    await stores.append(*raws[:6])
    stop = asyncio.Event()
    stop.set()
    with pytest.raises(Stopped):
        await run_once(
            stores.log, stores.lake, stores.batchview, None,
            clock=stores.clock, options=Options(dedupe_window=1, generation_keep=1), stop=stop,
        )  # fmt: skip
    assert (await stores.lake.horizon(RAW)).positions == await stores.log.stable_end()
    assert [run.state for run in await stores.batchview.runs()] == ["failed"]
    await stores.append(*raws[6:])
    await stores.run()
    assert await stores.rows() == recount(raws)


async def test_a_table_half_made_claims_no_later_log_time_than_it_has(stores: Stores) -> None:
    for n in range(12):
        await stores.append(event(n))
        stores.clock.advance(10)
    stop = asyncio.Event()

    def stop_in_the_middle(run: Run) -> None:
        if run.steps and run.steps[-1].name == "define" and run.steps[-1].rows_in:
            stop.set()

    with pytest.raises(Stopped):
        await run_once(
            stores.log, stores.lake, stores.batchview, None, clock=stores.clock, stop=stop,
            options=options(piece=4), on_progress=stop_in_the_middle,
        )  # fmt: skip
    defined, end = await stores.lake.horizon(DEFINED), await stores.log.stable_end()
    assert (0, 0) < defined.positions < end
    rest = await stores.log.read(defined.positions, limit=100)
    assert all(record.appended_at >= defined.times[record.partition] for record in rest.records)
    slowest = await publish.lake_horizon(await begun(stores))
    assert slowest == await stores.lake.horizon(CLEANED), "as far as all tables have come"
    assert slowest.positions < defined.positions


async def test_steps_are_recorded_as_they_went(stores: Stores) -> None:
    await stores.append(*(event(n) for n in range(10)))
    seen: list[Run] = []
    run = await run_once(
        stores.log, stores.lake, stores.batchview, None,
        clock=stores.clock, options=Options(dedupe_window=1, generation_keep=1), on_progress=seen.append,
    )  # fmt: skip
    assert await stores.batchview.runs() == [run]
    assert [step.name for step in run.steps] == [
        "ingest", "define", "clean", "count", "renew", "topics", "publish", "compact", "expire",
    ]  # fmt: skip
    assert (run.steps[0].rows_in, run.steps[0].rows_out) == (10, 10)
    assert seen[-1] == run
    assert any(r.steps and r.steps[-1].state == "running" and r.steps[-1].rows_in for r in seen)
    assert [step.expected for step in run.steps[:4]] == [10] * 4


async def test_a_long_step_is_recorded_on_its_way(stores: Stores) -> None:
    await stores.append(*(event(n) for n in range(10)))
    recorded: list[Run] = []
    record = stores.batchview.record

    async def note(run: Run) -> None:
        recorded.append(run)
        await record(run)

    stores.batchview.record = note  # type: ignore[method-assign]
    await run_once(
        stores.log, stores.lake, stores.batchview, None, clock=stores.clock,
        options=options(piece=2), on_progress=lambda _: stores.clock.advance(0.6),
    )  # fmt: skip
    on_the_way = {
        run.steps[0].rows_in for run in recorded if run.steps and run.steps[0].state == "running"
    }
    assert len(on_the_way) > 2


async def test_a_failing_step_fails_the_run_with_one_line(stores: Stores) -> None:
    await stores.append(event(1))
    await stores.log.append([Entry("20240229:bad", b"{\n not an event")])
    with pytest.raises(Unreadable, match=r"partition \d, offset \d"):
        await stores.run()
    (run,) = await stores.batchview.runs()
    assert run.state == "failed"
    assert [(s.name, s.state) for s in run.steps] == [("ingest", "failed")]
    assert "offset" in run.steps[0].error
    assert "\n" not in run.steps[0].error


async def test_a_run_that_died_is_closed_by_the_next(stores: Stores) -> None:
    await stores.batchview.record(Run("0-dead", "run", "running", 5))
    await stores.run()
    assert {run.id: run.state for run in await stores.batchview.runs()}["0-dead"] == "failed"


async def test_a_run_overtaken_by_another_publishes_nothing(stores: Stores) -> None:
    await stores.append(*(event(n) for n in range(5)))
    counting = asyncio.Event()

    def overtake(run: Run) -> None:
        if run.steps[-1].name == "count":
            counting.set()

    async def other() -> None:
        await counting.wait()
        current = await stores.batchview.current()
        assert current is not None
        await stores.batchview.publish(0, replace(current, number=1))

    with pytest.raises(Refused, match="another batch run") as refused:
        await asyncio.gather(
            run_once(
                stores.log, stores.lake, stores.batchview, None, clock=stores.clock,
                options=Options(dedupe_window=1, generation_keep=1), on_progress=overtake,
            ),
            other(),
        )  # fmt: skip
    assert refused.value.code == Exit.TEMPORARY
    current = await stores.batchview.current()
    assert current is not None
    assert current.segments == ()
    assert (await stores.run()).state == "done"
    assert await stores.rows() == recount([event(n) for n in range(5)])


async def test_stores_of_another_log_are_refused(stores: Stores) -> None:
    await stores.batchview.begin(first("another log", 2, 0))
    with pytest.raises(Refused, match=r"another log.*--data") as refused:
        await stores.run()
    assert refused.value.code == Exit.CONFIGURATION


async def test_a_log_that_has_been_cut_is_refused(stores: Stores) -> None:
    segment = Segment("s", (0, 0), (9, 9), VERSION)
    await stores.batchview.begin(first(stores.log.identity, 2, 0))
    await stores.batchview.stage(segment, {}, {})
    current = await stores.batchview.current()
    assert current is not None
    await stores.batchview.publish(
        0, replace(current, number=1, segments=(segment,), horizon=(9, 9))
    )
    with pytest.raises(Refused, match="beyond the log's end"):
        await stores.run()


async def test_minutes_are_kept_for_a_time_that_only_moves_on(stores: Stores) -> None:
    keep = 2 * HOUR_MS
    await stores.append(event(1, at=NOW - 3 * 3600), event(2, at=NOW - 3600))
    await stores.run(minutes_keep=keep)
    current = await stores.batchview.current()
    assert current is not None
    assert current.minutes_from == NOW // 60 - 120
    rows = await stores.rows()
    assert [key[2] for key in rows["minutes"]] == [NOW // 60 - 60]
    assert sum(m[0] for m in rows["edits"].values()) == 2
    stores.clock.advance(60)
    await stores.append(event(3))
    await stores.run(minutes_keep=keep * 100)
    again = await stores.batchview.current()
    assert again is not None
    assert again.minutes_from == current.minutes_from


async def test_a_recording_keeps_all_its_minutes(stores: Stores) -> None:
    await stores.append(event(1, at=NOW - 86_400 * 3000))
    await stores.run()
    current = await stores.batchview.current()
    assert current is not None
    assert current.minutes_from == 0
    assert len(await stores.batchview.sums(current, Query(MINUTES, ("minute",)))) == 1


async def test_many_runs_leave_few_segments(stores: Stores) -> None:
    raws = [event(n) for n in range(12)]
    for raw in raws:
        await stores.append(raw)
        await stores.run(generation_keep=0)
        stores.clock.advance(1)
    current = await stores.batchview.current()
    assert current is not None
    assert len(current.segments) <= 7
    assert current.number > 12, "compactions publish too"
    assert await stores.rows() == recount(raws)
    assert len(await stores.batchview.generations()) <= 3


async def test_the_tables_of_the_lake_hold_the_same_events(stores: Stores) -> None:
    raws = [event(n) for n in range(10)]
    await stores.append(*raws)
    await stores.run(piece=3)
    for table in (RAW, DEFINED, CLEANED):
        found = await scanned(stores, table, "partition", "offset")
        assert len(set(found)) == len(found) == 10
    assert sorted(each for (each,) in await scanned(stores, RAW, "json")) == sorted(raws)


async def scanned(stores: Stores, table: str, *columns: str) -> list[tuple[Any, ...]]:
    pieces = await asyncio.to_thread(lambda: list(stores.lake.scan(table, columns)))
    return [tuple(row.values()) for piece in pieces for row in piece.to_pylist()]
