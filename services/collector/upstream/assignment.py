"""Where a connection starts: from the streams, `Last-Event-ID` and `since` of a request to positions.

As EventStreams and KafkaSSE decide it:

- The header, if there is one, wins: a JSON array of topics (names, or objects with topic, partition, and
  offset or timestamp). Only the topics named in it are consumed; others than the stream's are refused.
- Otherwise all topics of the streams, from `since`, or from now on.
- An offset is taken as it is (-1: from now on); one that does not exist gives silence for ever, as does a
  partition. A timestamp is looked up; later than every message is "from now on".
- `since` as a number of milliseconds is handed to Kafka as a text, which replays from the oldest
  message. So does the real one; as a date it works.

The id of an event is the array of what each partition was assigned, in the order and with the keys
that it had, updated by what was sent since: the timestamp plus one, which is what skips an event of
the same millisecond when a client resumes there. Partitions resolved from a time come after the
others, with their keys in the order of the Kafka client.
"""

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

from services.collector.upstream import deserializer
from services.collector.upstream.history import (
    END,
    PARTITION,
    STREAMS,
    TOPICS,
    History,
    Message,
    Place,
)

Latest = dict[Place, dict[str, Any]]
"""What the id of the next event consists of."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OLDEST: Final = -1001  # what the Kafka client makes of a time that is a text
_BEGINNING: Final = -2
_INVALID: Final = (
    "Must provide either an array topic names, or  an array of objects with topic, partition"
    " and offset|timestamp."
)
_ISO: Final = re.compile(
    r"(?P<date>\d{4}(-\d\d(-\d\d)?)?)"
    r"([T ](?P<time>\d\d:\d\d(:\d\d(\.\d+)?)?)\s?(?P<zone>Z|[+-]\d\d:?\d\d)?)?",
    re.ASCII,
)
_CONTEXT: Final = 10  # characters that V8 shows on either side of what it did not expect


class Asked(NamedTuple):
    """Of a request: the names in its path, the header and the parameter (None: there is none)."""

    streams: tuple[str, ...]
    uri: str
    last_event_id: str | None = None
    since: str | None = None


class Start(NamedTuple):
    """Where a connection starts. Of what is in no position nothing ever comes."""

    positions: dict[Place, int]
    latest: Latest


class Refusal(NamedTuple):
    """An answer instead of a stream: the router's, or with a `reason` KafkaSSE's own."""

    status: int
    body: dict[str, Any]
    reason: str | None = None


def start(
    history: History, asked: Asked, expire: Callable[[int], int | None] | None = None
) -> Start | Refusal:
    """`expire` moves the timestamps of the header: what the history no longer reaches back to."""
    known = _since(asked)
    if isinstance(known, Refusal):
        return known
    topics = list(dict.fromkeys(topic for stream in asked.streams for topic in STREAMS[stream]))
    wanted = _wanted(asked, topics)
    if isinstance(wanted, Refusal):
        return wanted
    available = [topic for topic in TOPICS if topic in topics]
    if not available:
        return _no_topics(topics)
    names = dict.fromkeys(w if isinstance(w, str) else w["topic"] for w in wanted)
    if absent := [name for name in names if name not in available]:
        return not_available(absent, available)
    resumes = asked.last_event_id is not None
    resolved = _resolved(history, _assignments(wanted, known), expire if resumes else None)
    latest = {Place(a["topic"], a["partition"]): a for a in resolved}
    return Start(_positions(history, latest), latest)


def sent(latest: Latest, message: Message) -> bytes:
    """The id of a message that is sent now; what comes later remembers it."""
    topic, partition = message.place
    assigned = {"topic": topic, "partition": partition, "timestamp": message.timestamp + 1}
    latest[message.place] = assigned
    return deserializer.stringify(list(latest.values()))


def topics_named(last_event_id: str) -> list[str]:
    """The topics in a header; none in one that cannot be understood."""
    try:
        wanted = deserializer.parse(last_event_id)
    except (ValueError, RecursionError):
        return []
    named = wanted if isinstance(wanted, list) else []
    topics = [a.get("topic") if isinstance(a, dict) else a for a in named]
    return [topic for topic in topics if isinstance(topic, str)]


def not_available(absent: list[str], available: list[str]) -> Refusal:
    message = f"Topics {', '.join(absent)} are not available for consumption."
    return _kafkasse(404, "TopicNotAvailableError", message, availableTopics=available)


def date_parse(text: str) -> int | None:
    """Date.parse, of ISO 8601 and of mail dates: milliseconds since 1970, or None. Local time is UTC."""
    written = _ISO.fullmatch(text.strip())
    try:
        if written is None:
            moment = parsedate_to_datetime(text)
        else:
            date = f"{written['date']}-01-01"[: len("2000-01-01")]
            zone = (written["zone"] or "Z").replace("Z", "+00:00")
            moment = datetime.fromisoformat(f"{date}T{written['time'] or '00:00'}{zone}")
    except ValueError:
        return None
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH) // timedelta(milliseconds=1)


def _since(asked: Asked) -> int | Refusal | None:
    """The time to start at, None for now. A date of exactly 1970 is taken for none, too."""
    unknown = [stream for stream in asked.streams if stream not in STREAMS]
    if unknown:
        detail = f"Invalid streams: {','.join(unknown)}"
        return _routed(asked, "not_found", "Stream Not Found", detail)
    if not asked.since:
        return None
    if _is_number(asked.since):
        return _OLDEST
    at_ms = date_parse(asked.since)
    if at_ms is None:
        detail = (
            "since timestamp is not a UTC milliseconds unix epoch and was not parseable:"
            f" '{asked.since}'"
        )
        return _routed(asked, "invalid_timestamp", "Invalid timestamp", detail)
    return at_ms or None


def _is_number(text: str) -> bool:
    try:
        return not math.isnan(float(text.strip() or "0"))
    except ValueError:
        return bool(re.fullmatch(r"\s*0[xX][0-9a-fA-F]+\s*", text))


def _wanted(asked: Asked, topics: list[str]) -> list[Any] | Refusal:
    """What the header asks for, or the stream's topics by name."""
    if asked.last_event_id is None:
        return topics
    try:
        wanted = deserializer.parse(asked.last_event_id)
    except (ValueError, RecursionError) as error:
        message = _syntax_error(asked.last_event_id, error)
        return _invalid(message, "SyntaxError", last_event_id=asked.last_event_id)
    if isinstance(wanted, str):
        wanted = wanted.split(",")
    if not isinstance(wanted, list) or not wanted or not all(map(_is_valid, wanted)):
        return _invalid(_INVALID, "Error", assignments=wanted)
    return wanted


