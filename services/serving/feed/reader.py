"""One reader: what it has been given, and what becomes of it when it does not keep up.

Bytes wait for a reader in its connection only, and what waits there is bounded: a block is given to
whoever has less than `MOST_WAITING` unread, and is bounded itself. Whoever has more is told so and
cut off; it loses nothing, because it comes back with the id of the last change that reached it.
"""

import asyncio
from typing import Final, Protocol

from services.serving.api.models.feed import OverrunNotice
from services.serving.feed import frames
from services.serving.feed.frames import Block
from services.serving.feed.matching import matcher
from services.shared.domain.positions import Vector
from services.shared.runtime import metrics
from services.shared.speedview.port import Search

MOST_WAITING: Final = 256 * 1024
PATIENCE: Final = 60.0
"""Seconds for which somebody who catches up may read nothing at all."""
_OVERRUN: Final = frames.block(
    [
        frames.notice(
            b"overrun",
            OverrunNotice(
                "changes came faster than they were read; connect again with the last id"
            ),
        )
    ]
)


class Line(Protocol):
    """A connection."""

    @property
    def waiting(self) -> int:
        """Bytes that the network has not taken yet."""
        ...

    @property
    def closed(self) -> bool:
        """Whether nobody reads any more."""
        ...

    def send(self, block: Block) -> None:
        """Hand over, at once."""
        ...

    async def drained(self) -> None:
        """Returns once little is waiting; raises `ConnectionError` if nobody reads any more."""
        ...


class Reader:
    """`position` is where it stands, as long as it catches up."""

    def __init__(self, line: Line, search: Search, position: Vector) -> None:
        self.search = search
        self.matches = matcher(search)
        self.position = position
        self.ended = asyncio.Event()
        self._line = line

    def push(self, block: Block) -> None:
        """To one that follows: it is cut off if it has too much unread."""
        if self.ended.is_set():
            return
        if self._line.closed:
            self.ended.set()
        elif self._line.waiting > MOST_WAITING:
            self.overrun()
        elif block.raw:
            self._line.send(block)
            metrics.FEED_EVENTS.inc(block.events)

    async def send(self, block: Block) -> None:
        """To one that catches up: it is waited for, though not for ever."""
        self.push(block)
        try:
            async with asyncio.timeout(PATIENCE):
                await self._line.drained()
        except TimeoutError:
            self.overrun()

    def overrun(self) -> None:
        metrics.FEED_OVERRUNS.inc()
        self._line.send(_OVERRUN)
        self.ended.set()
