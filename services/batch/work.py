"""What the steps of one run share: the stores, the options, and the run's record as it grows."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from services.shared.batchview.port import BatchView, Run, Step
from services.shared.domain.generation import Generation, Segment
from services.shared.domain.positions import Span
from services.shared.lake.port import Lake
from services.shared.log.port import EventLog
from services.shared.runtime.clock import Clock
from services.shared.runtime.settings import Settings
from services.shared.speedview.port import SpeedView
from services.shared.text import TEXT_VERSION

T = TypeVar("T")

VIEWS_VERSION: Final = 1
"""Grows whenever the same documents give other rows of the views."""
VERSION: Final = f"{VIEWS_VERSION}.{TEXT_VERSION}"
"""What made a segment's rows: segments of two versions can be added up, but mean two things."""

PIECE: Final = 10_000
"""Events that are in memory at once, and in one commit of the lake."""
_RECORD_EVERY: Final = 1.0
ROWS_A_PART: Final = 150_000
"""Rows of the views that are in memory at once."""
TOPIC_SAMPLE: Final = 20_000
TOPIC_AGE: Final = 7 * 86_400_000


class Skipped(Exception):
    """A step found nothing to do."""


class Stopped(Exception):
    """The run was asked to end; what it has committed stays, and the next run goes on from there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Durations in ms. `minutes_keep` is None for a source whose minutes are all kept. A topic model is
    made of at most `topic_sample` pages (0: there are no topics) and serves for `topic_age`.
    """

    dedupe_window: int
    generation_keep: int
    minutes_keep: int | None = None
    free_bytes: int = 0
    piece: int = PIECE
    rows_a_part: int = ROWS_A_PART
    topic_sample: int = TOPIC_SAMPLE
    topic_age: int = TOPIC_AGE

    @classmethod
    def of(cls, settings: Settings, *, keep_all_minutes: bool, free_bytes: int = 0) -> "Options":
        """`free_bytes`: how much the lake should give back, under the rule of retention."""
        return cls(
            dedupe_window=round(settings.dedupe_window * 1000),
            generation_keep=round(settings.generation_keep * 1000),
            minutes_keep=None if keep_all_minutes else round(settings.minutes_keep * 1000),
            free_bytes=free_bytes,
            topic_sample=settings.topic_sample,
            topic_age=round(settings.topic_age * 1000),
        )


@dataclass(slots=True, kw_only=True)
class Work:
    """One run. `base` is the generation that it found; `staged` what it will publish."""

    log: EventLog
    lake: Lake
    batchview: BatchView
    speedview: SpeedView | None
    clock: Clock
    options: Options
    run: Run
    base: Generation
    on_progress: Callable[[Run], None]
    stop: asyncio.Event
    staged: Generation | None = None
    _scratch: int = field(default=0)
    _recorded_at: float = field(default=0.0)

    def now(self) -> int:
        return round(self.clock.now() * 1000)

    def name(self) -> str:
        """An id of this run's own, for whatever it stages."""
        self._scratch += 1
        return f"{self.run.id}.{self._scratch}"

    def segment(self, like: Segment) -> Segment:
        """The same range under an id of this run's own."""
        return replace(like, id=self.name(), version=VERSION)

    async def record(self, run: Run) -> None:
        """Remember the run as it is now, and tell whoever watches."""
        self.run = run
        await self.batchview.record(run)
        self.on_progress(run)

    def expect(self, span: Span) -> None:
        """The running step reads these positions: at most so many rows, for offsets have holes."""
        *before, step = self.run.steps
        width = sum(until - since for since, until in zip(*span, strict=True))
        self.run = replace(self.run, steps=(*before, replace(step, expected=width)))

    async def advance(self, rows_in: int, rows_out: int) -> None:
        """Add to what the running step has read and written. Where a run can be stopped."""
        *before, step = self.run.steps
        moved = replace(step, rows_in=step.rows_in + rows_in, rows_out=step.rows_out + rows_out)
        self.run = replace(self.run, steps=(*before, moved))
        self.on_progress(self.run)
        if self.clock.monotonic() - self._recorded_at >= _RECORD_EVERY:
            self._recorded_at = self.clock.monotonic()
            await self.batchview.record(self.run)
        if self.stop.is_set():
            raise Stopped("stopped; the next run goes on from here")


def running(name: str, started_at: int) -> Step:
    return Step(name, "running", started_at, 0.0)


async def in_thread(pieces: Iterator[T]) -> AsyncIterator[T]:
    """What the iterator gives, each made in a thread while the loop goes on."""
    ended = object()
    while (piece := await asyncio.to_thread(next, pieces, ended)) is not ended:
        yield piece  # type: ignore[misc]
