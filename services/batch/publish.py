"""The steps of a run that make a generation: count, publish, compact.

A segment covers [published horizon, least horizon of the lake's tables), read from the lake: what an
earlier run took in before it crashed is counted by the next one. Staging changes no answer;
publishing is one compare-and-set against the generation that the run has found at its start, so of
two runs at once one publishes and the other changes nothing.
"""

from dataclasses import replace
from functools import reduce

import structlog

from services.batch import compaction
from services.batch import count as counting
from services.batch.work import VERSION, Skipped, Work
from services.shared.batchview.port import Superseded
from services.shared.domain.generation import Generation, Segment
from services.shared.domain.positions import Span, empty, lower, reaches
from services.shared.lake.port import TABLES, Horizon
from services.shared.runtime import crash, metrics
from services.shared.runtime.exits import Exit, Refused

_log = structlog.get_logger(__name__)


async def count(work: Work) -> None:
    """Stage the segment from the published horizon to the lake's."""
    until = await lake_horizon(work)
    if not reaches(until.positions, work.base.horizon):
        raise Refused(
            f"lake: it stands at {until.positions}, before the published horizon"
            f" {work.base.horizon}; restore it from a backup, or start anew with another --data"
        )
    if empty(Span(work.base.horizon, until.positions)):
        raise Skipped
    minutes_from = _minutes_from(work, until)
    segment = work.segment(Segment("", work.base.horizon, until.positions, VERSION))
    if any(counted.version != VERSION for counted in work.base.segments):
        # Another version may have cleaned these rows before it could count them.
        await (await counting.from_raw(work, segment, minutes_from, ())).finish()
    else:
        await counting.from_lake(work, segment, minutes_from)
    lost = work.base.lost_days if work.base.segments else tuple(await work.lake.expired())
    if lost and not work.base.segments:
        _log.error("counts_lost", days=lost, why="the lake let them go, and the batch view is new")
    work.staged = replace(
        work.base,
        lost_days=lost,
        number=work.base.number + 1,
        segments=(*work.base.segments, segment),
        horizon=until.positions,
        times=until.times,
        minutes_from=minutes_from,
    )
    crash.point("batch.staged")


async def lake_horizon(work: Work) -> Horizon:
    """Up to where every table of the lake has come."""
    horizons = [await work.lake.horizon(table) for table in TABLES]
    return Horizon(
        reduce(lower, (horizon.positions for horizon in horizons)),
        reduce(lower, (horizon.times for horizon in horizons)),
    )


def _minutes_from(work: Work, until: Horizon) -> int:
    """Only rises; 0 for ever where all minutes are kept."""
    keep = work.options.minutes_keep
    if keep is None:
        return work.base.minutes_from
    return max(work.base.minutes_from, (min(until.times) - keep) // 60_000)


async def publish(work: Work) -> None:
    if work.staged is None:
        raise Skipped
    generation = replace(work.staged, published_at=work.now())
    try:
        await work.batchview.publish(work.base.number, generation)
    except Superseded as error:
        raise superseded(str(error)) from error
    published(work, generation)
    crash.point("batch.published")


def superseded(reason: str) -> Refused:
    return Refused(
        f"another batch run has published meanwhile ({reason}); this one has published nothing,"
        " run it again",
        Exit.TEMPORARY,
    )


def published(work: Work, generation: Generation) -> None:
    """From here on the run stands on what it has published."""
    work.base, work.staged = generation, None
    work.run = replace(work.run, generation=generation.number)
    metrics.GENERATION.set(generation.number)
    metrics.SEGMENTS.set(len(generation.segments))


async def compact(work: Work) -> None:
    """Add up small segments, and let the lake put its small files together."""
    await work.lake.maintain()
    segments = work.base.segments
    sizes = await work.batchview.sizes(segments)
    start = compaction.plan(segments, sizes)
    if start is None:
        raise Skipped
    taken = segments[start:]
    into = work.segment(Segment("", taken[0].since, taken[-1].until, VERSION))
    into = replace(into, version=taken[0].version)
    await work.batchview.combine(taken, into, minutes_from=work.base.minutes_from)
    await work.advance(sum(sizes[start:]), (await work.batchview.sizes([into]))[0])
    crash.point("batch.compacted-staged")
    generation = replace(
        work.base,
        number=work.base.number + 1,
        segments=(*segments[:start], into),
        published_at=work.now(),
    )
    try:
        await work.batchview.publish(work.base.number, generation)
    except Superseded:
        _log.info("compaction_superseded", generation=work.base.number)
        raise Skipped from None
    published(work, generation)
    metrics.COMPACTIONS.labels("segments").inc()
    crash.point("batch.compacted")
