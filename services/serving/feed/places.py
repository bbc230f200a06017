"""Where a reader of the feed stands: a vector of next positions, and the id that says so.

The feed's order is that of append: time, then partition, then offset. Append times never go back within a
partition, so whoever has had everything up to some event in this order has had, of each partition,
everything up to some offset. That vector is the id of the event: what follows it is what was not
sent, whatever connection, process or filter it was sent by.

Partitions become visible at different paces. An event waits until every partition is known up to its
append time, so that an earlier one cannot come after it. At the end of the log nothing waits: there the
log time is the same for all.
"""

from collections.abc import Sequence
from itertools import takewhile

import msgspec

from services.serving.pin import Whole
from services.shared.domain.positions import Vector, upper
from services.shared.speedview.port import Indexed


class Id(msgspec.Struct, array_like=True, frozen=True):
    """What an `id:` line says. Positions mean nothing in another log, so its identity is part of it."""

    log: str
    positions: tuple[Whole, ...]


_DECODER = msgspec.json.Decoder(Id)


def written(log: str, position: Vector) -> bytes:
    return msgspec.json.encode(Id(log, position))


def read(text: str) -> Id | None:
    """None for what was never `written`."""
    try:
        return _DECODER.decode(text)
    except (ValueError, msgspec.DecodeError):
        return None


def past(position: Vector, found: Indexed) -> Vector:
    """Where somebody stands who stood at `position` and has been given this too."""
    of = found.partition
    return (*position[:of], max(position[of], found.offset + 1), *position[of + 1 :])


def known(
    found: Sequence[Indexed], since: Vector, until: Vector, times: Vector, *, full: bool
) -> tuple[list[Indexed], Vector]:
    """What of the events of [since, until) can be handed out, and where one stands then.

    `times` is up to when each partition is known; `full` says that there may be more than was found.
    """
    bound = min(times)
    kept = list(takewhile(lambda one: one.appended_at <= bound, found))
    if len(kept) == len(found) and not full:
        return kept, upper(since, until)
    return kept, after(since, kept)


def after(position: Vector, given: Sequence[Indexed]) -> Vector:
    for one in given:
        position = past(position, one)
    return position


def first_of(found: Sequence[Indexed], until: Vector) -> Vector:
    """From where on just these lie before `until`: the newest that there are."""
    position = list(until)
    for one in found:
        position[one.partition] = min(position[one.partition], one.offset)
    return tuple(position)
