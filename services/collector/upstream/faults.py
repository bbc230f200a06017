"""The language in which a fake upstream is told how to misbehave.

A script is words, separated by blanks, line ends or `;`. A word is the name of a fault, with values
after `=` separated by commas; the values that have a default may be left out from the right. `#` begins
a comment. Several words, also of one name, work together:

    status=429,3,2s  cut=2s,300  silence=100,5s heartbeats=1s   # what an evening can be like

EVERY is a duration (`250ms`, `2s`) or a number of events, TIMES how often in all. Every fault comes to an
end, or leaves room for what it holds up: a client that does everything right gets every event in the
end. Only `expired` takes events away, for it is there to see whether a client notices. `mix=7` stands for a
few other words, drawn by that number.
"""

import difflib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from services.collector.simulator.chance import Chance
from services.collector.upstream import draws
from services.shared.runtime.duration import Duration
from services.shared.runtime.exits import Refused

_SEPARATORS: Final = re.compile(r"[\s;]+")
_COMMENT: Final = re.compile(r"#[^\n]*")
_COUNT: Final = re.compile(r"\d{1,9}", re.ASCII)
_BYTES: Final = re.compile(r"(\d{1,4})(kB|MB)?", re.ASCII)
_TYPE: Final = re.compile(r"[a-z]+/[a-z.+-]+")


class Retry(NamedTuple):
    """A Retry-After header: in seconds, or as the date that is then."""

    seconds: float
    as_date: bool = False


class Kind(NamedTuple):
    """What a value may be; `read` raises ValueError on anything else."""

    read: Callable[[str], Any]
    accepts: str


class Value(NamedTuple):
    """One value of a fault. Without a `default` it has to be given."""

    name: str
    kind: Kind
    default: str | None = None


class Sort(NamedTuple):
    """A fault that there is, and what it does."""

    values: tuple[Value, ...]
    does: str

    def usage(self, name: str) -> str:
        """`cut=EVERY[,TIMES[,HOW]]`: what has a default is in brackets."""
        needed = ",".join(value.name for value in self.values if value.default is None)
        optional = [value.name for value in self.values if value.default is not None]
        opened = "".join(f"[,{more}" for more in optional) + "]" * len(optional)
        return f"{name}={needed}{opened}" if needed else f"{name}{opened.replace(',', '=', 1)}"

    @property
    def defaults(self) -> str:
        given = [f"{v.name} {v.default}" for v in self.values if v.default is not None]
        return f" ({', '.join(given)})" if given else ""


@dataclass(frozen=True, slots=True)
class Fault:
    """A word of a script, read: `fault["TIMES"]` is called as it is in the table."""

    name: str
    values: dict[str, Any]

    def __getitem__(self, value: str) -> Any:
        return self.values[value]


Script = tuple[Fault, ...]


def _count(text: str) -> int:
    if not _COUNT.fullmatch(text):
        raise ValueError(text)
    return int(text)


def _some(text: str) -> int:
    if not (count := _count(text)):
        raise ValueError(text)
    return count


def _duration(text: str) -> Duration:
    if not text[-1:].isalpha():
        raise ValueError("a bare number is a count of events")
    return Duration.of(text)


def _every(text: str) -> Duration | int:
    if _COUNT.fullmatch(text):
        return _some(text)
    if not (every := _duration(text)):
        raise ValueError(text)
    return every


def _size(text: str) -> int:
    written = _BYTES.fullmatch(text)
    number = _some(text) if written is None else int(written[1])
    return number * {"kB": 1_000, "MB": 1_000_000}.get(written[2] if written else "", 1)


def _status(text: str) -> int:
    if not 400 <= (status := _count(text)) <= 599:
        raise ValueError(text)
    return status


def _redirect(text: str) -> int:
    if text not in {"301", "302", "307", "308"}:
        raise ValueError(text)
    return int(text)


def _retry(text: str) -> Retry | None:
    if text == "none":
        return None
    return Retry(_duration(text.removeprefix("date:")), as_date=text.startswith("date:"))


def _type(text: str) -> str:
    if not _TYPE.fullmatch(text):
        raise ValueError(text)
    return text


def _one_of(*words: str) -> Kind:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(text)
        return text

    return Kind(read, " or ".join(words))


