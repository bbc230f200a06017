"""Readers with equal filters: what they get is looked for and put together once."""

from collections.abc import Sequence

from services.serving.feed import frames
from services.serving.feed.events import Event
from services.serving.feed.frames import Block
from services.serving.feed.reader import Reader
from services.shared.domain.positions import Vector


class Group:
    """`told` is the position that their last `id:` line said, at least."""

    def __init__(self, first: Reader, position: Vector) -> None:
        self.readers = {first}
        self.told = position
        self._matches = first.matches

    def block(self, events: Sequence[Event]) -> Block | None:
        """What the readers get of these events, if anything."""
        matching = [event for event in events if self._matches(event)]
        if not matching:
            return None
        self.told = matching[-1].position
        return frames.block([event.frame for event in matching], len(matching))

    def beat(self, position: Vector, id_: bytes) -> Block:
        """A sign of life; it moves the id over what the filters keep out."""
        if self.told == position:
            return frames.block([frames.HEARTBEAT])
        self.told = position
        return frames.block([frames.moved(id_)])
