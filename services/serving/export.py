"""The rows of a view as they stand at one pin, whole, for tables of other programs.

An answer of the API is a page of a question; this is everything that a view counts, by the same sums of both
layers and so with the same numbers. It may be more than fits into memory. So it is read day by day, and a
day by some projects at a time: as many as have about `PIECE` changes of it, which bounds the rows of any view.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from services.serving.answers import Answers
from services.serving.api import dates, problems
from services.serving.api.asked import Asked
from services.serving.api.dates import Span
from services.serving.api.models.ours import Meta
from services.serving.api.parameters import ALLOW, AT, EVERYWHERE, Q_END, Q_PROJECT, Q_START
from services.serving.api.route import read
from services.serving.pins import Pins, Standing
from services.shared.domain.query import Condition, OneOf, Query
from services.shared.domain.views import EDITS, PAGES, TEXT_COLUMNS, WORDS, Key, View
from services.shared.runtime.clock import Clock

PIECE: Final = 50_000

Cell = str | int | bool | date | datetime
Row = tuple[Cell, ...]

VIEWS: Final = {"edits": EDITS, "pages": PAGES, "words": WORDS}
_FLAGS: Final = frozenset({"bot", "bot_name"})
ACCEPTED: Final = (Q_PROJECT, Q_START, Q_END, *EVERYWHERE)


@dataclass(frozen=True, slots=True)
class Export:
    """What was asked for, and where it stands; made by `begin`."""

    name: str
    asked: Asked
    days: tuple[int, ...]
    project: tuple[Condition, ...]

    @property
    def view(self) -> View:
        return VIEWS[self.name]

    @property
    def meta(self) -> Meta:
        return self.asked.meta()

    @property
    def kinds(self) -> dict[str, type[Cell]]:
        """The columns, with the type of their cells."""
        own: dict[str, type[Cell]] = {"day": date, "hour": datetime}
        own |= dict.fromkeys(TEXT_COLUMNS, str) | dict.fromkeys(_FLAGS, bool)
        return {name: own.get(name, int) for name in (*self.view.keys, *self.view.measures)}

    async def rows(self) -> AsyncIterator[list[Row]]:
        """All rows by day, then by the view's keys, in pieces. Raises `Gone`."""
        for day in self.days:
            where = (OneOf("day", (day,)), *self.project)
            for projects in _packed(await _changes(self.asked, where)):
                piece = (*where, OneOf("project", projects))
                yield await _piece(self.asked, self.view, piece)


async def begin(
    pins: Pins, answers: Answers, clock: Clock, name: str, given: Mapping[str, str]
) -> Export:
    """`given` are texts, as a URL has them. Raises `ProblemError`, as the API answers."""
    values = read(ACCEPTED, {}, given.items())
    standing = await _stand(pins, values)
    asked = Asked(values, standing, answers, clock, page_limit=0)
    asked.reasons.extend(standing.pin.reasons)
    span = _span(values)
    asked.over(span)
    days = tuple(
        day
        for day in await answers.days(standing.pin)
        if span is None or span.start <= dates.from_day(day) < span.end
    )
    return Export(name, asked, days, await asked.project())


async def _stand(pins: Pins, values: Mapping[str, Any]) -> Standing:
    """At the token `at`, otherwise at what is there now."""
    token = values[AT.name]
    standing = await (pins.now() if token is None else pins.at(token))
    if standing is None:
        raise problems.gone()
    if standing.pin.reasons and values[ALLOW.name] is None:
        raise problems.missing(standing.pin.reasons)
    return standing


def _span(values: Mapping[str, Any]) -> Span | None:
    """Whole days; None for all."""
    start, end = values["start"], values["end"]
    if start is None and end is None:
        return None
    span = dates.cut(Span(start or dates.EARLIEST, end or dates.LATEST), dates.DAILY)
    if span.start >= span.end:
        raise problems.bad("end", f"{span.end:%Y%m%d}", "at least one whole day after start")
    return span


async def _changes(asked: Asked, where: tuple[Condition, ...]) -> dict[str, int]:
    """How many changes each project has."""
    found = await asked.answers.sums(asked.standing.pin, Query(EDITS, ("project",), where))
    return {str(project): edits for (project,), (edits, *_) in sorted(found.items())}


def _packed(changes: Mapping[str, int]) -> Iterator[tuple[str, ...]]:
    """Projects that follow each other, together until they have a piece's worth of changes."""
    together: list[str] = []
    total = 0
    for project, count in changes.items():
        together.append(project)
        total += count
        if total >= PIECE:
            yield tuple(together)
            together, total = [], 0
    if together:
        yield tuple(together)


async def _piece(asked: Asked, view: View, where: tuple[Condition, ...]) -> list[Row]:
    found = await asked.answers.sums(asked.standing.pin, Query(view, view.keys, where))
    return [(*_cells(view, key), *measures) for key, measures in sorted(found.items())]


def _cells(view: View, key: Key) -> Iterator[Cell]:
    for name, value in zip(view.keys, key, strict=True):
        if name == "day":
            yield dates.from_day(int(value)).date()
        elif name == "hour":
            yield datetime.fromtimestamp(int(value) * 3_600, UTC)
        else:
            yield bool(value) if name in _FLAGS else value
