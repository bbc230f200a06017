"""The last events that were handed out, for those who come back: all of [start, position).

After a restart or a break of the network, very many readers may come back at once with ids of a moment
ago. They are served from here, from bytes that are made already, and not one by one from the speed view.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from services.serving.feed import frames, places
from services.serving.feed.events import Event
from services.serving.feed.frames import Block
from services.serving.feed.matching import Matches
from services.shared.domain.positions import Vector, reaches, upper

MOST_EVENTS: Final = 4_096
MOST_BYTES: Final = 8 * 1024 * 1024


class Page(NamedTuple):
    """Frames for one reader, and where it stands with them; `last` if nothing follows for now."""

    block: Block
    position: Vector
    last: bool


class Recent:
    def __init__(self, start: Vector, events: Sequence[Event], position: Vector) -> None:
        self.start = start
        self.position = position
        self._events = deque[Event]()
        self._bytes = 0
        self.add(events, position)

    def add(self, events: Sequence[Event], position: Vector) -> None:
        """Goes on to `position`; the oldest go where there are too many."""
        for event in events:
            self._events.append(event)
            self._bytes += len(event.frame)
        self.position = position
        while len(self._events) > MOST_EVENTS or self._bytes > MOST_BYTES:
            oldest = self._events.popleft()
            self._bytes -= len(oldest.frame)
            self.start = upper(self.start, oldest.position)

    def skip(self, position: Vector) -> None:
        """Goes on to `position` without what lies before."""
        self._events.clear()
        self._bytes = 0
        self.start = self.position = position

    def page(self, log: str, since: Vector, matches: Matches, most: int) -> Page:
        """What follows `since`, which must not be before `start`, up to about `most` bytes."""
        found, size, reached = list[bytes](), 0, since
        for event in self._after(since):
            reached = upper(reached, event.position)
            if matches(event):
                found.append(_frame(log, event, reached))
                size += len(event.frame)
            if size > most:
                return Page(frames.block(found, len(found)), reached, last=False)
        count, reached = len(found), upper(reached, self.position)
        if reached != since:
            found.append(frames.moved(places.written(log, reached)))
        return Page(frames.block(found, count), reached, last=True)

    def _after(self, since: Vector) -> Iterator[Event]:
        """In order. Whoever comes back is mostly not far behind, so the end is looked at first."""
        count = 0
        for event in reversed(self._events):
            if reaches(since, event.position):
                break
            count += 1
        for place in range(len(self._events) - count, len(self._events)):
            event = self._events[place]
            if event.found.offset >= since[event.found.partition]:
                yield event


def _frame(log: str, event: Event, reached: Vector) -> bytes:
    """A vector may lie across the order, such as that of another step: its ids must not go back."""
    if reached == event.position:
        return event.frame
    return frames.event(places.written(log, reached), event.line)
