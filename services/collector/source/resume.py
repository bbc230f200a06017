"""Where the live stream stands, and how to ask for what follows. Pure.

The upstream's id of an event is a list with one entry for each topic and partition (a topic for each data
centre): the time of the last event plus 1 ms, or `offset: -1` where there was none yet. Asked to go on
there, it begins with the first event at that time or later, so others of the same millisecond are lost;
times that go back make a client read in circles; and a data centre that takes over while nobody listens is
not heard of. So:

- The cursor keeps, for every topic, the greatest time: it never goes back. Whatever has not come yet lies
  behind the event of that time, in the order of the topic; so to ask for that time or earlier loses
  nothing, however times are mixed. What comes again is a copy, and copies count once.
- `BY_TIME` asks for the greatest times less an overlap. A topic of which nothing came is asked from the
  greatest time of the others on.
- A connection that is cut within the overlap, again and again, would never get beyond it. So after one
  that brought nothing new we go on `BY_OFFSET`: from the last event itself, which proves by its offset
  and content that the offsets are still those that we know (another cluster has others); if that is cut
  right there, from the `NEXT` offset, once.
- A resume point that is gone is answered with silence, or with later events. Silence may also be an
  outage: only if a `PROBE` without a resume point hears something while asking `AGAIN` does not, we ask
  `SINCE` the time in words, and at last begin at the stream's end (`LIVE`).
- What is asked for includes the last event of every topic. A topic that goes on later than that has a gap,
  and so has the stream where it had to begin anew.
"""

import enum
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import msgspec
from msgspec.structs import replace

from services.collector.source.eventstream import Event
from services.shared.log.port import Gap
from services.shared.runtime.exits import Refused

WENT_ON_LATER: Final = "the stream went on later than where it had been left"
BEGUN_ANEW: Final = "the stream no longer held what followed the last event"

_MOST_TOPICS: Final = 64
_NEXT_WITHIN_MS: Final = 60_000
_END_OF_TIME: Final = 4_102_444_800_000  # 2100: what is later was never an event's time
_TOPIC = re.compile(r"[\w.-]{1,249}", re.ASCII)
_TIME = re.compile(rb'"timestamp":\d{3}(\d{10})(?!\d)')
_Key = tuple[str, int]


class Elsewhere(Exception):
    """The offsets that were asked for are those of another cluster."""

    def __str__(self) -> str:
        return "the stream is served from elsewhere, where the last offset is another one"


class Ask(enum.Enum):
    """How the next connection asks."""

    BY_TIME = enum.auto()
    BY_OFFSET = enum.auto()
    NEXT = enum.auto()
    PROBE = enum.auto()
    AGAIN = enum.auto()
    SINCE = enum.auto()
    LIVE = enum.auto()


class Outcome(enum.Enum):
    """What came of a connection."""

    NEW = enum.auto()
    KNOWN = enum.auto()
    SILENT = enum.auto()
    REFUSED = enum.auto()
    """The upstream does not take this resume point."""
    FAILED = enum.auto()
    """It was not made."""


_FOLLOWING: Final = {
    (Ask.BY_TIME, Outcome.KNOWN): Ask.BY_OFFSET,
    (Ask.BY_TIME, Outcome.SILENT): Ask.PROBE,
    (Ask.BY_TIME, Outcome.REFUSED): Ask.SINCE,
    (Ask.BY_OFFSET, Outcome.KNOWN): Ask.NEXT,
    (Ask.PROBE, Outcome.NEW): Ask.AGAIN,
    (Ask.AGAIN, Outcome.KNOWN): Ask.BY_OFFSET,
    (Ask.AGAIN, Outcome.SILENT): Ask.SINCE,
    (Ask.AGAIN, Outcome.REFUSED): Ask.SINCE,
    (Ask.SINCE, Outcome.SILENT): Ask.LIVE,
}
"""After anything else: by time."""


class Place(msgspec.Struct, omit_defaults=True):
    """What is known of a topic: the greatest time in an id (ms), and its last event."""

    topic: str
    partition: int
    timestamp: int | None = None
    offset: int | None = None
    digest: str | None = None


class _Entry(msgspec.Struct, omit_defaults=True, gc=False):
    """What an id, and a `Last-Event-ID`, says of one topic."""

    topic: str
    partition: int
    timestamp: int | None = None
    offset: int | None = None


class _Meta(msgspec.Struct):
    topic: str
    partition: int
    offset: int


class _Payload(msgspec.Struct):
    meta: _Meta


_decode_id = msgspec.json.Decoder(list[_Entry]).decode
_decode_payload = msgspec.json.Decoder(_Payload).decode
_decode_places = msgspec.json.Decoder(list[Place]).decode