_FOR: Final = Kind(_duration, "a duration such as 250ms, 2s, 5m")
_NUMBER: Final = Kind(_count, "a number of events")
_SOME: Final = Kind(_some, "a number above 0")
_EVENTS: Final = Value("EVENTS", Kind(_some, "a number of events above 0"))
_AFTER: Final = Value("EVENTS", _NUMBER)
_EVERY: Final = Value("EVERY", Kind(_every, "a duration such as 2s, or a number of events"))
_SIZE: Final = Kind(_size, "a number of bytes such as 100, 64kB, 2MB")


def _times(default: str) -> Value:
    return Value("TIMES", _SOME, default)


SORTS: Final[dict[str, Sort]] = {
    # Answers to a request for a stream.
    "status": Sort(
        (
            Value("CODE", Kind(_status, "400 to 599")),
            _times("1"),
            Value("RETRY", Kind(_retry, "2s, date:2s or none"), "1s"),
        ),
        "answers CODE; 429 and 5xx with Retry-After, in seconds or as a date",
    ),
    "html": Sort((_times("1"),), "answers 200 with a page of HTML"),
    "type": Sort(
        (Value("TYPE", Kind(_type, "a media type such as text/plain")), _times("1")),
        "says a wrong content type, and then gives the stream",
    ),
    "redirect": Sort(
        (Value("CODE", Kind(_redirect, "301, 302, 307 or 308")), _times("1")),
        "redirects to the same address",
    ),
    "notopic": Sort((_times("1"),), "answers a Last-Event-ID with 404 TopicNotAvailableError"),
    "refuse": Sort((_times("1"),), "closes the connection instead of answering"),
    "hang": Sort(
        (Value("FOR", _FOR), _times("1")), "gives no byte for so long, then closes the connection"
    ),
    "agent": Sort((), "answers 403 to a User-Agent that names no contact"),
    "limit": Sort(
        (Value("CONNECTIONS", _SOME),), "answers 429 where so many streams are open already"
    ),
    "expired": Sort(
        (Value("HOW", _one_of("silent", "newer")), Value("BY", _FOR, "1h"), _times("1")),
        "has forgotten a resume point: goes on with what is new, or with what is BY newer",
    ),
    # A stream that is open. Events are counted from when it was opened.
    "cut": Sort(
        (_EVERY, _times("10"), Value("HOW", _one_of("fin", "reset", "end", "any"), "any")),
        "ends a connection at any byte: breaks it off (fin, reset) or ends the answer (end)",
    ),
    "half": Sort((_AFTER, _times("3")), "ends the answer in the middle of an event"),
    "error": Sort((_AFTER, _times("1")), "sends an error event and ends the answer"),
    "silence": Sort(
        (_AFTER, Value("FOR", _FOR), _times("1")), "says nothing for so long, then goes on"
    ),
    "heartbeats": Sort((Value("FOR", _FOR),), "sends the comment :ok so often where it is silent"),
    "drip": Sort(
        (Value("BYTES", _SIZE), Value("PAUSE", _FOR, "0s"), Value("FOR", _FOR, "2s")),
        "gives so few bytes at a time, with pauses, for the first FOR of a connection",
    ),
    "encode": Sort(
        (Value("HOW", _one_of("gzip", "deflate")), _times("1000000")),
        "compresses the body, whatever the client accepts",
    ),
    # What is in the topics. Events are counted from the first one of the stream.
    "burst": Sort(
        (_EVENTS, Value("SIZE", _SOME, "20"), _times("10")), "gives SIZE events one millisecond"
    ),
    "round": Sort((Value("TO", _FOR),), "rounds Kafka timestamps down"),
    "reorder": Sort(
        (_EVENTS, Value("BACK", _FOR, "2s"), _times("10")),
        "gives an event a Kafka timestamp up to so much earlier",
    ),
    "duplicate": Sort(
        (_EVENTS, Value("BACK", _SOME, "10"), _times("10")),
        "repeats the event before the last BACK as a new message",
    ),
    "canaries": Sort((_EVERY, _times("1000000")), "adds a canary"),
    "garbage": Sort((_EVENTS, _times("10")), "adds an event whose data is no JSON"),
    "nonobject": Sort((_EVENTS, _times("10")), "adds an event whose data is JSON but no object"),
    "large": Sort(
        (_EVENTS, Value("BYTES", _SIZE, "2MB"), _times("2")), "adds an event of so many bytes"
    ),
    "pause": Sort(
        (_EVENTS, Value("FOR", _FOR), _times("1")),
        "nothing happens for so long (but canaries), then the stream goes on",
    ),
    "switch": Sort(
        (_EVENTS, Value("AWAY", _SOME, "20")),
        "once a reader has so many events, all are cut off, and kept away while AWAY go into the"
        " topic of the other data centre, as all do from then on",
    ),
    "mix": Sort((Value("NUMBER", _NUMBER),), "a few faults, drawn by this number"),
}

