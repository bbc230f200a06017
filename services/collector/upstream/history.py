"""The topics as Kafka keeps them: what a fake upstream has to tell, and where in it a time is.

A message has an offset in its topic and a timestamp that its producer chose, so timestamps may repeat
and go back. Where a time is, is answered as Kafka does: the first message, in the order of offsets,
whose timestamp is at least that. With the largest timestamp up to each offset kept beside the
messages, this is a search by halves.

A stream has one topic for each data centre, and each topic one partition. Readers get the messages
of all their topics in the order in which these were appended.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from services.collector.upstream import deserializer

EQIAD: Final = "eqiad.mediawiki.recentchange"
CODFW: Final = "codfw.mediawiki.recentchange"
STREAMS: Final[dict[str, tuple[str, ...]]] = {
    "recentchange": (EQIAD, CODFW),
    "mediawiki.recentchange": (EQIAD, CODFW),
    "page-create": ("eqiad.mediawiki.page-create", "codfw.mediawiki.page-create"),
    "mediawiki.page-create": ("eqiad.mediawiki.page-create", "codfw.mediawiki.page-create"),
    "mediawiki.missing": ("eqiad.does-not-exist",),
}
"""Names of streams and their topics. The others than recentchange are as empty as where we looked."""
TOPICS: Final = (*STREAMS["recentchange"], *STREAMS["page-create"])

PARTITION: Final = 0
END: Final = -1
"""The offset that stands for whatever comes next, and for a time after every message."""


class Place(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int = PARTITION


class Message(NamedTuple):
    """`data` is what the service hands on; None where it skips the message, as it does what is no JSON."""

    place: Place
    offset: int
    timestamp: int
    data: bytes | None


class _Topic:
    """Per offset: where the message stands among those of all topics, and the largest timestamp so far."""

    def __init__(self) -> None:
        self.indexes: list[int] = []
        self.largest: list[int] = []


class History:
    """All messages that there are. Whoever is in `listeners` is called after each append."""

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._topics = {Place(topic): _Topic() for topic in TOPICS}
        self.listeners: list[Callable[[], None]] = []
        self.latest_ms = 0

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[Message]:
        return iter(self._messages)

    def append(
        self, raw: bytes, timestamp: int, topic: str = EQIAD, *, verbatim: bool = False
    ) -> Message:
        """A message; what is `verbatim` is handed on as it is, whatever the service would make of it."""
        place = Place(topic)
        kept = self._topics[place]
        offset = len(kept.indexes)
        data = raw if verbatim else deserializer.handed_on(raw, topic, PARTITION, offset)
        message = Message(place, offset, timestamp, data)
        kept.indexes.append(len(self._messages))
        kept.largest.append(max(timestamp, kept.largest[-1]) if offset else timestamp)
        self._messages.append(message)
        self.latest_ms = max(self.latest_ms, timestamp)
        for listener in self.listeners:
            listener()
        return message

    def end(self, place: Place) -> int | None:
        """The next offset; None of a partition that does not exist."""
        topic = self._topics.get(place)
        return None if topic is None else len(topic.indexes)

    def offset_at(self, place: Place, timestamp: int) -> int:
        """The first offset whose timestamp is at least this one, or END."""
        topic = self._topics.get(place)
        if topic is None:
            return END
        offset = bisect_left(topic.largest, timestamp)
        return offset if offset < len(topic.largest) else END

    def read(self, positions: Mapping[Place, int]) -> "Reader":
        """A reader of these partitions, each from its next offset on."""
        return Reader(self, dict(positions))

    def message(self, index: int) -> Message | None:
        """By its number among the messages of all topics."""
        return self._messages[index] if index < len(self._messages) else None

    def index(self, place: Place, offset: int) -> int:
        """The number, among the messages of all topics, from which this offset can come."""
        indexes = self._topics[place].indexes
        return indexes[offset] if offset < len(indexes) else len(self._messages)


class Reader:
    """Goes through the history, and never waits."""

    def __init__(self, history: History, positions: dict[Place, int]) -> None:
        self._history = history
        self._positions = positions
        starts = (history.index(place, offset) for place, offset in positions.items())
        self._index = min(starts, default=len(history))

    def peek(self) -> Message | None:
        """The next message that is handed on; None if there is none yet."""
        while message := self._history.message(self._index):
            first = self._positions.get(message.place)
            if first is not None and message.offset >= first and message.data is not None:
                return message
            self._index += 1
        return None

    def advance(self) -> None:
        """Past the message that `peek` showed."""
        self._index += 1

    @property
    def behind(self) -> int:
        """How many messages it has still to go through."""
        self.peek()
        return len(self._history) - self._index
