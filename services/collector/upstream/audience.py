"""Who reads, seen from what is written: the meeting place of the feed and the open streams.

Streams wait here for the history to grow. The feed waits here for a first reader, so that a stream at its
own pace loses nothing before anybody is there, and for one that has everything. When the
data centre changes it sends all away and keeps the door shut for a while.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol


class Listener(Protocol):
    """A stream that is open."""

    @property
    def behind(self) -> int: ...


class Audience:
    def __init__(self) -> None:
        self.grown = asyncio.Event()
        """Set at the next growth; another one waits for the growth after that."""
        self.came = asyncio.Event()
        """Somebody has opened a stream."""
        self.caught_up = asyncio.Event()
        """Somebody has been sent all that there is."""
        self.door = asyncio.Event()
        """Set while requests are answered."""
        self.door.set()
        self._inside: dict[Listener, Callable[[], object]] = {}

    def __len__(self) -> int:
        return len(self._inside)

    @property
    def behind(self) -> int | None:
        """How many messages the foremost reader has still to get; None without a reader."""
        return min((listener.behind for listener in self._inside), default=None)

    def history_grew(self) -> None:
        self.caught_up.clear()
        grown, self.grown = self.grown, asyncio.Event()
        grown.set()

    def enter(self, listener: Listener, cut_off: Callable[[], object]) -> None:
        self._inside[listener] = cut_off
        self.came.set()

    def leave(self, listener: Listener) -> None:
        self._inside.pop(listener, None)

    def send_away(self) -> None:
        """Cuts everybody off and answers nobody until the door is open again."""
        self.door.clear()
        for cut_off in list(self._inside.values()):
            cut_off()