def _is_valid(assignment: Any) -> bool:
    if not isinstance(assignment, dict):
        return isinstance(assignment, str)
    return (
        isinstance(assignment.get("topic"), str)
        and _is_integer(assignment.get("partition"))
        and (_is_integer(assignment.get("offset")) or _is_integer(assignment.get("timestamp")))
    )


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _assignments(wanted: list[Any], since: int | None) -> list[dict[str, Any]]:
    """One object for each partition, with an offset or a timestamp."""
    begin = {"offset": END} if since is None else {"timestamp": since}
    named = {"partition": PARTITION, **begin}
    return [{"topic": w, **named} if isinstance(w, str) else w for w in wanted]


def _resolved(
    history: History,
    assignments: list[dict[str, Any]],
    expire: Callable[[int], int | None] | None,
) -> list[dict[str, Any]]:
    """Timestamps looked up. Where there are any, what has both a timestamp and an offset is forgotten."""
    timed = [a for a in assignments if "timestamp" in a and "offset" not in a]
    if not timed:
        return assignments
    others = [a for a in assignments if "timestamp" not in a and "offset" in a]
    return others + [_looked_up(history, a, expire) for a in timed]


def _looked_up(
    history: History, timed: dict[str, Any], expire: Callable[[int], int | None] | None
) -> dict[str, Any]:
    place, at_ms = Place(timed["topic"], timed["partition"]), timed["timestamp"]
    reached = expire(at_ms) if expire else at_ms
    offset = END if reached is None else history.offset_at(place, reached)
    return {"offset": offset, "partition": place.partition, "topic": place.topic}


def _positions(history: History, latest: Latest) -> dict[Place, int]:
    positions = {}
    for place, assigned in latest.items():
        end = history.end(place)
        first = None if end is None else _first(assigned.get("offset"), end)
        if first is not None:
            positions[place] = first
    return positions


def _first(offset: Any, end: int) -> int | None:
    if not _is_integer(offset) or not _BEGINNING <= offset <= end:
        return None
    return end if offset == END else max(0, int(offset))


def _routed(asked: Asked, kind: str, title: str, detail: str) -> Refusal:
    body = {"status": 400, "type": kind, "title": title, "detail": detail}
    return Refusal(400, body | {"method": "GET", "uri": asked.uri})


def _invalid(message: str, original: str, **more: Any) -> Refusal:
    return _kafkasse(400, "InvalidAssignmentError", message, originalName=original, **more)


def _no_topics(topics: list[str]) -> Refusal:
    message = (
        "No topics available for consumption. This likely means that the configured"
        " allowedTopics do not currently exist."
    )
    return _kafkasse(500, "ConfigurationError", message, allowedTopics=topics)


def _kafkasse(status: int, name: str, message: str, **more: Any) -> Refusal:
    body = {"message": message, "origin": "KafkaSSE", "name": name, **more, "statusCode": status}
    return Refusal(status, body, f"{name}: {message}")


def _syntax_error(text: str, error: Exception) -> str:
    """What V8 says of the commonest mistakes; other ones of its messages are not reproduced."""
    at = error.pos if isinstance(error, json.JSONDecodeError) else 0
    if at >= len(text.rstrip()):
        return "Unexpected end of JSON input"
    if isinstance(error, json.JSONDecodeError) and error.msg == "Extra data":
        return f"Unexpected non-whitespace character after JSON at position {at}"
    first, last = at - _CONTEXT, at + _CONTEXT
    if len(text) <= 2 * _CONTEXT:
        first, last = 0, len(text)
    before, after = "..." * (first > 0), "..." * (last < len(text))
    shown = f'{before}"{text[max(0, first) : last]}"{after}'
    return f"Unexpected token '{text[at]}', {shown} is not valid JSON"
