"""Chance that can be repeated: numbers drawn from (seed, subject, number) and from nothing else.

Every event, page and slot of time draws from a block of its own, so each can be made alone, in any
order, and is the same in every run. That is what lets a stream go on at any index.
"""

import hashlib
import struct
from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Final, Generic, TypeVar

T = TypeVar("T")

EVENT: Final = 0
SLOT: Final = 1
PAGE: Final = 2

_DRAWS: Final = struct.Struct("<42I")  # as many as one block of SHAKE128 holds; no event needs 30
_UNIT: Final = 2.0**-32


class Chance:
    """A few random numbers; `random()` is in [0, 1). Quicker to seed than the library's."""

    __slots__ = ("random",)

    def __init__(self, seed: int, subject: int, number: int) -> None:
        block = hashlib.shake_128(b"%d:%d:%d" % (seed, subject, number)).digest(_DRAWS.size)
        self.random: Callable[[], float] = map(_UNIT.__mul__, _DRAWS.unpack(block)).__next__

    def below(self, limit: int) -> int:
        return int(self.random() * limit)

    def choice(self, among: Sequence[T]) -> T:
        return among[int(self.random() * len(among))]

    def rank(self, count: int, head: int = 20) -> int:
        """A number below `count`, likely as 1 / (number + head): Zipf and Mandelbrot's law."""
        return min(count - 1, int(head * ((count / head + 1) ** self.random() - 1)))


class Mix(Generic[T]):
    """Things with weights; `pick` draws one."""

    def __init__(self, weights: Mapping[T, float]) -> None:
        self.weights = {thing: weight for thing, weight in weights.items() if weight}
        self._things = tuple(self.weights)
        self._bounds = list(accumulate(self.weights.values()))

    def pick(self, chance: Chance) -> T:
        return self._things[bisect(self._bounds, chance.random() * self._bounds[-1])]


def uuids(seed: int, index: int) -> tuple[str, str]:
    """The ids of the event of this index and of its request, in the form of named UUIDs."""
    d = hashlib.blake2b(b"%d:%d" % (seed, index), digest_size=32).hexdigest()
    return (
        f"{d[:8]}-{d[8:12]}-5{d[13:16]}-a{d[17:20]}-{d[20:32]}",
        f"{d[32:40]}-{d[40:44]}-5{d[45:48]}-a{d[49:52]}-{d[52:]}",
    )
