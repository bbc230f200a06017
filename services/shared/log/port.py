"""EventLog: positions, durable and replayable. Everything else stands on it.

Guarantees that every adapter keeps (tests/contract/test_log.py):

- **Identity.** A log has an identity for life and a fixed number of partitions. Positions of one
  log mean nothing in another.
- **Append.** `append` returns once everything in it is durable: entries, the source's cursor, dead
  letters, gaps and tallies go in ONE transaction. Entries of one call that share a partition keep
  their order. An offset is never used twice, not even after a failed append; offsets may have holes.
- **Order in time.** Every entry has an append time (ms since 1970) that never goes back along the
  log, whatever the wall clock does: *log time*.
- **Committed only.** Readers see whole appends. `read` returns what is stored from `since` on, with
  the positions it has actually reached (a reader moves to `Batch.until`, never beyond) and the log
  time up to which each partition is known: whatever is appended later has at least that time.
- **Out of range.** Reading before the log's start raises `OutOfRange`; a reader never skips by itself.
- **Dead letters** are kept once per content hash, whatever the source repeats.
- **Unavailable** is raised where the log cannot store or read now (a full disk, a server away):
  nothing of the call has happened, or, after a lost answer, all of it may have.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from services.shared.domain.positions import Position, Vector
from services.shared.runtime.unavailable import Unavailable as Unavailable  # noqa: PLC0414

MOST_BYTES: Final = 32 * 1024 * 1024
"""Raw bytes that a read ends at, so that few large events take no more memory than many small ones."""


class Entry(NamedTuple):
    """What is appended: the event's id (the key, see `identity.event_id`) and its raw bytes."""

    key: str
    raw: bytes


class Record(NamedTuple):
    """What is read. `appended_at` is log time in ms."""

    partition: int
    offset: int
    key: str
    appended_at: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one read, ordered by offset within each partition.

    `since` is where the read began, `until` the position reached in every partition, `times` the log
    time known there.
    """

    records: tuple[Record, ...]
    since: Vector
    until: Vector
    times: Vector


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that could not be understood, kept whole.

    `hash` is the SHA-256 (hex) of the raw bytes; `cursor` tells where in the source it came from;
    `at` is ms since 1970 (set by the log when stored as 0).
    """

    hash: str
    raw: bytes
    reason: str
    detail: str
    source: str
    cursor: str
    at: int = 0


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of upstream time (ms since 1970) that may be missing from the log, and why."""

    since: int
    until: int
    reason: str


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a source stands: `source` names it, `value` is its own notation (text)."""

    source: str
    value: str


class OutOfRange(Exception):
    """A read before the log's start: what was asked for has been removed."""

    def __init__(self, since: Vector, start: Vector) -> None:
        super().__init__(f"the log starts at {start}, asked for {since}")
        self.since = since
        self.start = start


class EventLog(Protocol):
    @property
    def identity(self) -> str: ...

    @property
    def partitions(self) -> int: ...

    async def append(
        self,
        entries: Sequence[Entry],
        *,
        cursor: Cursor | None = None,
        deadletters: Sequence[DeadLetter] = (),
        gaps: Sequence[Gap] = (),
        tally: Mapping[str, int] | None = None,
    ) -> list[Position]:
        """Store all of it durably in one transaction; positions are in the order of `entries`.

        `tally` adds to named counters that are kept with the log (received, filtered.project, …).
        """
        ...

    async def read(self, since: Vector, *, limit: int, until: Vector | None = None) -> Batch:
        """At most about `limit` records and `MOST_BYTES` from `since` on, not beyond `until`; at once,
        maybe none.

        Raises `OutOfRange` if a position of `since` has been removed.
        """
        ...

    def follow(self, since: Vector, *, limit: int) -> AsyncIterator[Batch]:
        """Batches from `since` on, for ever: the next is handed out when there is one.

        Wakes within 50 ms of an append, also of another process. Nothing is read ahead of the
        consumer.
        """
        ...

    async def start(self) -> Vector:
        """The first positions that can be read."""
        ...

    async def stable_end(self) -> Vector:
        """The next positions after the last committed entries."""
        ...

    async def time(self) -> int:
        """The log time now: append time of the last entry, 0 for an empty log."""
        ...

    async def positions_at(self, time: int) -> Vector:
        """The first retained positions with append time >= `time`; the end where there is none."""
        ...

    async def trim(self, before: Vector) -> None:
        """Remove what precedes `before`. Whole blocks may stay: the start moves at most that far."""
        ...

    async def maintain(self) -> None:
        """Housekeeping that changes no answer (repacking small blocks). Called now and then."""
        ...

    async def size(self) -> int:
        """Bytes on disk."""
        ...

    async def cursor(self, source: str) -> str | None: ...

    async def gaps(self) -> list[Gap]: ...

    async def tallies(self) -> dict[str, int]: ...

    async def deadletters(self, *, after: str = "", limit: int = 100) -> list[DeadLetter]:
        """Dead letters in order of hash, after the given hash."""
        ...

    async def deadletter(self, hash_prefix: str) -> DeadLetter | None: ...

    async def count_deadletters(self) -> int: ...

    async def remove_deadletters(self, hashes: Sequence[str]) -> None:
        """After a replay has appended them."""
        ...

    async def close(self) -> None: ...
