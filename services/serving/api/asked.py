"""One question on its way: what was asked, where it stands, and why its answer may be partial."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from services.serving.answers import Answers
from services.serving.api import dates, parameters, problems
from services.serving.api.dates import Granularity, Span
from services.serving.api.models.ours import Meta
from services.serving.pin import EXACT, PARTIAL
from services.serving.pins import Standing
from services.shared.domain.query import Condition, OneOf
from services.shared.log.port import Gap
from services.shared.runtime.clock import Clock

MOST_STEPS = 100_000


@dataclass(frozen=True, slots=True)
class Asked:
    """`values` are the parameters as read; `reasons` grows while the answer is made."""

    values: Mapping[str, Any]
    standing: Standing
    answers: Answers
    clock: Clock
    page_limit: int
    reasons: list[str] = field(default_factory=list)

    def over(self, span: Span | None) -> None:
        """The answer is about this span of time (None: all); a gap in it makes it partial."""
        self.reasons.extend(
            f"gap from {dates.iso(gap.since)} to {dates.iso(gap.until)}: {gap.reason}"
            for gap in self.standing.gaps
            if span is None or _overlaps(gap, span)
        )
        lost = self.standing.pin.generation.lost_days
        days = [day for day in lost if span is None or _overlaps(_all_of(day), span)]
        if days:
            self.reasons.append(
                f"counts of {len(days)} days, {days[0]} to {days[-1]}, were lost with a batch view"
            )

    def meta(self) -> Meta:
        pin = self.standing.pin
        return Meta(
            log=pin.generation.log,
            generation=pin.generation.number,
            horizon=list(pin.since),
            as_of=list(pin.until),
            as_of_time=dates.iso(self.standing.time),
            completeness=PARTIAL if self.reasons else EXACT,
            reasons=self.reasons,
            at=pin.token,
        )

    @property
    def limit(self) -> int:
        limit: int = self.values["limit"]
        if limit > self.page_limit:
            raise problems.bad("limit", str(limit), f"1 to {self.page_limit}")
        return limit

    async def project(self) -> tuple[Condition, ...]:
        """The condition for the project that was asked for; 404 if it has no change at all."""
        name = self.values["project"]
        if name == parameters.ALL_PROJECTS:
            return ()
        if not await self.answers.knows(self.standing.pin, name):
            raise problems.no_data(name)
        return (OneOf("project", (name,)),)

    async def one_project(self, why: str) -> tuple[Condition, ...]:
        """The same where projects don't add up."""
        if self.values["project"] == parameters.ALL_PROJECTS:
            raise problems.bad("project", parameters.ALL_PROJECTS, f"one project: {why}")
        return await self.project()

    async def span(self) -> Span:
        """From `start` to `end`; what is not given is the newest day with data and the one before."""
        start, end = self.values.get("start"), self.values.get("end")
        if end is None:
            end = await self._end()
        if start is None:
            # The start of the newest day, or of the day before it when `end` was not given.
            start = _midnight(end - timedelta(microseconds=1))
            start -= timedelta(days=self.values.get("end") is None)
        return Span(start, end)

    async def _end(self) -> datetime:
        newest = self.standing.time or int(self.clock.now() * 1000)
        latest = dates.to_day(dates.from_ms(newest) + timedelta(days=1))
        days = [day for day in await self.answers.days(self.standing.pin) if day <= latest]
        last = dates.from_day(days[-1]) if days else _midnight(dates.from_ms(newest))
        return last + timedelta(days=1)

    def steps(self, span: Span, granularity: Granularity) -> tuple[Span, Sequence[datetime]]:
        """The span in whole steps, and when each of them starts."""
        whole = dates.cut(span, granularity)
        if whole.start >= whole.end:
            raise problems.bad(
                "end",
                f"{span.end:%Y%m%d%H%M}",
                f"at least one whole {granularity.step} after start {span.start:%Y%m%d%H%M}",
            )
        if granularity.seconds and whole.seconds > MOST_STEPS * granularity.seconds:
            raise problems.unprocessable(
                "end", f"{span.end:%Y%m%d%H%M}", f"at most {MOST_STEPS:,} steps after start"
            )
        if granularity is dates.MINUTELY:
            self._minutes(whole)
        return whole, list(dates.steps(whole, granularity))

    def _minutes(self, span: Span) -> None:
        if span.seconds > dates.MOST_MINUTES * 60:
            raise problems.unprocessable(
                "end", f"{span.end:%Y%m%d%H%M}", "at most 24 hours after start for minutely"
            )
        since = self.standing.pin.generation.minutes_from
        if int(span.start.timestamp()) < since * 60:
            raise problems.unprocessable(
                "start",
                f"{span.start:%Y%m%d%H%M}",
                f"{dates.from_ms(since * 60_000):%Y%m%d%H%M} or later: minutes are kept since then",
            )


def _all_of(day: int) -> Gap:
    start = dates.from_day(day).timestamp()
    return Gap(int(start * 1000), int((start + 86_399) * 1000), "")


def _overlaps(gap: Gap, span: Span) -> bool:
    start, end = (int(at.timestamp() * 1000) for at in (span.start, span.end))
    return gap.since < end and gap.until >= start


def _midnight(time: datetime) -> datetime:
    return datetime(time.year, time.month, time.day, tzinfo=UTC)
