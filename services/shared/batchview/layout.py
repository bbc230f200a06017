"""How a segment's rows lie, whatever stores them: by day, then by project, then by the other keys.

Questions name a few days and mostly one project, and a question about hours or minutes is one about
their days as well.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from services.shared.domain.identity import SECONDS_A_DAY, day_start
from services.shared.domain.query import Between, Condition, OneOf
from services.shared.domain.views import View

_SECONDS: Final = {"hour": 3600, "minute": 60}


def clustered(view: View) -> tuple[str, ...]:
    """The view's keys in the order in which its rows are stored."""
    first = ("day", "project")
    return (*first, *(key for key in view.keys if key not in first))


def days_asked(days: Iterable[int], where: Sequence[Condition]) -> list[int]:
    """Which of the days can have rows that meet the conditions."""
    return [day for day in days if all(_may_hold(day, condition) for condition in where)]


def _may_hold(day: int, condition: Condition) -> bool:
    match condition:
        case Between("day", low, high):
            return low <= day < high
        case OneOf("day", values):
            return day in values
        case Between("hour" | "minute" as unit, low, high):
            start = day_start(day)
            seconds = _SECONDS[unit]
            return start < high * seconds and low * seconds < start + SECONDS_A_DAY
    return True
