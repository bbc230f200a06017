"""A change on its way to the readers: made once, whoever gets it."""

from collections.abc import Sequence
from functools import cached_property

from services.serving.api import changes
from services.serving.feed import frames, places
from services.shared import documents
from services.shared.domain.positions import Vector
from services.shared.speedview.port import Indexed


class Event:
    """`position` is where a reader stands who has had it and all before, `line` its data, `frame` the
    same with the id of that position.
    """

    def __init__(self, found: Indexed, position: Vector, line: bytes, frame: bytes) -> None:
        self.found = found
        self.position = position
        self.line = line
        self.frame = frame

    @cached_property
    def terms(self) -> frozenset[str]:
        """What a search finds it by; most readers search for no words."""
        return frozenset(documents.search_terms(self.found.document.change))


def made(log: str, found: Sequence[Indexed], since: Vector) -> list[Event]:
    """The events of what was found, in order, for who stands at `since`."""
    events = []
    for one in found:
        since = places.past(since, one)
        line = frames.data(changes.row(one))
        events.append(Event(one, since, line, frames.event(places.written(log, since), line)))
    return events
