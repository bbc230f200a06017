"""The paths of the Wikimedia Analytics API, with the same parameters and answers.

Edits and bytes add up over projects, classes and time, so any combination is one sum. Pages and
editors do not: a page that bots and people edited is one page. They are counted as the union of
their keys, for one project, one day or one month at a time.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from services.serving.api import dates, parameters, problems
from services.serving.api.asked import Asked
from services.serving.api.dates import Granularity, Span
from services.serving.api.models import aqs as models
from services.serving.api.parameters import EDITOR_TYPES, LEVELS, PAGE_TYPES
from services.shared.domain import change, classes, hll
from services.shared.domain.query import Condition, Having, OneOf, Query
from services.shared.domain.views import DISTINCT, EDITORS, PAGES, View

TOP: Final = 100
LONGEST_DISTINCT: Final = 367
"""Steps of one question for distinct counts: a year of days, as in the Analytics API."""


async def edits(asked: Asked) -> models.EditsAnswer:
    counted = await _series(asked, asked.values["type"], "edits")
    results = [models.Edits(timestamp=at, edits=value) for at, value in counted]
    return models.EditsAnswer(items=[models.EditsItem(**_head(asked), results=results)])


async def net_bytes(asked: Asked) -> models.NetBytesAnswer:
    counted = await _series(asked, change.EDIT_TYPES, "net_bytes")
    results = [models.NetBytes(timestamp=at, net_bytes_diff=value) for at, value in counted]
    return models.NetBytesAnswer(items=[models.NetBytesItem(**_head(asked), results=results)])


async def absolute_bytes(asked: Asked) -> models.AbsoluteBytesAnswer:
    counted = await _series(asked, change.EDIT_TYPES, "abs_bytes")
    results = [models.AbsoluteBytes(timestamp=at, abs_bytes_diff=value) for at, value in counted]
    item = models.AbsoluteBytesItem(**_head(asked), results=results)
    return models.AbsoluteBytesAnswer(items=[item])


async def edited_pages(asked: Asked) -> models.EditedPagesAnswer:
    counted = await _distinct(asked, PAGES)
    results = [models.EditedPages(timestamp=at, edited_pages=value) for at, value in counted]
    item = models.EditedPagesItem(**_head(asked), **_level(asked), results=results)
    return models.EditedPagesAnswer(items=[item])


async def editors(asked: Asked) -> models.EditorsAnswer:
    counted = await _distinct(asked, EDITORS)
    results = [models.Editors(timestamp=at, editors=value) for at, value in counted]
    item = models.EditorsItem(**_head(asked), **_level(asked), results=results)
    return models.EditorsAnswer(items=[item])


async def top_pages(asked: Asked) -> models.TopPagesAnswer:
    start, ranked = await _top(asked, PAGES)
    top = [
        models.PageEdits(page_title=name, edits=edits, rank=rank)
        for rank, (name, edits) in enumerate(ranked, 1)
    ]
    results = [models.TopPages(timestamp=start, top=top)]
    return models.TopPagesAnswer(items=[models.TopPagesItem(**_top_head(asked), results=results)])


async def top_editors(asked: Asked) -> models.TopEditorsAnswer:
    start, ranked = await _top(asked, EDITORS)
    top = [
        models.EditorEdits(user_text=_named(name), edits=edits, rank=rank)
        for rank, (name, edits) in enumerate(ranked, 1)
    ]
    results = [models.TopEditors(timestamp=start, top=top)]
    item = models.TopEditorsItem(**_top_head(asked), results=results)
    return models.TopEditorsAnswer(items=[item])


async def _series(asked: Asked, types: Sequence[str], measure: str) -> list[tuple[str, int]]:
    """One measure for every step of the span, zeros included."""
    granularity = dates.GRANULARITIES[asked.values["granularity"]]
    span, steps = asked.steps(await asked.span(), granularity)
    asked.over(span)
    where = (*await asked.project(), *_who(asked), OneOf("type", tuple(types)))
    view, column = granularity.view, granularity.column
    query = Query(view, (column,), (*where, *dates.within(span, column)))
    place = view.measures.index(measure)
    step_of = dates.step_of(granularity)
    sums = dict.fromkeys(steps, 0)
    for (value,), measures in (await asked.answers.sums(asked.standing.pin, query)).items():
        sums[step_of(int(value))] += measures[place]
    return [(dates.stamp(at), value) for at, value in sums.items()]


async def _distinct(asked: Asked, view: View) -> list[tuple[str, int]]:
    """Distinct keys for every day or month of the span."""
    project = await asked.one_project("distinct counts of projects don't add up")
    granularity = dates.GRANULARITIES[asked.values["granularity"]]
    span, steps = asked.steps(await asked.span(), granularity)
    if len(steps) > LONGEST_DISTINCT:
        raise problems.unprocessable(
            "end",
            f"{span.end:%Y%m%d}",
            f"at most {LONGEST_DISTINCT} {granularity.step}s after start",
        )
    asked.over(span)
    where = (*project, *_who(asked))
    days = await asked.answers.days(asked.standing.pin, asked.values["project"])
    count = _estimated if _is_estimate(asked) else _exact
    return [
        (dates.stamp(at), await count(asked, view, (*where, *dates.within(step))))
        if any(step.start <= dates.from_day(day) < step.end for day in days)
        else (dates.stamp(at), 0)
        for at, step in ((at, _step(at, granularity)) for at in steps)
    ]


async def _exact(asked: Asked, view: View, where: tuple[Condition, ...]) -> int:
    having = Having("edits", *LEVELS[asked.values["activity-level"]])
    query = Query(view, (DISTINCT[view.name],), where)
    return await asked.answers.count(asked.standing.pin, query, having)


async def _estimated(asked: Asked, view: View, where: tuple[Condition, ...]) -> int:
    return round(hll.estimate(await asked.answers.distinct(asked.standing.pin, view.name, where)))


async def _top(asked: Asked, view: View) -> tuple[str, list[tuple[str, int]]]:
    """The first keys by edits of a day or a month."""
    project = await asked.one_project("names of different projects are different pages and editors")
    span = _day_or_month(asked)
    asked.over(span)
    query = Query(view, (DISTINCT[view.name],), (*project, *_who(asked), *dates.within(span)))
    ranked = await asked.answers.top(asked.standing.pin, query, measure="edits", limit=TOP)
    return dates.stamp(span.start), [(str(name), measures[0]) for (name,), measures in ranked]


def _day_or_month(asked: Asked) -> Span:
    year, month, day = (asked.values[name] for name in ("year", "month", "day"))
    try:
        start = datetime(year, month, day or 1, tzinfo=UTC)
    except ValueError:
        raise problems.bad("day", str(day), f"a day of {year}-{month:02}, or all-days") from None
    return Span(start, start + timedelta(days=1) if day else dates.after_month(start))


def _step(at: datetime, granularity: Granularity) -> Span:
    monthly = granularity is dates.MONTHLY
    return Span(at, dates.after_month(at) if monthly else at + timedelta(days=1))


def _who(asked: Asked) -> tuple[Condition, ...]:
    """Conditions for editor and page type; none where all are asked for."""
    editors = EDITOR_TYPES[asked.values["editor-type"]]
    pages = PAGE_TYPES[asked.values["page-type"]]
    every = (classes.EDITOR_CLASSES, classes.PAGE_CLASSES)
    asked_for = (OneOf("editor_class", editors), OneOf("page_class", pages))
    return tuple(one for one, all_ in zip(asked_for, every, strict=True) if one.values != all_)


def _head(asked: Asked) -> dict[str, Any]:
    names = ("project", "editor-type", "page-type", "granularity")
    return {name.replace("-", "_"): asked.values[name] for name in names}


def _top_head(asked: Asked) -> dict[str, Any]:
    granularity = "daily" if asked.values["day"] else "monthly"
    names = ("project", "editor-type", "page-type")
    return {name.replace("-", "_"): asked.values[name] for name in names} | {
        "granularity": granularity
    }


def _is_estimate(asked: Asked) -> bool:
    asked_for = (asked.values["activity-level"], asked.values["granularity"])
    return asked_for == (parameters.ALL_LEVELS, dates.MONTHLY.name)


def _level(asked: Asked) -> dict[str, Any]:
    level = {"activity_level": asked.values["activity-level"]}
    if not _is_estimate(asked):
        return level
    return level | {"distinct": "estimate", "relative_error": round(hll.RELATIVE_ERROR, 4)}


def _named(user: str) -> str | None:
    """An editor without an account has no name in a top list."""
    anonymous = classes.editor_class(user, bot=False) == classes.ANONYMOUS
    return None if anonymous else user
