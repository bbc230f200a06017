"""Lake: every event for good, in tables that others can read (Apache Iceberg).

Three tables, each made from the one before: `raw.recentchange` (the payload), `defined.recentchange`
(the fields that analyses use), `cleaned.titles` (words and hashtags). Each has its own horizon.

Guarantees that every adapter keeps (tests/contract/test_lake.py):

- **A commit carries (since, until)** and is refused with `Stale` unless the table's horizon equals
  `since`. Data and horizon change in one atomic commit; a range without rows commits too. After a
  crash a table is before or after the commit, never between.
- **An id is taken once, at any age**: `known` finds ids also of event days whose rows have expired.
  The caller leaves known ids out of what it appends.
- **Bound to one log**: `identity` is set with the first commit; another is refused.
- A lake that has not begun is an empty one to readers; it has no horizon (ValueError).
- `scan` returns the rows at positions in a range, or of event days, with the columns asked for.
- `maintain` keeps the number of files bounded, expires snapshots and really removes the files that
  nothing refers to; a reader that has started keeps reading (files stay for a grace time).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from services.shared.domain.positions import Span, Vector

if TYPE_CHECKING:
    import pyarrow as pa

RAW: Final = "raw.recentchange"
DEFINED: Final = "defined.recentchange"
CLEANED: Final = "cleaned.titles"
TABLES: Final = (RAW, DEFINED, CLEANED)


class Stale(Exception):
    """The table's horizon is not where the commit starts: another run was there first."""


@dataclass(frozen=True, slots=True)
class Horizon:
    """How far a table has come: next positions, and the log time there (ms, per partition)."""

    positions: Vector
    times: Vector


@dataclass(frozen=True, slots=True)
class Day:
    """An event day of the lake: YYYYMMDD, rows held, bytes on disk, newest append time (ms)."""

    day: int
    rows: int
    bytes: int
    newest: int


class Lake(Protocol):
    async def begin(self, identity: str, horizon: Horizon) -> None:
        """Create what is missing. Raises ValueError if the lake belongs to another log."""
        ...

    async def identity(self) -> str | None:
        """The log that the lake is bound to; None for one that has not begun."""
        ...

    async def horizon(self, table: str) -> Horizon: ...

    async def append(self, table: str, rows: "pa.Table", since: Vector, until: Horizon) -> None:
        """Commit rows (the table's columns; see `schemas`) and the new horizon. Raises `Stale`, and
        `Unavailable` where the disk is full.
        """
        ...

    async def known(self, days: Sequence[int], digests: "pa.Array[Any]") -> "pa.Array[Any]":
        """Booleans: is the id (16-byte digest) already in the raw table, for these event days?"""
        ...

    def scan(
        self,
        table: str,
        columns: Sequence[str],
        *,
        span: Span | None = None,
        days: Sequence[int] | None = None,
    ) -> Iterator["pa.Table"]:
        """Rows in pieces of bounded size. Blocking: call it in a thread."""
        ...

    async def days(self) -> list[Day]:
        """Event days whose rows the raw table holds, oldest first."""
        ...

    async def expire(self, days: Sequence[int]) -> None:
        """Remove the rows of event days from every table; their ids stay known."""
        ...

    async def expired(self) -> list[int]:
        """Event days whose rows have been removed."""
        ...

    async def maintain(self) -> None:
        """Compact small files, expire snapshots, remove orphaned files."""
        ...

    async def size(self) -> int:
        """Bytes on disk, without the files that wait for the end of their grace time."""
        ...

    async def close(self) -> None: ...
