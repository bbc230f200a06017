"""Positions in the log, and vectors of them.

A position is a partition and an offset. A vector holds for each partition the *next* position: the
one that has not been taken in yet, never "last offset + 1". Offsets have holes, so vectors are
compared and joined, never subtracted to count events.
"""

from collections.abc import Iterable
from typing import NamedTuple

Vector = tuple[int, ...]
"""The next position of every partition; index = partition."""


class Position(NamedTuple):
    partition: int
    offset: int


class Span(NamedTuple):
    """The positions from `since` (included) to `until` (excluded), per partition."""

    since: Vector
    until: Vector


def zero(partitions: int) -> Vector:
    return (0,) * partitions


def shown(vector: Iterable[int]) -> str:
    """For people, and in headers: 5993,6127."""
    return ",".join(map(str, vector))


def upper(a: Vector, b: Vector) -> Vector:
    """The least vector that both precede or equal."""
    return tuple(max(pair) for pair in zip(a, b, strict=True))


def lower(a: Vector, b: Vector) -> Vector:
    """The greatest vector that precedes or equals both."""
    return tuple(min(pair) for pair in zip(a, b, strict=True))


def reaches(a: Vector, b: Vector) -> bool:
    """True if `a` is at or beyond `b` in every partition."""
    return all(x >= y for x, y in zip(a, b, strict=True))


def before(position: Position, vector: Vector) -> bool:
    """True if the position has been taken in by whoever stands at `vector`."""
    return position.offset < vector[position.partition]


def empty(span: Span) -> bool:
    return reaches(span.since, span.until)
