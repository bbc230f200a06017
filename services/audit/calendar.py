"""Days, months and times as the API writes them, counted in the audit's own way."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

LONGEST_RUN: Final = 31
"""Days of one question about hours."""


def date(day: int) -> datetime:
    return datetime(day // 10_000, day // 100 % 100, day % 100, tzinfo=UTC)


def after(day: int) -> int:
    return _day(date(day) + timedelta(days=1))


def days(first: int, end: int) -> Iterator[int]:
    while first < end:
        yield first
        first = after(first)


def runs(of: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Runs of consecutive days as (first, day after the last), none longer than a month."""
    run: list[int] = []
    for day in sorted(of):
        if run and (day != after(run[-1]) or len(run) == LONGEST_RUN):
            yield run[0], after(run[-1])
            run = []
        run.append(day)
    if run:
        yield run[0], after(run[-1])


def month(day: int) -> tuple[int, int]:
    """The month of a day as (its first day, the first day of the next)."""
    first = date(day).replace(day=1)
    return _day(first), _day((first + timedelta(days=32)).replace(day=1))


def stamp(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S}.000Z"


def steps(first: datetime, end: datetime, seconds: int) -> Iterator[tuple[str, int]]:
    """Every step of a span: as the API writes it, and its number since 1970."""
    low, high = (int(time.timestamp()) // seconds for time in (first, end))
    for number in range(low, high):
        yield stamp(datetime.fromtimestamp(number * seconds, UTC)), number


def _day(time: datetime) -> int:
    return time.year * 10_000 + time.month * 100 + time.day
