"""What a reader of the feed can ask for."""

from typing import Final

from services.serving.api import parameters
from services.serving.api.parameters import Parameter, Unreadable, whole
from services.serving.feed import places
from services.serving.feed.places import Id

PATH: Final = "/v1/changes/stream"
TYPE: Final = "text/event-stream"
HEADER: Final = "Last-Event-ID"
MOST_LAST: Final = 1_000
_LONGEST_ID: Final = 4_096


def last_id(text: str) -> Id | None:
    """None for none: some clients that have had no id yet send an empty one."""
    if not text:
        return None
    found = places.read(text) if len(text) < _LONGEST_ID else None
    if found is None:
        raise Unreadable
    return found


Q_LAST: Final = Parameter(
    "last",
    whole(0, MOST_LAST),
    f"0 to {MOST_LAST}",
    "So many of the newest changes first, unless it goes on from an id.",
    "10",
    "0",
)
Q_LAST_ID: Final = Parameter(
    "last_event_id",
    last_id,
    "the id of an event of this stream",
    f"Go on behind this event; the header {HEADER} comes before it.",
    "",
)
PARAMETERS: Final = (
    parameters.Q_PROJECT,
    parameters.Q_EDITOR,
    parameters.Q_TYPES,
    parameters.Q_NAMESPACES,
    parameters.Q_WORDS,
    Q_LAST,
    Q_LAST_ID,
)
