"""What happens while anybody reads: the follower's steps are handed out to the groups.

A reader joins a group in the same breath in which it gets its last page from `recent`, and a step goes
into `recent` in the same breath in which its receivers are listed. So whoever joins while a step is
being handed out has had it already, and nobody else has.

After each step the feed rests several times as long as it took, though half a second at most. So it takes
a bounded share of the loop, however many read; what comes meanwhile goes with the next step.
"""

import asyncio
import contextlib
from typing import Final

import structlog

from services.serving.feed import places
from services.serving.feed.follower import Follower, Step
from services.serving.feed.frames import Block
from services.serving.feed.group import Group
from services.serving.feed.reader import Reader
from services.serving.feed.recent import Recent
from services.shared.domain.positions import Vector
from services.shared.runtime.clock import Clock
from services.shared.runtime.unavailable import Unavailable
from services.shared.speedview.port import Search, SpeedView

AGAIN: Final = 1.0
"""Seconds after which a view that could not be read is asked again."""
_REST: Final = 4.0
"""In times of what a step took: at most a fifth of the loop's time is the feed's."""
_LEAST_REST: Final = 0.02
_LONGEST_REST: Final = 0.5
_AT_ONCE: Final = 100
"""Readers that are written to before others get their turn."""

_log = structlog.get_logger(__name__)


class FanOut:
    def __init__(self, speed: SpeedView, log: str, clock: Clock, *, beat: float) -> None:
        self._log = log
        self._clock = clock
        self._beat = beat
        self._follower = Follower(speed, log)
        self._groups: dict[Search, Group] = {}
        self._moved = asyncio.Event()
        self._handing_out = asyncio.Lock()

    async def begun(self, within: float) -> Recent:
        """What was handed out last, once it is known what is visible. Raises `Unavailable`."""
        if self._follower.recent is None:
            await self.moved(within)
        if self._follower.recent is None:
            raise Unavailable("nothing is visible yet")
        return self._follower.recent

    @property
    def floor(self) -> Vector:
        """From here on every document is whole."""
        return self._follower.floor

    async def moved(self, within: float) -> bool:
        """Waits for the next step; False if there is none in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                return await self._moved.wait()
        return False

    def join(self, reader: Reader) -> None:
        """It has had everything up to `recent.position`."""
        group = self._groups.get(reader.search)
        if group is None:
            self._groups[reader.search] = Group(reader, reader.position)
        else:
            group.readers.add(reader)

    def leave(self, reader: Reader) -> None:
        group = self._groups.get(reader.search)
        if group is not None:
            group.readers.discard(reader)
            if not group.readers:
                del self._groups[reader.search]

    async def run(self) -> None:
        """Until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow(), name="feed: follow")
            tasks.create_task(self._show_life(), name="feed: beat")

    async def _follow(self) -> None:
        while True:
            try:
                async with contextlib.aclosing(self._follower.steps()) as steps:
                    async for step in steps:
                        await self._take(step)
            except Unavailable as error:
                _log.warning("feed_waits", reason=str(error))
            await asyncio.sleep(AGAIN)

    async def _take(self, step: Step) -> None:
        began = self._clock.monotonic()
        async with self._handing_out:
            for group, readers in self._receivers(step):
                if block := step.gap or group.block(step.events):
                    await _push(readers, block)
                else:
                    await asyncio.sleep(0)  # to look for what matches takes its time too
        await asyncio.sleep(0)  # what was written goes out
        taken = self._clock.monotonic() - began
        await asyncio.sleep(min(max(_REST * taken, _LEAST_REST), _LONGEST_REST))

    def _receivers(self, step: Step) -> list[tuple[Group, list[Reader]]]:
        """Everybody who gets the step; whoever joins from now on has it from `recent`."""
        recent = self._follower.recent
        assert recent is not None  # noqa: S101 - it has begun before its first step
        if step.gap is None:
            recent.add(step.events, step.position)
        else:
            recent.skip(step.position)
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
        return [(group, list(group.readers)) for group in self._groups.values()]

    async def _show_life(self) -> None:
        while True:
            await asyncio.sleep(self._beat)
            # Not in the midst of a step: an id must not tell of what is still to be handed out.
            async with self._handing_out:
                await self._beat_once()

    async def _beat_once(self) -> None:
        recent = self._follower.recent
        if recent is None:
            return
        id_ = places.written(self._log, recent.position)
        for group in list(self._groups.values()):
            await _push(list(group.readers), group.beat(recent.position, id_))


async def _push(readers: list[Reader], block: Block) -> None:
    """Others get their turn again and again."""
    for first in range(0, len(readers), _AT_ONCE):
        for reader in readers[first : first + _AT_ONCE]:
            reader.push(block)
        await asyncio.sleep(0)
