"""The one reader of the speed view for all readers of the feed: from where it stands to the visible
position, each document once, in steps of bounded size.

It begins at what is visible now, with the last events before that in hand. If the view is being
rebuilt it begins where the rebuild ends, because what is written until then is not new. A view that is
emptied meanwhile falls behind where the follower stands; nothing is handed out twice, it only waits
until the view has passed that point. What the view has let go of meanwhile is lost to the readers, and
they are told.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Final

from services.serving.feed import events, gaps, places
from services.serving.feed.events import Event
from services.serving.feed.frames import Block
from services.serving.feed.recent import Recent
from services.shared.domain.positions import Vector, reaches, upper
from services.shared.speedview.port import Search, SpeedView, Visible

STEP: Final = 256
"""Most events of a step: what is made and handed out in one go."""
AT_HAND: Final = 1_000
"""Events before its beginning that a follower starts with: what a moment of absence needs."""


@dataclass(frozen=True, slots=True)
class Step:
    """The next events, and where one stands after them; or a gap up to there."""

    events: Sequence[Event]
    position: Vector
    gap: Block | None = None


class Follower:
    """`recent` is None until it has begun. Whoever takes a step adds it there, before the next one."""

    def __init__(self, speed: SpeedView, log: str) -> None:
        self._speed = speed
        self._log = log
        self.recent: Recent | None = None
        self.floor: Vector = ()

    async def steps(self) -> AsyncGenerator[Step, None]:
        """For ever; raises `Unavailable` where the view can't be read now, and can be called again."""
        async with contextlib.aclosing(self._speed.follow()) as news:
            async for visible in news:
                if visible.log != self._log:
                    continue
                self.floor = visible.floor
                if self.recent is None:
                    self.recent = await self._begin(visible)
                    yield Step((), self.recent.position)
                while step := await self._step(self.recent, visible):
                    yield step

    async def _begin(self, visible: Visible) -> Recent:
        position = visible.positions
        if visible.rebuilding_until and not reaches(position, visible.rebuilding_until):
            position = upper(position, visible.rebuilding_until)
            return Recent(position, (), position)
        found = await self._speed.search(Search(), visible.floor, position, limit=AT_HAND)
        # Newest first: what must wait until the other partitions are known as far comes first.
        ahead = [one for one in found if one.appended_at > min(visible.times)]
        position = places.first_of(ahead, position)
        at_hand = found[len(ahead) :]
        start = places.first_of(at_hand, position)
        made = await asyncio.to_thread(events.made, self._log, at_hand[::-1], start)
        return Recent(start, made, position)

    async def _step(self, recent: Recent, visible: Visible) -> Step | None:
        since = recent.position
        if not reaches(since, visible.floor):
            position = upper(since, visible.floor)
            return Step((), position, await gaps.gap(self._speed, self._log, since, position))
        until = upper(since, visible.positions)
        if until == since:
            return None
        found = await self._speed.scan(Search(), since, until, limit=STEP)
        kept, position = places.known(found, since, until, visible.times, full=len(found) == STEP)
        if position == since:
            return None
        return Step(await asyncio.to_thread(events.made, self._log, kept, since), position)
