"""SpeedView: the documents behind the horizon, searchable within a second.

Guarantees that every adapter keeps (tests/contract/test_speedview.py):

- **The lowest position wins.** Of several copies of an id the one with the lowest position is kept,
  whatever order writes arrive in. An id and its position outlive the document (see `shrink`).
- **Visible.** `visible()` tells up to which positions everything is acknowledged AND found by
  `sums` and `search`. It is a prefix: it moves only over what a `write` has vouched for that
  follows it (`BegunAnew` otherwise: a writer comes late to a view that was emptied meanwhile), and over
  canaries too. `sums` and `search` take `since` and `until`: documents at positions in
  [since, until). Both are exact or nothing: `Unavailable` for positions that the view does not
  vouch for, which may be because it has been begun anew or has let go since the caller looked.
- **Followed.** `follow` tells of every move; a reader that has come as far as `visible().positions`
  and goes on from there with `scan` gets each document once, in order of append.
- **Bound to one log, and to one text analysis.** `visible().log` is the identity of the log and
  `visible().text_version` what made the words of all its documents; a caller compares them.
- **Busy** is raised instead of dropping: the caller keeps its batch and comes back.
- May be deleted at any time: a fresh view has `visible() is None` and is rebuilt from the log.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from services.shared.domain.positions import Vector
from services.shared.domain.query import Query
from services.shared.domain.views import Document, Rows
from services.shared.runtime.unavailable import Unavailable


class Busy(Exception):
    """The view can't take more now. `retry_after` is in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"busy, retry after {retry_after} s")
        self.retry_after = retry_after


class BegunAnew(Exception):
    """The view stands before where a batch begins: to take it in would leave something out."""

    def __init__(self, since: Vector, visible: Vector) -> None:
        super().__init__(f"the batch begins at {since}, the view stands at {visible}")


class Indexed(NamedTuple):
    """A document at its position. `terms` are what search finds it by (`text.search_terms`)."""

    partition: int
    offset: int
    appended_at: int
    document: Document
    terms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Visible:
    """What a speed view vouches for.

    `positions` is W; `times` the log time known at W. From `floor` on every document is whole: the
    view began there, or has let go of what precedes it. `rebuilding_until` is set while a lost view is rebuilt: answers are partial
    until `positions` reaches it. `text_version` made the documents' words; 0 where that was not recorded.
    """

    log: str
    positions: Vector
    times: Vector
    floor: Vector
    rebuilding_until: Vector | None = None
    text_version: int = 0


def check_vouched(visible: Visible | None, since: Vector, until: Vector) -> None:
    """Raises `Unavailable` unless the view vouches for every position in [since, until)."""
    for partition, (low, high) in enumerate(zip(since, until, strict=True)):
        if low < high and (
            visible is None or low < visible.floor[partition] or high > visible.positions[partition]
        ):
            raise Unavailable("the speed view does not hold what the answer needs")


@dataclass(frozen=True, slots=True)
class Search:
    """Filters of a search: every one given must hold; `terms` must all occur.

    Values of one filter are alternatives. `low` and `high` bound the event time (seconds).
    """

    terms: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    editor_classes: tuple[str, ...] = ()
    namespaces: tuple[int, ...] = ()
    low: int | None = None
    high: int | None = None


Place = tuple[int, int, int]
"""Where a page of a search ended: append time, partition, offset (newest first)."""


class SpeedView(Protocol):
    async def begin(
        self, log: str, floor: Vector, rebuilding_until: Vector | None, *, text_version: int
    ) -> None:
        """Empty the view and start it anew at `floor` for this log and documents of this version."""
        ...

    async def visible(self) -> Visible | None:
        """None for a view that has not begun."""
        ...

    def follow(self) -> AsyncGenerator[Visible, None]:
        """What is visible now, and again whenever that has changed, the newest of it only; never ends.

        A view that has not begun is waited for. Wakes within 50 ms of a write, also of another process.
        """
        ...

    async def write(
        self, documents: Sequence[Indexed], since: Vector, until: Vector, times: Vector
    ) -> None:
        """Take documents in and, once they are durable and found, move the visible position.

        They are all that the log has in [since, until); these and `times` come from the log's batch. W
        never goes back. Raises `Busy`, and `BegunAnew` for a batch that does not follow W.
        """
        ...

    async def sums(self, query: Query, since: Vector, until: Vector) -> Rows:
        """The query's sums over documents at positions in [since, until). Raises `Unavailable`."""
        ...

    async def search(
        self,
        search: Search,
        since: Vector,
        until: Vector,
        *,
        limit: int,
        after: Place | None = None,
    ) -> list[Indexed]:
        """Newest append first (then partition, offset, both descending), after `after`. Raises
        `Unavailable`.
        """
        ...

    async def scan(
        self, search: Search, since: Vector, until: Vector, *, limit: int
    ) -> list[Indexed]:
        """The same documents from the other end: the first `limit` in order of append (then partition,
        offset, all ascending). Raises `Unavailable`.
        """
        ...

    async def oldest(self) -> int | None:
        """Append time (ms) of the oldest whole document, None if there is none."""
        ...

    async def shrink(self, before: Vector, times: Vector) -> int:
        """Reduce documents to id and position: those before the positions and appended before the
        times, per partition. `floor` rises with them. Returns how many.
        """
        ...

    async def forget(self, times: Vector) -> int:
        """Remove ids (and documents) appended before the log times, per partition.

        The caller knows that the removal rule allows it (see `retention`).
        """
        ...

    async def size(self) -> int:
        """Bytes on disk."""
        ...

    async def close(self) -> None: ...
