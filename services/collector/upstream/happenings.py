"""What gets into the topics: the events of a stream, and what the faults add or shift.

Pure: arrivals in, happenings out, the same for the same seed. Every arrival comes through exactly once and
unchanged, in its order; a fault gives it another Kafka timestamp, or puts something beside it.
What is added has the timestamp of the event before it, and an id that no event of the simulator has.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import msgspec

from services.collector.simulator import chance, payload
from services.collector.simulator.chance import Chance
from services.collector.upstream import draws
from services.collector.upstream.faults import Fault, Script

_CANARIES: Final = 1 << 40  # indexes beyond those of any stream, for ids that are no event's
_LARGE: Final = 1 << 41


class Arrival(NamedTuple):
    """An event as its producer gave it, and when Kafka took it in."""

    raw: bytes
    at_ms: int


class Put(NamedTuple):
    """A message. `at_ms` is when it comes, which its timestamp need not say; `by` is the fault that adds
    it, empty for the stream's own.
    """

    raw: bytes
    timestamp: int
    at_ms: int
    by: str = ""

    @property
    def verbatim(self) -> bool:
        """What the service would skip or take long to look through is handed on as it is."""
        return self.by in {"garbage", "nonobject", "large"}


class Pause(NamedTuple):
    seconds: float


class Switch(NamedTuple):
    """The data centre changes, while nobody is there for the next `away` events."""

    away: int


Happening = Put | Pause | Switch


def happenings(arrivals: Iterable[Arrival], script: Script, seed: int) -> Iterator[Happening]:
    """All of them in order."""
    recent = _recent(script)
    bursts: dict[int, tuple[int, int]] = {}
    for number, arrival in enumerate(arrivals, 1):
        timestamp = _timestamp(number, arrival.at_ms, script, seed, bursts)
        yield Put(arrival.raw, timestamp, arrival.at_ms)
        recent.append(arrival.raw)
        for fault in script:
            if _is_turn(fault, number):
                put = Put(b"", timestamp, arrival.at_ms, fault.name)
                yield from _beside(fault, number, put, seed, recent)


def canary(seed: int, number: int, timestamp: int) -> bytes:
    return payload.canary(seed, _CANARIES + number, timestamp)


def _recent(script: Script) -> deque[bytes]:
    back = [fault["BACK"] for fault in script if fault.name == "duplicate"]
    return deque(maxlen=max(back, default=0) + 1)


def _is_turn(fault: Fault, number: int) -> bool:
    """Whether something is put beside the event of this number."""
    every = fault.values.get("EVERY", fault.values.get("EVENTS"))
    if fault.name == "switch":
        return number == every
    if fault.name not in _ADDED or not isinstance(every, int) or number % every:
        return False
    return bool(number // every <= fault["TIMES"])


def _beside(
    fault: Fault, number: int, put: Put, seed: int, recent: deque[bytes]
) -> Iterator[Happening]:
    match fault.name:
        case "switch":
            yield Switch(fault["AWAY"])
        case "pause":
            yield Pause(fault["FOR"])
        case "duplicate":
            if len(recent) > fault["BACK"]:
                yield put._replace(raw=recent[-1 - fault["BACK"]])
        case "canaries":
            yield put._replace(raw=canary(seed, number, put.timestamp))
        case "garbage":
            yield put._replace(raw=_drawn(_GARBAGE, seed, number))
        case "nonobject":
            yield put._replace(raw=_drawn(_NO_OBJECTS, seed, number))
        case "large":
            yield put._replace(raw=_large(seed, number, fault["BYTES"]))


def _timestamp(
    number: int, at_ms: int, script: Script, seed: int, bursts: dict[int, tuple[int, int]]
) -> int:
    """What the producer says; `bursts` remembers for each such fault its time and what is left of it."""
    timestamp = at_ms
    for which, fault in enumerate(script):
        match fault.name:
            case "burst":
                timestamp = _in_burst(number, timestamp, fault, which, bursts)
            case "reorder":
                if _comes_round(fault, number):
                    back = Chance(seed, draws.HAPPENING, number).random()
                    timestamp -= int(fault["BACK"] * 1000 * back)
            case "round":
                timestamp -= timestamp % max(1, int(fault["TO"] * 1000))
            case _:
                pass
    return timestamp


def _in_burst(
    number: int, timestamp: int, fault: Fault, which: int, bursts: dict[int, tuple[int, int]]
) -> int:
    if _comes_round(fault, number):
        bursts[which] = timestamp, fault["SIZE"]
    begun, left = bursts.get(which, (timestamp, 0))
    bursts[which] = begun, left - 1
    return begun if left > 0 else timestamp


def _comes_round(fault: Fault, number: int) -> bool:
    times, rest = divmod(number, fault["EVENTS"])
    return not rest and bool(times <= fault["TIMES"])


def _drawn(among: tuple[bytes, ...], seed: int, number: int) -> bytes:
    """One of them, made different from all others by the number."""
    drawn = Chance(seed, draws.HAPPENING, number).choice(among)
    return drawn.replace(b"NUMBER", b"%d" % number)


def _large(seed: int, number: int, size: int) -> bytes:
    """A JSON object that is large and otherwise says too little to be counted."""
    own, _ = chance.uuids(seed, _LARGE + number)
    meta = {"id": own, "domain": "large.example.org", "stream": payload.STREAM}
    event = {"$schema": payload.SCHEMA, "meta": meta, "comment": ""}
    short = len(msgspec.json.encode(event))
    event["comment"] = "x" * max(0, size - short)
    return msgspec.json.encode(event)


_ADDED: Final = {"pause", "duplicate", "canaries", "garbage", "nonobject", "large"}
_GARBAGE: Final = (
    b'{"$schema":"/mediawiki/recentchange/1.0.0","meta":{"id":"NUMBER',
    b"<html><body>upstream request timeout NUMBER</body></html>",
    b"NUMBER \xff\xfe\x00 no UTF-8 \xed\xa0\x80",
    b'{"garbage":NUMBER}{"garbage":NUMBER}',
    b"broken NUMBER\nnonsense: \xf0\x9f\nretry: soon\n: a comment\ndata",
    b'{"garbage": "NUMBER \t"}',
)
_NO_OBJECTS: Final = (b"[NUMBER,2]", b"NUMBER", b'"NUMBER"', b"[[],{},NUMBER]", b"-NUMBER.5e3")