_RETRIES: Final = ("1s", "date:1s", "none")
# What `mix` draws from; EVENTS of one or two figures, so that it also shows with few events.
_DRAWN: Final[dict[str, Callable[[Chance], str]]] = {
    "status": lambda c: f"{c.choice((429, 500, 502, 503))},{1 + c.below(2)},{c.choice(_RETRIES)}",
    "html": lambda _: "1",
    "type": lambda _: "text/plain,1",
    "redirect": lambda c: f"{c.choice((301, 302, 307, 308))},1",
    "notopic": lambda _: "1",
    "refuse": lambda c: f"{1 + c.below(2)}",
    "cut": lambda c: f"{20 + c.below(80)},{2 + c.below(4)}",
    "half": lambda c: f"{10 + c.below(60)},2",
    "error": lambda c: f"{10 + c.below(60)},1",
    "silence": lambda c: f"{10 + c.below(60)},{100 + c.below(400)}ms,1",
    "heartbeats": lambda _: "100ms",
    "drip": lambda c: f"{1 + c.below(200)},{c.below(3)}ms,300ms",
    "encode": lambda c: c.choice(("gzip", "deflate")),
    "burst": lambda c: f"{10 + c.below(40)},{5 + c.below(30)}",
    "round": lambda _: "1s",
    "reorder": lambda c: f"{3 + c.below(20)},{1 + c.below(4)}s,50",
    "duplicate": lambda c: f"{5 + c.below(20)},{1 + c.below(15)}",
    "canaries": lambda c: f"{10 + c.below(40)}",
    "garbage": lambda c: f"{10 + c.below(40)},4",
    "nonobject": lambda c: f"{10 + c.below(40)},4",
    "large": lambda c: f"{50 + c.below(50)},2MB,1",
    "switch": lambda c: f"{30 + c.below(60)}",
}


def parse(text: str) -> Script:
    """The faults of a script; what cannot be understood is refused in one line."""
    words = _SEPARATORS.split(_COMMENT.sub("", text))
    return tuple(fault for word in words if word for fault in _faults(word))


def drawn(number: int) -> str:
    """A script of three to six faults, the same for the same number."""
    chance = Chance(number, draws.MIX, 0)
    left = list(_DRAWN)
    names = [left.pop(chance.below(len(left))) for _ in range(3 + chance.below(4))]
    return " ".join(f"{name}={_DRAWN[name](chance)}" for name in names)


def described() -> str:
    """Every fault with what it does and its defaults, a line each."""
    lines = [(sort.usage(name), f"{sort.does}{sort.defaults}") for name, sort in SORTS.items()]
    return "\n".join(f"{usage:<36}{does}" for usage, does in lines)


def _faults(word: str) -> Iterator[Fault]:
    name, _, given = word.partition("=")
    sort = SORTS.get(name)
    if sort is None:
        near = difflib.get_close_matches(name, list(SORTS), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise Refused(f"--faults: no fault {name!r}{hint}; accepted: {', '.join(SORTS)}")
    texts = given.split(",") if given else []
    if len(texts) > len(sort.values):
        raise Refused(f"--faults: {word!r} has a value too many; accepted: {sort.usage(name)}")
    values = {
        value.name: _value(word, name, value, texts[i : i + 1])
        for i, value in enumerate(sort.values)
    }
    if name == "mix":
        yield from parse(drawn(values["NUMBER"]))
    else:
        yield Fault(name, values)


def _value(word: str, name: str, value: Value, given: list[str]) -> Any:
    text = given[0] if given else value.default
    if text is None:
        usage = SORTS[name].usage(name)
        raise Refused(f"--faults: {word!r} has no {value.name}; accepted: {usage}")
    try:
        return value.kind.read(text)
    except ValueError:
        raise Refused(
            f"--faults: {text!r} is no {value.name} of {name}; accepted: {value.kind.accepts}"
            f" ({SORTS[name].usage(name)})"
        ) from None
