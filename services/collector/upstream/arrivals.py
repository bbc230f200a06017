"""Whose events a fake upstream gives: those of the simulator, or those of a recording.

Kafka's timestamp is the moment of arrival: the simulator knows it; a recording tells it as `meta.dt`. An
event that tells none arrives together with the one before. Both are made or read as they are taken,
which blocks: for a thread.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from services.collector.simulator.stream import Stream
from services.collector.source import recording
from services.collector.upstream.happenings import Arrival

_LARGEST: Final = 16 << 20  # bytes of an event: whether it is too large is for its reader to say
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class _Meta(msgspec.Struct):
    dt: Any = None


class _Received(msgspec.Struct):
    meta: _Meta | None = None


_decode: Final = msgspec.json.Decoder(_Received).decode


def simulated(stream: Stream, events: int) -> Iterator[Arrival]:
    return (Arrival(arrival.raw, arrival.at_ms) for arrival in islice(stream, events))


def recorded(path: Path, events: int | None = None) -> Iterator[Arrival]:
    """The events of a recording, all or the first so many; refuses what is no recording."""
    return islice(_read(recording.find(path, _LARGEST)), events)


def received_ms(raw: bytes) -> int | None:
    """`meta.dt` in milliseconds since 1970."""
    try:
        meta = _decode(raw).meta
        moment = datetime.fromisoformat(meta.dt) if meta else None
    except (msgspec.DecodeError, RecursionError, ValueError, TypeError, OverflowError):
        return None
    if moment is None:
        return None
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH) // timedelta(milliseconds=1)


def _read(found: recording.Recording) -> Iterator[Arrival]:
    at_ms = 0
    for block in recording.blocks(found, None):
        for line in block.lines:
            told = received_ms(line.payload)
            at_ms = at_ms if told is None else told
            yield Arrival(line.payload, at_ms)
