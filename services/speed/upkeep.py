"""What the speed layer does beside following: let go of what is no longer needed, say how far it is.

A document shrinks to its id and position once it is older than `document_keep` in log time and every
readable generation has it in its batch part. An id goes by the removal rule of
`domain.retention`. The wall clock decides nothing here.
"""

from services.shared.batchview.port import BatchView
from services.shared.domain import retention
from services.shared.domain.positions import reaches
from services.shared.log.port import EventLog
from services.shared.runtime import metrics
from services.shared.runtime.clock import Clock
from services.shared.runtime.settings import Settings
from services.shared.speedview.port import SpeedView


async def let_go(view: SpeedView, batchview: BatchView, settings: Settings) -> None:
    visible = await view.visible()
    readable = await batchview.generations()
    if visible is None or not readable or visible.log != readable[0].log:
        return
    oldest = readable[0]
    keep_ms = round(settings.document_keep * 1000)
    window_ms = round(settings.dedupe_window * 1000)
    await view.shrink(oldest.horizon, tuple(time - keep_ms for time in visible.times))
    await view.forget(retention.removable_before(window_ms, visible.times, oldest.times))


async def measure(log: EventLog, view: SpeedView, clock: Clock) -> bool:
    """How much has been appended and is not visible, and for how long. False if there is no view."""
    visible, end = await view.visible(), await log.stable_end()
    if visible is None:
        return False
    # Offsets have holes, so this is at most how many events there are.
    metrics.SPEED_LAG.set(sum(max(0, e - v) for e, v in zip(end, visible.positions, strict=True)))
    if reaches(visible.positions, end):
        metrics.VISIBLE_AGE.set(0)
        return True
    waiting = (await log.read(visible.positions, limit=1)).records
    ages = [clock.now() - record.appended_at / 1000 for record in waiting]
    metrics.VISIBLE_AGE.set(max([0.0, *ages]))
    return True
