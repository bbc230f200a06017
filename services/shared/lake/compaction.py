"""Which small files become one: tiers by size, so that a row is rewritten O(log n) times.

A batch run adds a small file to a day; readers would open hundreds. Files whose rows are within one
factor of `FAN` are a tier; as soon as `FAN` of them are together they become one file of the next
tier. A day of n runs so has at most (FAN - 1) files in each of log(n) tiers. A file that is large
enough is left alone for good.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

FAN: Final = 8
LARGE_ROWS: Final = 500_000
LARGE_BYTES: Final = 128 * 1024 * 1024


class File(NamedTuple):
    """A data file of one event day; `first` is its least offset, for keeping the rows' order."""

    day: int
    path: str
    rows: int
    bytes: int
    first: int


def plan(files: Iterable[File]) -> list[list[File]]:
    """Groups of files of one day, each to be replaced by one file, in the order of their rows."""
    tiers: dict[tuple[int, int], list[File]] = defaultdict(list)
    for file in files:
        if not _large(file.rows, file.bytes):
            tiers[file.day, _tier(file.rows)].append(file)
    return [group for _, tier in sorted(tiers.items()) for group in _groups(tier)]


def _groups(tier: list[File]) -> Iterator[list[File]]:
    group: list[File] = []
    for file in sorted(tier, key=lambda file: (file.first, file.path)):
        group.append(file)
        if _large(sum(file.rows for file in group), sum(file.bytes for file in group)):
            yield group
            group = []
    if len(group) >= FAN:
        yield group


def _large(rows: int, size: int) -> bool:
    return rows >= LARGE_ROWS or size >= LARGE_BYTES


def _tier(rows: int) -> int:
    """How often `rows` can be divided by FAN, in integers: no float rounds a boundary."""
    tier = 0
    while rows >= FAN:
        rows //= FAN
        tier += 1
    return tier
