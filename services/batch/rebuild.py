"""A rebuild: the published segments once more from the lake, as one segment of today's version.

Everything is derived again from the raw payloads, so a new version of the parser or of the text
analysis reaches all answers. Which copy of an event counts is not decided again: the lake has each
event once. Days whose rows the lake has removed cannot be recounted; their rows are carried over
from the segments that are replaced, and the generation names these days. A day stays carried even
if late events have come since: the lake no longer knows all of it.

Segments that other runs publish meanwhile are kept behind the new one.

`bvw batch rebuild` does so when a person wants it, and a run by itself, once, when it finds segments of
another version.
"""

from dataclasses import replace
from typing import Final

import structlog

from services.batch import count as counting
from services.batch.publish import lake_horizon, published, superseded
from services.batch.work import VERSION, Skipped, Work
from services.shared.batchview.port import Superseded
from services.shared.domain.generation import Generation, Segment
from services.shared.domain.positions import reaches
from services.shared.runtime import crash
from services.shared.runtime.exits import Refused

_ATTEMPTS: Final = 5

_log = structlog.get_logger(__name__)


async def recount(work: Work) -> None:
    """Stage the sum of all published segments, from the lake as far as it holds them."""
    base = work.base
    horizon = await lake_horizon(work)
    if not base.segments:
        if reaches(base.horizon, horizon.positions):
            raise Skipped
        raise Refused("nothing of the lake has been counted yet; run bvw batch run, which does it")
    if not reaches(horizon.positions, base.horizon):
        raise Refused(
            f"lake: it stands at {horizon.positions}, before the published horizon"
            f" {base.horizon}; run bvw batch run first"
        )
    into, carried = await _recounted(work)
    work.staged = replace(base, segments=(into,), carried_days=carried)
    crash.point("batch.staged")


async def renew(work: Work) -> None:
    """Once after an update, within a run: what another version has counted is counted again.

    Otherwise answers would add up words that two versions took for the same. What is carried over stays as
    it was; its days are named, and as it is part of a segment of today's version it asks for nothing.
    """
    base = work.base
    others = sorted({segment.version for segment in base.segments} - {VERSION})
    if not others:
        raise Skipped
    _log.warning("counting_again", versions=others, version=VERSION)
    into, carried = await _recounted(work)
    staged = work.staged or replace(base, number=base.number + 1)
    new = staged.segments[len(base.segments) :]
    work.staged = replace(staged, segments=(into, *new), carried_days=carried)
    crash.point("batch.renewed")


async def _recounted(work: Work) -> tuple[Segment, tuple[int, ...]]:
    """The base's segments as one, staged, and the days that are carried over in it."""
    base = work.base
    expired = set(await work.lake.expired())
    carried = tuple(day for day in await work.batchview.days(base) if day in expired)
    into = work.segment(Segment("", base.segments[0].since, base.horizon, VERSION))
    counted = await counting.from_raw(work, into, base.minutes_from, carried)
    also = []
    if carried:
        also = [work.segment(into)]
        await work.batchview.combine(
            base.segments, also[0], minutes_from=base.minutes_from, days=carried
        )
    await counted.finish(also)
    return into, carried


async def replace_segments(work: Work) -> None:
    """Publish the recounted segment in the place of those that it covers."""
    if work.staged is None:
        raise Skipped
    rebuilt = work.staged
    reason = ""
    for _ in range(_ATTEMPTS):
        current = await work.batchview.current() or work.base
        generation = replace(_spliced(current, rebuilt), published_at=work.now())
        try:
            await work.batchview.publish(current.number, generation)
        except Superseded as error:
            reason = str(error)
            continue
        published(work, generation)
        crash.point("batch.published")
        return
    raise superseded(reason)


def _spliced(current: Generation, rebuilt: Generation) -> Generation:
    """The current generation with the rebuilt segment before what was published meanwhile."""
    newer = tuple(s for s in current.segments if reaches(s.since, rebuilt.horizon))
    covered = current.segments[: len(current.segments) - len(newer)]
    if not covered or covered[-1].until != rebuilt.horizon:
        raise superseded(f"generation {current.number} has other segments")
    return replace(
        current,
        number=current.number + 1,
        segments=(*rebuilt.segments, *newer),
        carried_days=rebuilt.carried_days,
    )
