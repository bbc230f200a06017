"""What is so now and stands on no pin: status, batch runs and the last audit."""

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from services.serving.api import dates
from services.serving.api.models import ours as models
from services.serving.pin import EXACT, PARTIAL
from services.serving.pins import Pins, Standing
from services.shared import report as reports
from services.shared.batchview.port import BatchView, Run, Step
from services.shared.domain.positions import Vector, reaches
from services.shared.log.port import EventLog
from services.shared.report import Report
from services.shared.runtime.clock import Clock
from services.shared.speedview.port import SpeedView

VERSION: Final = importlib.metadata.version("bots-vs-wiki")


class Audits(Protocol):
    """Recounts, one at a time; they run elsewhere."""

    def start(self) -> None:
        """Begin one, unless one is running."""
        ...

    def latest(self) -> models.AuditAnswer:
        """The one that is running, otherwise the last result."""
        ...


@dataclass(frozen=True, slots=True)
class Present:
    pins: Pins
    log: EventLog
    speed: SpeedView
    batch: BatchView
    clock: Clock
    source: models.SourceRow

    async def status(self) -> models.StatusAnswer:
        # Before the end is: so what is counted here lies before it.
        tallies, deadletters = await self.log.tallies(), await self.log.count_deadletters()
        standing = await self.pins.now()
        pin, visible = standing.pin, await self.speed.visible()
        end, end_time = await self.log.stable_end(), await self.log.time()
        began = await self._began(standing)
        reasons = [*pin.reasons, *(gap.reason for gap in standing.gaps)]
        return models.StatusAnswer(
            log=self.log.identity,
            source=self.source,
            generation=pin.generation.number,
            horizon=list(pin.since),
            horizon_time=dates.iso(max(pin.generation.times)),
            visible=None if visible is None else list(visible.positions),
            visible_time=None if visible is None else dates.iso(max(visible.times)),
            end=list(end),
            end_time=dates.iso(end_time),
            caught_up=reaches(pin.until, end),
            completeness=PARTIAL if reasons else EXACT,
            reasons=reasons,
            speed_lag_seconds=_lag(pin.until, pin.times, end, end_time, began),
            batch_lag_seconds=_lag(pin.since, pin.generation.times, end, end_time, began),
            minutes_from=dates.iso(pin.generation.minutes_from * 60_000),
            gaps=_gaps(standing),
            stream=_stream(reports.read(await self.log.cursor(reports.NAME))),
            tallies=tallies,
            deadletters=deadletters,
            bytes=await self._bytes(),
            version=VERSION,
            now=dates.iso(int(self.clock.now() * 1000)),
        )

    async def _began(self, standing: Standing) -> int:
        """When the log began, for a layer that has taken in nothing of it yet."""
        pin = standing.pin
        if 0 not in {*pin.times, *pin.generation.times}:
            return 0
        first = await self.log.read(await self.log.start(), limit=1)
        return min((record.appended_at for record in first.records), default=0)

    async def runs(self, limit: int) -> models.RunsAnswer:
        return models.RunsAnswer(runs=[_run(run) for run in await self.batch.runs(limit=limit)])

    async def _bytes(self) -> dict[str, int]:
        return {
            "log": await self.log.size(),
            "speed": await self.speed.size(),
            "batch": await self.batch.size(),
        }


def _lag(at: Vector, times: Vector, end: Vector, end_time: int, began: int) -> float:
    """How far the log time at a position is behind that at the end; 0 where it is the end."""
    behind = (
        end_time - max(time, began)
        for place, time, last in zip(at, times, end, strict=True)
        if place < last
    )
    return max((*behind, 0)) / 1000


def _gaps(standing: Standing) -> list[models.GapRow]:
    return [
        models.GapRow(since=dates.iso(gap.since), until=dates.iso(gap.until), reason=gap.reason)
        for gap in standing.gaps
    ]


def _stream(report: Report | None) -> models.StreamRow | None:
    if report is None:
        return None
    return models.StreamRow(
        told_at=dates.iso(report.at),
        state=report.state,
        since=dates.iso(report.since),
        reason=report.reason,
        retry_at=_maybe(report.retry_at),
        connections=report.connections,
        last_event_at=_maybe(report.last_event_at),
        last_canary_at=_maybe(report.last_canary_at),
        canaries_missing=report.canaries_missing,
    )


def _maybe(ms: int | None) -> str | None:
    return None if ms is None else dates.iso(ms)


def _run(run: Run) -> models.RunRow:
    return models.RunRow(
        id=run.id,
        kind=run.kind,
        state=run.state,
        started_at=dates.iso(run.started_at),
        ended_at=_maybe(run.ended_at),
        generation=run.generation,
        steps=_steps(run.steps),
    )


def _steps(steps: Sequence[Step]) -> list[models.StepRow]:
    return [
        models.StepRow(
            name=step.name,
            state=step.state,
            started_at=dates.iso(step.started_at),
            seconds=step.seconds,
            rows_in=step.rows_in,
            rows_out=step.rows_out,
            expected=step.expected,
            error=step.error,
        )
        for step in steps
    ]
