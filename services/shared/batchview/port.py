"""BatchView: immutable segments, and one pointer that says which of them count.

Guarantees that every adapter keeps (tests/contract/test_batchview.py):

- `stage` makes a segment durable; staging the same id again replaces it, which only a segment that
  no generation lists allows (`ValueError` otherwise).
- `publish` is one compare-and-set: it succeeds only if the current generation's number is the
  expected one, otherwise `Superseded` and nothing has changed. A reader sees a whole generation or
  the one before. An ambiguous outcome is settled by reading the pointer before returning.
- `sums`, `top`, `count` and `registers` answer from the segments of the generation they are given,
  as long as `generation(number)` is readable; then `Gone`. Rows of the minutes view before the
  generation's `minutes_from` are in no answer.
- Order of `top` is measure descending, key ascending (by code point).
- **Topics.** The view `TOPICS` is answered like any other, from the `pages` rows of the generation's
  segments and its own page map: pages that the map has not are about none (-1). A map never changes:
  one that extends it keeps its pages, and the topics that they have there. `publish` needs the model
  and the map that the generation names to be staged (`ValueError` otherwise).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from services.shared.domain.generation import Generation, Segment
from services.shared.domain.query import Condition, Having, Query
from services.shared.domain.topics import Page, PageMap, TopicModel
from services.shared.domain.views import Key, Measures, Registers, Rows


class Superseded(Exception):
    """Another run has published since: compare-and-set refused."""


class Gone(Exception):
    """The generation is no longer kept."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a run as it goes. `state` is running, done, failed or skipped; `expected` about how
    many rows come in, 0 if that is not known.
    """

    name: str
    state: str
    started_at: int
    seconds: float
    rows_in: int = 0
    rows_out: int = 0
    error: str = ""
    expected: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """A batch run. `kind` is run or rebuild; `state` running, done, failed; times in ms."""

    id: str
    kind: str
    state: str
    started_at: int
    ended_at: int | None = None
    generation: int | None = None
    steps: tuple[Step, ...] = field(default=())


class PageOfDay(NamedTuple):
    """A page that a segment has rows of on an event day; of several page classes the first."""

    day: int
    project: str
    title: str
    page_class: str


class BatchView(Protocol):
    async def begin(self, generation: Generation) -> Generation:
        """Make sure that there is a pointer: publish `generation` (number 0) if there is none.

        Returns the current generation.
        """
        ...

    async def current(self) -> Generation | None:
        """What the pointer says; None before `begin`."""
        ...

    async def generation(self, number: int) -> Generation:
        """A generation that is still kept. Raises `Gone`."""
        ...

    async def generations(self) -> list[Generation]:
        """All that are kept, oldest first."""
        ...

    async def stage(
        self,
        segment: Segment,
        rows: Mapping[str, Iterable[tuple[Key, Measures]]],
        registers: Registers,
    ) -> None:
        """Store a segment's rows per view name, and its registers.

        Rows of one key that come more than once are added up.
        """
        ...

    async def combine(
        self,
        segments: Sequence[Segment],
        into: Segment,
        *,
        minutes_from: int,
        days: Sequence[int] | None = None,
    ) -> None:
        """Stage `into` as the sum of the segments, of all event days or of those given.

        The segments need not be listed: parts of a segment are put together in the same way. Rows
        of the minutes view before `minutes_from` are in no answer and are left out.
        """
        ...

    async def sizes(self, segments: Sequence[Segment]) -> list[int]:
        """How many rows each segment has, which is what it costs to add it to another."""
        ...

    async def pages(
        self, segment: Segment, *, limit: int, after: PageOfDay | None = None
    ) -> list[PageOfDay]:
        """The next pages of a staged segment, day by day; fewer than `limit` at the end."""
        ...

    async def stage_model(self, model: TopicModel) -> None:
        """Make a topic model durable. Its id is that of its content, so that once more is no more."""
        ...

    async def model(self, model_id: str) -> TopicModel:
        """A topic model that is still kept. Raises `Gone`."""
        ...

    async def stage_map(self, page_map: PageMap, pages: Mapping[Page, int]) -> int:
        """Make a page map durable; `pages` that the map it extends has already keep their topic.

        Staging the same id again replaces it, which only a map that no generation names allows
        (`ValueError` otherwise). Returns how many pages the map has, all in all.
        """
        ...

    async def topics_of(self, generation: Generation, pages: Collection[Page]) -> dict[Page, int]:
        """The topics of those of the pages that the generation's map has. Raises `Gone`."""
        ...

    async def publish(self, expected: int, generation: Generation) -> None:
        """Flip the pointer. Raises `Superseded` if `expected` is not current."""
        ...

    async def sums(self, generation: Generation, query: Query) -> Rows:
        """The query's sums over the generation's segments."""
        ...

    async def top(
        self, generation: Generation, query: Query, *, measure: str, limit: int
    ) -> list[tuple[Key, Measures]]:
        """The first `limit` groups of the sum."""
        ...

    async def count(self, generation: Generation, query: Query, having: Having) -> int:
        """How many groups there are whose sum meets `having`."""
        ...

    async def registers(self, generation: Generation, of: str, where: Sequence[Condition]) -> bytes:
        """The union of the registers (see `hll`) of a view's rows that meet the conditions."""
        ...

    async def rows(
        self, segments: Sequence[Segment], view: str, days: Sequence[int]
    ) -> list[tuple[Key, Measures]]:
        """The summed rows of event days, whole: a rebuild carries them over."""
        ...

    async def day_registers(self, segments: Sequence[Segment], days: Sequence[int]) -> Registers:
        """The same for registers."""
        ...

    async def days(self, generation: Generation) -> list[int]:
        """Event days with rows in the generation."""
        ...

    async def remove(self, superseded_before: int) -> None:
        """Drop generations superseded before this time (ms), never the current one, and every
        segment, topic model and page map that no kept generation needs and that is older than that.
        """
        ...

    async def record(self, run: Run) -> None:
        """Store or replace a run by its id."""
        ...

    async def runs(self, *, limit: int = 50) -> list[Run]:
        """Newest first."""
        ...

    async def size(self) -> int:
        """Bytes on disk."""
        ...

    async def close(self) -> None: ...
