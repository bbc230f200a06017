"""Where a reader begins, and what it is told first.

Without an id it begins now, or with the newest changes for it that there are. With one it begins
there. An id that means nothing here is never taken for a position: that of another log, and one
beyond the end of this one (which has been put back to an earlier state), are a gap.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from services.serving.feed import frames, gaps, places
from services.serving.feed.frames import Block
from services.serving.feed.places import Id
from services.shared.domain.positions import Vector, lower, reaches
from services.shared.log.port import EventLog
from services.shared.speedview.port import Search, SpeedView

_OTHER_LOG: Final = "have positions of another log than the id"
_BEYOND: Final = "were beyond the end of the log, which has been put back"
_RETRY: Final = frames.block([frames.RETRY])


class Beginning(NamedTuple):
    position: Vector
    told: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Beginnings:
    speed: SpeedView
    log: EventLog

    async def newest(self, search: Search, last: int, *, floor: Vector, until: Vector) -> Beginning:
        """The newest `last` changes before `until`, and what follows."""
        found = await self.speed.search(search, floor, until, limit=last) if last else []
        position = places.first_of(found, until)
        begun = frames.block([frames.RETRY, frames.moved(self._id(position))])
        return Beginning(position, (begun,))

    async def resumed(self, id_: Id, *, floor: Vector) -> Beginning:
        """What follows the id."""
        if id_.log != self.log.identity or len(id_.positions) != self.log.partitions:
            gap = await gaps.missing(self.speed, None, floor, _OTHER_LOG, self._id(floor))
            return Beginning(floor, (_RETRY, gap))
        end = await self.log.stable_end()
        if not reaches(end, id_.positions):
            position = lower(id_.positions, end)
            id_at = self._id(position)
            gap = await gaps.missing(self.speed, position, id_.positions, _BEYOND, id_at)
            return Beginning(position, (_RETRY, gap))
        return Beginning(id_.positions, (_RETRY,))

    def _id(self, position: Vector) -> bytes:
        return places.written(self.log.identity, position)
