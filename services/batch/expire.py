"""The last step of a run: what nobody can need any more goes.

Generations stay readable for a while after they were superseded, then they and the segments that
only they list are removed. Days of the lake go only when the caller needs the space: the oldest
first, and a day only when no copy of its events can count any more (`retention`): their ids stay.
"""

from collections.abc import Sequence

from services.batch.work import Work
from services.shared.domain import retention
from services.shared.lake.port import Day
from services.shared.runtime import crash


async def expire(work: Work) -> None:
    await work.batchview.remove(work.now() - work.options.generation_keep)
    if work.options.free_bytes:
        held = await work.lake.days()
        chosen = removable(held, await _before(work), work.options.free_bytes)
        if chosen:
            await work.lake.expire([day.day for day in chosen])
            await work.advance(sum(day.rows for day in chosen), 0)
    crash.point("batch.expired")


async def _before(work: Work) -> int:
    """Log time (ms): days whose newest event was appended before it may go; 0 for none."""
    visible = await work.speedview.visible() if work.speedview else None
    generations = await work.batchview.generations()
    if visible is None or visible.log != work.log.identity or not generations:
        return 0
    return retention.removable_everywhere(
        work.options.dedupe_window, visible.times, generations[0].times
    )


def removable(days: Sequence[Day], before: int, wanted: int) -> list[Day]:
    """The oldest days that may go, as many as give back what is wanted."""
    chosen: list[Day] = []
    for day in days:
        if sum(each.bytes for each in chosen) >= wanted:
            break
        if day.newest < before:
            chosen.append(day)
    return chosen