class Request(msgspec.Struct, frozen=True):
    """The `Last-Event-ID` header, or the `since` parameter, or none; never both."""

    last_event_id: str | None = None
    since: str | None = None


@dataclass(slots=True)
class _Connection:
    """The connection under way. `asked` has the topics that have not begun, `unproved` those of them
    that were asked by offset; `anew`: there is no resume point, though something was known.
    """

    id: bytes = b""
    came: bool = False
    moved: bool = False
    anew: bool = False
    asked: dict[_Key, _Entry] = field(default_factory=dict)
    unproved: set[_Key] = field(default_factory=set)


class Resume:
    """The cursor as it grows, and what the connection under way has brought."""

    def __init__(self, overlap_ms: int, places: Sequence[Place] = ()) -> None:
        self._overlap_ms = overlap_ms
        self._places = {(place.topic, place.partition): place for place in places}
        self._ask = Ask.BY_TIME
        self._under_way = _Connection()

    @classmethod
    def read(cls, cursor: str | None, overlap_ms: int) -> "Resume":
        """Raises `Refused` for a cursor that is none of ours."""
        try:
            return cls(overlap_ms, () if cursor is None else _decode_places(cursor))
        except msgspec.MsgspecError:
            raise Refused(f"live: the stored cursor {cursor!r} is not the stream's") from None

    @property
    def cursor(self) -> str:
        return msgspec.json.encode(list(self._places.values())).decode()

    @property
    def time(self) -> int | None:
        """The greatest time of all topics (ms); None before the first event."""
        times = (place.timestamp for place in self._places.values())
        return max((time for time in times if time is not None), default=None)

    @property
    def ask(self) -> Ask:
        return self._ask

    @property
    def outcome(self) -> Outcome:
        """What the connection has brought so far."""
        if self._under_way.moved:
            return Outcome.NEW
        return Outcome.KNOWN if self._under_way.came else Outcome.SILENT

    def request(self) -> Request:
        """What the next connection asks for."""
        self._under_way = now = _Connection()
        time = self.time
        if time is None or self._ask is Ask.PROBE:
            return Request()
        if self._ask in {Ask.SINCE, Ask.LIVE}:
            now.anew = True
            at = datetime.fromtimestamp((time - self._overlap_ms) // 1000, UTC)
            return Request(since=f"{at:%Y-%m-%dT%H:%M:%SZ}" if self._ask is Ask.SINCE else None)
        now.asked = {key: self._entry(place, time) for key, place in self._places.items()}
        now.unproved = {key for key, entry in now.asked.items() if entry.offset is not None}
        return Request(last_event_id=msgspec.json.encode(list(now.asked.values())).decode())

    def take(self, events: Sequence[Event]) -> list[Gap]:
        """Some events have come: the cursor follows. After `Elsewhere` they are not to be kept."""
        before = _without_offsets(self._places)
        try:
            return self._take(events)
        except Elsewhere:
            self._places = before
            raise

    def _take(self, events: Sequence[Event]) -> list[Gap]:
        gaps: list[Gap] = []
        grown: set[_Key] = set()
        if self._under_way.unproved:
            for event in events:
                self._prove(event)
        for id_ in _telling([event.id for event in events]):
            if id_ != self._under_way.id:
                self._under_way.id = id_
                self._note(id_, grown, gaps)
        if gaps and self._ask is Ask.NEXT:
            raise Elsewhere
        self._reach(events[-1], grown)
        self._under_way.came = True
        self._under_way.moved |= bool(grown)
        return gaps

    def heard(self) -> None:
        """A probe has heard something, which is not kept: it comes again."""
        self._under_way.came = self._under_way.moved = True

    def ended(self, outcome: Outcome | None = None) -> None:
        """The connection has ended, or was never made (`outcome` then says why)."""
        outcome = outcome or self.outcome
        if (self._ask, outcome) == (Ask.BY_OFFSET, Outcome.SILENT):
            self._places = _without_offsets(self._places)  # the last event is not there
        following = _FOLLOWING.get((self._ask, outcome), Ask.BY_TIME)
        self._ask = Ask.BY_TIME if self.time is None else following

    def _entry(self, place: Place, time: int) -> _Entry:
        if place.offset is not None and self._ask in {Ask.BY_OFFSET, Ask.NEXT}:
            offset = place.offset + (self._ask is Ask.NEXT)
            return _Entry(place.topic, place.partition, offset=offset)
        since = (time if place.timestamp is None else place.timestamp) - self._overlap_ms - 1
        return _Entry(place.topic, place.partition, timestamp=since)

    def _note(self, event_id: bytes, grown: set[_Key], gaps: list[Gap]) -> None:
        """Merge an id; `grown` gets the topics whose time is greater than ever."""
        try:
            entries = list(filter(_sane, _decode_id(event_id)))
        except msgspec.MsgspecError:
            return
        if self._under_way.anew:
            self._begin_anew([e.timestamp for e in entries if e.timestamp is not None], gaps)
        for entry in entries:
            self._merge(entry, grown, gaps)

    def _begin_anew(self, times: Sequence[int], gaps: list[Gap]) -> None:
        """The first event after a resume point that is gone; topics may have other names now."""
        if not times:
            return
        left, at = self.time or 0, max(times)
        if at > left:
            gaps.append(Gap(left, at, BEGUN_ANEW))
        self._places, self._under_way.anew = {}, False

    def _merge(self, entry: _Entry, grown: set[_Key], gaps: list[Gap]) -> None:
        key, time = (entry.topic, entry.partition), entry.timestamp
        place = self._places.get(key)
        if place is None:
            if len(self._places) == _MOST_TOPICS:
                return
            place = self._places[key] = Place(*key)
        asked = self._under_way.asked.get(key)
        if time is None or (asked is not None and asked.timestamp == time):
            return  # the upstream repeats what was asked for until the topic's first event
        if asked is not None:
            del self._under_way.asked[key]
            # What follows the last event is later than it, but by little.
            allowed = _NEXT_WITHIN_MS if self._ask is Ask.NEXT else 0
            if place.timestamp is not None and time > place.timestamp + allowed:
                gaps.append(Gap(place.timestamp, time, WENT_ON_LATER))
        if place.timestamp is None or time > place.timestamp:
            place.timestamp = time
            grown.add(key)

    def _reach(self, event: Event, grown: set[_Key]) -> None:
        """Remember the last event, if it is behind all that its topic had.

        A greater offset is; so is a greater time, and then the offset counts whatever it is: it may
        be another cluster's.
        """
        meta = _meta(event)
        place = None if meta is None else self._places.get((meta.topic, meta.partition))
        if meta is None or place is None:
            return
        key = (meta.topic, meta.partition)
        if place.offset is None or meta.offset > place.offset or key in grown:
            self._places[key] = replace(place, offset=meta.offset, digest=_digest(event))
            grown.add(key)

    def _prove(self, event: Event) -> None:
        """A topic that was asked by offset must begin with what is known to be there."""
        meta = _meta(event)
        key = None if meta is None else (meta.topic, meta.partition)
        if meta is None or key not in self._under_way.unproved:
            return
        self._under_way.unproved.remove(key)
        place = self._places[key]
        if self._ask is Ask.NEXT:
            right = place.offset is not None and meta.offset > place.offset
        else:
            right = (meta.offset, _digest(event)) == (place.offset, place.digest)
        if not right:
            raise Elsewhere


def _telling(ids: Iterable[bytes]) -> Iterator[bytes]:
    """The first and the greatest of each stretch of ids that differ in one time only: an event moves the
    time of its own topic. What the others say lies between. In order, so that firsts come first.
    """
    first = greatest = b""
    head, tail = b"?", b"?"
    for id_ in ids:
        if len(id_) == len(first) and id_.startswith(head) and id_.endswith(tail):
            if id_ > greatest and id_[len(head) : -len(tail)].isdigit():
                greatest = id_
            continue
        if (ends := _one_time(first, id_)) is not None:
            head, tail = ends
            greatest = max(first, id_)
            continue
        if greatest != first:
            yield greatest
        yield id_
        first = greatest = id_
        head, tail = b"?", b"?"
    if greatest != first:
        yield greatest


def _one_time(one: bytes, other: bytes) -> tuple[bytes, bytes] | None:
    """What stands around the digits of the one time in which these ids differ, if it is that; the first
    digits, which are the same for months, are of what stands before it.
    """
    if len(one) != len(other):
        return None
    for time in _TIME.finditer(one):
        head, tail = one[: time.start(1)], one[time.end(1) :]
        if (
            other.startswith(head)
            and other.endswith(tail)
            and other[time.start(1) : time.end(1)].isdigit()
        ):
            return head, tail
    return None


def _without_offsets(places: Mapping[_Key, Place]) -> dict[_Key, Place]:
    return {key: replace(place, offset=None, digest=None) for key, place in places.items()}


def _sane(entry: _Entry) -> bool:
    at = entry.timestamp
    return (at is None or 0 < at < _END_OF_TIME) and _is_topic(entry.topic)


@lru_cache(_MOST_TOPICS)
def _is_topic(name: str) -> bool:
    return _TOPIC.fullmatch(name) is not None


def _meta(event: Event) -> _Meta | None:
    """Where the upstream has an event, which it says in the payload."""
    try:
        return _decode_payload(event.data).meta
    except (msgspec.DecodeError, RecursionError):
        return None


def _digest(event: Event) -> str:
    return hashlib.blake2b(event.data, digest_size=8).hexdigest()
