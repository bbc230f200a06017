"""A position as one integer, its *place*: the partition above, the offset below.

So a span of positions is one range of integers per partition, and their order is that of partition and
offset. 64 partitions of 2^48 offsets fit into the 63 bits that every store has.
"""

from typing import Final

from services.shared.domain.positions import Position, Vector

OFFSET_BITS: Final = 48
_OFFSET_MASK: Final = (1 << OFFSET_BITS) - 1


def place(partition: int, offset: int) -> int:
    return (partition << OFFSET_BITS) + offset


def position(of: int) -> Position:
    return Position(of >> OFFSET_BITS, of & _OFFSET_MASK)


def spans(since: Vector, until: Vector) -> list[tuple[int, int]]:
    """The ranges of places, one per partition, of the positions in [since, until)."""
    return [
        (place(partition, low), place(partition, high))
        for partition, (low, high) in enumerate(zip(since, until, strict=True))
    ]
