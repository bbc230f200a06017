"""A rebuild: the published segments once more from the lake, as one segment of today's version.

Everything is derived again from the raw payloads, so a new version of the parser or of the text
analysis reaches all answers. Which copy of an event counts is not decided again: the lake has each
event once. Days whose rows the lake has removed cannot be recounted; their rows are carried over
from the segments that are replaced, and the generation names these days. A day stays carried even
if late events have come since: the lake no longer knows all of it.

Segments that other runs publish meanwhile are kept behind the new one.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from services.batch import arrow, derive
from services.batch.count import Counting, Sums
from services.batch.publish import lake_horizon, published, superseded
from services.batch.work import VERSION, Skipped, Work
from services.shared.batchview.port import Superseded
from services.shared.domain.generation import Generation, Segment
from services.shared.domain.positions import Span, reaches
from services.shared.lake.port import RAW
from services.shared.runtime import crash
from services.shared.runtime.exits import Refused

_ATTEMPTS: Final = 5
_COLUMNS: Final = (*derive.RAW_COLUMNS, "day")


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
    expired = set(await work.lake.expired())
    carried = tuple(day for day in await work.batchview.days(base) if day in expired)
    into = work.segment(Segment("", base.segments[0].since, base.horizon, VERSION))
    counting = Counting(work, into, base.minutes_from)
    work.expect(Span(into.since, into.until))
    pieces = work.lake.scan(RAW, _COLUMNS, span=Span(into.since, into.until))
    await counting.add(_held(pieces, carried), _add_raw, documents=True)
    also = []
    if carried:
        also = [work.segment(into)]
        await work.batchview.combine(
            base.segments, also[0], minutes_from=base.minutes_from, days=carried
        )
    await counting.finish(also)
    work.staged = replace(base, segments=(into,), carried_days=carried)
    crash.point("batch.staged")


def _held(pieces: Iterator[pa.Table], carried: tuple[int, ...]) -> Iterator[pa.Table]:
    days = pa.array(carried, pa.int32())
    for piece in pieces:
        yield piece.filter(pc.invert(pc.is_in(piece["day"], value_set=days)))


def _add_raw(sums: Sums, raw: pa.Table) -> None:
    defined = derive.defined(raw)
    sums.add_defined(defined.select(list(arrow.DEFINED_COLUMNS)))
    sums.add_cleaned(derive.cleaned(defined))


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
