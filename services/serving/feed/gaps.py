"""`event: gap`: what is missing between two changes of the feed is said, in words and in positions."""

from typing import Final

from services.serving.api import dates
from services.serving.api.models.feed import GapNotice
from services.serving.feed import frames
from services.serving.feed.frames import Block
from services.shared.domain.positions import Vector, shown
from services.shared.speedview.port import SpeedView

LET_GO: Final = "are no longer kept whole, though every count still has them"


async def gap(speed: SpeedView, since: Vector | None, until: Vector, why: str = LET_GO) -> Block:
    """Changes from `since` up to `until` are missing (None: of another log), because they `why`."""
    oldest = await speed.oldest()
    kept = "no change is kept yet" if oldest is None else f"kept since {dates.iso(oldest)}"
    which = "all changes" if since is None else f"changes from position {shown(since)}"
    notice = GapNotice(
        reason=f"{which} up to position {shown(until)} are missing here: they {why} ({kept})",
        since=None if since is None else list(since),
        until=list(until),
        oldest=None if oldest is None else dates.iso(oldest),
    )
    return frames.block([frames.notice(b"gap", notice)])
