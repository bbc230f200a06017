"""`event: gap`: what is missing between two changes of the feed is said, in words and in positions.

The id moves behind it at once: nothing else may follow for long, and whoever comes back has been told.
"""

from typing import Final

from services.serving.api import dates
from services.serving.api.models.feed import GapNotice
from services.serving.feed import frames, places
from services.serving.feed.frames import Block
from services.shared.domain.positions import Vector, shown
from services.shared.speedview.port import SpeedView

_LET_GO: Final = "are no longer kept whole, though every count still has them"


async def gap(speed: SpeedView, log: str, since: Vector, until: Vector) -> Block:
    """Changes of [since, until) are not kept any more; readers go on at `until`."""
    return await missing(speed, since, until, _LET_GO, places.written(log, until))


async def missing(
    speed: SpeedView, since: Vector | None, until: Vector, why: str, id_: bytes
) -> Block:
    """Changes from `since` up to `until` are missing (None: of another log), because they `why`; the
    reader goes on at `id_`.
    """
    oldest = await speed.oldest()
    kept = "no change is kept yet" if oldest is None else f"kept since {dates.iso(oldest)}"
    which = "all changes" if since is None else f"changes from position {shown(since)}"
    notice = GapNotice(
        reason=f"{which} up to position {shown(until)} are missing here: they {why} ({kept})",
        since=None if since is None else list(since),
        until=list(until),
        oldest=None if oldest is None else dates.iso(oldest),
    )
    return frames.block([frames.notice(b"gap", notice), frames.moved(id_)])
