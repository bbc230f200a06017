"""Spans and steps of time as the Analytics API writes them: UTC, `end` excluded. Pure.

Dates are YYYYMMDD, YYYYMMDDHH or, where minutes matter, YYYYMMDDHHMM. A span is cut to whole steps of
its granularity: hours are cut off for `daily`, and `monthly` takes the months that lie wholly in it.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from services.shared.domain.query import Between, Condition
from services.shared.domain.views import EDITS, MINUTES, View

ACCEPTED: Final = "YYYYMMDD, YYYYMMDDHH or YYYYMMDDHHMM (UTC), from 2001 to the end of 2099"
MOST_MINUTES: Final = 24 * 60
_FORM = re.compile(r"\d{8}(\d{2}){0,2}", re.ASCII)
EARLIEST: Final = datetime(2001, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Granularity:
    """A step of time: the view and column that count by it, and seconds (0: a calendar month)."""

    name: str
    view: View
    column: str
    seconds: int
    step: str


HOURLY: Final = Granularity("hourly", EDITS, "hour", 3_600, "hour")
MINUTELY: Final = Granularity("minutely", MINUTES, "minute", 60, "minute")
DAILY: Final = Granularity("daily", EDITS, "day", 86_400, "day")
MONTHLY: Final = Granularity("monthly", EDITS, "day", 0, "month")
GRANULARITIES: Final = {g.name: g for g in (DAILY, MONTHLY, HOURLY, MINUTELY)}


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` (included) to `end` (excluded)."""

    start: datetime
    end: datetime

    @property
    def seconds(self) -> int:
        return int((self.end - self.start).total_seconds())


def parse(text: str) -> datetime | None:
    """None for what is no date."""
    if not _FORM.fullmatch(text):
        return None
    try:
        date = datetime.strptime(text.ljust(12, "0"), "%Y%m%d%H%M").replace(tzinfo=UTC)
    except ValueError:
        return None
    return date if EARLIEST <= date <= LATEST else None


def cut(span: Span, granularity: Granularity) -> Span:
    """The span in whole steps; empty (or less) where there is none."""
    if granularity is MONTHLY:
        start = month(span.start)
        return Span(start if start == span.start else after_month(start), month(span.end))
    step = granularity.seconds
    return Span(_floor(span.start, step), _floor(span.end, step))


def steps(span: Span, granularity: Granularity) -> Iterator[datetime]:
    """The start of every step of a span that was `cut`."""
    at = span.start
    while at < span.end:
        yield at
        at = after_month(at) if granularity is MONTHLY else at + timedelta(0, granularity.seconds)


def step_of(granularity: Granularity) -> Callable[[int], datetime]:
    """From a value of the granularity's column to the start of its step."""
    if granularity is MONTHLY:
        return lambda day: month(from_day(day))
    if granularity is DAILY:
        return from_day
    return lambda count: datetime.fromtimestamp(count * granularity.seconds, UTC)


def within(span: Span, column: str = "") -> tuple[Condition, ...]:
    """Conditions for a span; `column` (hour or minute) where days alone are too coarse."""
    last = span.end - timedelta(microseconds=1)
    days = Between("day", to_day(span.start), to_day(last) + 1)
    seconds = {"hour": 3_600, "minute": 60}.get(column)
    if not seconds or span == Span(_floor(span.start, 86_400), _floor(span.end, 86_400)):
        return (days,)
    low, high = (int(at.timestamp()) // seconds for at in (span.start, span.end))
    return (days, Between(column, low, high))


def stamp(time: datetime) -> str:
    """As AQS writes times."""
    return f"{time:%Y-%m-%dT%H:%M:%S}.000Z"


def from_ms(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def iso(milliseconds: int) -> str:
    """RFC 3339 of ms since 1970."""
    return from_ms(milliseconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_day(day: int) -> datetime:
    return datetime(day // 10_000, day // 100 % 100, day % 100, tzinfo=UTC)


def to_day(time: datetime) -> int:
    return time.year * 10_000 + time.month * 100 + time.day


def month(time: datetime) -> datetime:
    return datetime(time.year, time.month, 1, tzinfo=UTC)


def after_month(start: datetime) -> datetime:
    return month(start + timedelta(days=32))


def _floor(time: datetime, seconds: int) -> datetime:
    return datetime.fromtimestamp(int(time.timestamp()) // seconds * seconds, UTC)
