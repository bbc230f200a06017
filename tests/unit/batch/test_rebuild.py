"""A rebuild says what the sum of the segments says, and keeps what it cannot recount."""

from dataclasses import replace
from pathlib import Path

import pytest

from services.batch import rebuild
from services.batch.work import VERSION, Work
from services.shared.batchview.embedded import SqliteBatchView
from services.shared.domain.generation import Generation, Segment
from services.shared.lake.port import DEFINED
from services.shared.runtime.exits import Exit, Refused
from tests.unit.batch.conftest import (
    DAY,
    NOW,
    Stores,
    begun,
    current,
    event,
    recount,
    recounted_registers,
)

YESTERDAY = DAY - 1
RAWS = [event(n, at=NOW - 86_400 * (n % 2)) for n in range(30)]


async def filled(stores: Stores, parts: int = 2) -> Generation:
    for part in range(parts):
        await stores.append(*RAWS[part::parts])
        await stores.run()
    return await current(stores)


async def test_a_rebuild_is_the_sum_of_the_segments(stores: Stores) -> None:
    before = await filled(stores)
    run = await stores.run("rebuild", piece=7, rows_a_part=60)
    after = await current(stores)
    assert [step.name for step in run.steps] == ["recount", "publish", "expire"]
    assert run.steps[0].rows_in == len(RAWS)
    assert len(after.segments) == 1
    assert (after.horizon, after.times) == (before.horizon, before.times)
    assert after.number == before.number + 1
    assert after.carried_days == ()
    assert await stores.rows() == recount(RAWS)
    assert await stores.registers() == recounted_registers(RAWS)


async def test_an_empty_view_has_nothing_to_rebuild(stores: Stores) -> None:
    run = await stores.run("rebuild")
    assert run.state == "done"
    assert (await current(stores)).number == 0


async def test_where_nothing_is_counted_yet_a_rebuild_names_the_run(
    stores: Stores, tmp_path: Path
) -> None:
    await filled(stores)
    lost, stores.batchview = (
        stores.batchview,
        await SqliteBatchView.open(tmp_path / "new.db", stores.clock),
    )
    await lost.close()
    with pytest.raises(Refused, match="bvw batch run"):
        await stores.run("rebuild")
    await stores.run()
    assert await stores.rows() == recount(RAWS)
    await stores.batchview.close()


async def test_a_rebuild_repairs_rows_and_gives_them_todays_version(stores: Stores) -> None:
    base = await filled(stores, parts=1)
    wrong = Segment("wrong", base.segments[0].since, base.horizon, "0.old")
    await stores.batchview.stage(wrong, {}, {})
    await stores.batchview.publish(
        base.number, replace(base, number=base.number + 1, segments=(wrong,))
    )
    await stores.run("rebuild")
    assert await stores.rows() == recount(RAWS)
    assert [segment.version for segment in (await current(stores)).segments] == [VERSION]


async def test_days_that_the_lake_has_removed_are_carried_over(stores: Stores) -> None:
    await filled(stores)
    await stores.lake.expire([YESTERDAY])
    await stores.run("rebuild", piece=7, rows_a_part=60)
    assert (await current(stores)).carried_days == (YESTERDAY,)
    assert await stores.rows() == recount(RAWS)
    assert await stores.registers() == recounted_registers(RAWS)


async def test_a_carried_day_stays_whole_when_late_events_come(stores: Stores) -> None:
    await filled(stores)
    await stores.lake.expire([YESTERDAY])
    late = [event(n, at=NOW - 86_400) for n in (100, 101)]
    await stores.append(*late, RAWS[1])
    await stores.run()
    await stores.run("rebuild")
    await stores.run("rebuild")
    assert (await current(stores)).carried_days == (YESTERDAY,)
    assert await stores.rows() == recount([*RAWS, *late])


async def test_segments_published_meanwhile_are_kept(stores: Stores) -> None:
    await filled(stores)
    work = await begun(stores)
    await rebuild.recount(replace_steps(work))
    more = [event(n) for n in range(50, 60)]
    await stores.append(*more)
    await stores.run()
    meanwhile = await current(stores)
    await rebuild.replace_segments(work)
    after = await current(stores)
    assert after.number == meanwhile.number + 1
    assert after.horizon == meanwhile.horizon
    assert after.segments[1:] == meanwhile.segments[-1:]
    assert await stores.rows() == recount([*RAWS, *more])


async def test_what_was_compacted_across_the_seam_supersedes_the_rebuild(stores: Stores) -> None:
    base = await filled(stores)
    work = await begun(stores)
    await rebuild.recount(replace_steps(work))
    await stores.append(event(50))
    await stores.run()
    meanwhile = await current(stores)
    whole = Segment("whole", base.segments[0].since, meanwhile.horizon, VERSION)
    await stores.batchview.combine(meanwhile.segments, whole, minutes_from=0)
    generation = replace(meanwhile, number=meanwhile.number + 1, segments=(whole,))
    await stores.batchview.publish(meanwhile.number, generation)
    with pytest.raises(Refused, match="another batch run") as refused:
        await rebuild.replace_segments(work)
    assert refused.value.code == Exit.TEMPORARY
    assert await current(stores) == generation


async def test_a_lake_behind_the_horizon_cannot_be_recounted(stores: Stores) -> None:
    base = await filled(stores)
    assert (await stores.lake.horizon(DEFINED)).positions == base.horizon
    beyond = tuple(position + 1 for position in base.horizon)
    ahead = Segment("ahead", base.horizon, beyond, VERSION)
    await stores.batchview.stage(ahead, {}, {})
    await stores.batchview.publish(
        base.number,
        replace(base, number=base.number + 1, segments=(*base.segments, ahead), horizon=beyond),
    )
    await stores.append(*(event(n) for n in range(70, 90)))
    with pytest.raises(Refused, match="bvw batch run"):
        await stores.run("rebuild")


def replace_steps(work: Work) -> Work:
    """As in a run, where the step that advances is the last of the record."""
    from services.batch.work import running

    work.run = replace(work.run, steps=(running("recount", 0),))
    return work
