"""Bots against humans: the share, its course, and how far flag and name agree.

The share is one question grouped by time and group: its sums are the sums of the course, so the two
can't disagree.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Final

from services.serving.api import dates
from services.serving.api.asked import Asked
from services.serving.api.dates import Granularity, Span
from services.serving.api.models import ours as models
from services.serving.api.parameters import ALL_PROJECTS, BY, EDITOR_TYPES
from services.shared.domain import change, classes
from services.shared.domain.query import Condition, Having, OneOf, Query
from services.shared.domain.views import EDITS, PAGES, Measures

FLAGS: Final = ("unflagged", "flagged")
_FINEST: Final = (
    (timedelta(hours=6), dates.MINUTELY),
    (timedelta(days=14), dates.HOURLY),
    (timedelta(days=1000), dates.DAILY),
)
"""For `auto`: the longest span that is shown in steps of this size."""
_BOTS: Final = {name: side for side in ("bots", "humans") for name in EDITOR_TYPES[side]}


async def share(asked: Asked) -> models.ShareAnswer:
    by = asked.values["by"]
    span = await asked.span()
    granularity = _granularity(asked, span)
    span, steps = asked.steps(span, granularity)
    asked.over(span)
    project = await asked.project()
    types = asked.values["type"] or (change.TYPES if by == "type" else change.EDIT_TYPES)
    column = granularity.column
    where = (*project, OneOf("type", types), *dates.within(span, column))
    query = Query(granularity.view, (column, BY[by]), where)
    rows = await asked.answers.sums(asked.standing.pin, query)

    name, step_of = _naming(by), dates.step_of(granularity)
    names = list(dict.fromkeys(map(name, _members(by, types))))
    course = {at: dict.fromkeys(names, 0) for at in steps}
    sums: dict[str, Measures] = dict.fromkeys(names, (0,) * len(EDITS.measures))
    for (value, member), measures in rows.items():
        group = name(member)
        course[step_of(int(value))][group] += measures[0]
        sums[group] = tuple(x + y for x, y in zip(sums[group], measures, strict=True))
    total = sum(measures[0] for measures in sums.values())
    return models.ShareAnswer(
        meta=asked.meta(),
        project=asked.values["project"],
        start=dates.stamp(span.start),
        end=dates.stamp(span.end),
        by=by,
        granularity=granularity.name,
        edits=total,
        groups=[_group(group, measures, total) for group, measures in sums.items()],
        course=[models.Course(timestamp=dates.stamp(at), edits=e) for at, e in course.items()],
        pages=await _pages(asked, span, project),
    )


async def agreement(asked: Asked) -> models.AgreementAnswer:
    span, _ = asked.steps(await asked.span(), dates.HOURLY)
    asked.over(span)
    where = (
        *await asked.project(),
        OneOf("type", change.EDIT_TYPES),
        *dates.within(span, "hour"),
    )
    query = Query(EDITS, ("bot", "bot_name"), where)
    rows = await asked.answers.sums(asked.standing.pin, query)
    nothing = (0,) * len(EDITS.measures)
    cells = [
        models.AgreementCell(
            flagged=bool(flag), bot_name=bool(named), edits=rows.get((flag, named), nothing)[0]
        )
        for flag in (1, 0)
        for named in (1, 0)
    ]
    return models.AgreementAnswer(
        meta=asked.meta(),
        project=asked.values["project"],
        start=dates.stamp(span.start),
        end=dates.stamp(span.end),
        cells=cells,
    )


def _granularity(asked: Asked, span: Span) -> Granularity:
    chosen: str = asked.values["granularity"]
    if chosen != "auto":
        return dates.GRANULARITIES[chosen]
    minutes_from = asked.standing.pin.generation.minutes_from
    for longest, granularity in _FINEST:
        kept = granularity is not dates.MINUTELY or span.start.timestamp() >= minutes_from * 60
        if kept and span.end - span.start <= longest:
            return granularity
    return dates.MONTHLY


def _naming(by: str) -> Callable[[int | str], str]:
    if by == "bots":
        return lambda member: _BOTS[str(member)]
    if by == "flag":
        return lambda flag: FLAGS[int(flag)]
    return str


def _members(by: str, types: Iterable[str]) -> Iterable[int | str]:
    """What the column can hold, so that a group without edits is shown as such."""
    if by == "flag":
        return (1, 0)
    if by == "type":
        return types
    return (*classes.BOTS, *classes.HUMANS)


def _group(name: str, measures: Measures, total: int) -> models.Group:
    edits, net_bytes, abs_bytes, minor, new_pages = measures
    return models.Group(
        name=name,
        edits=edits,
        share=edits / total if total else 0.0,
        net_bytes=net_bytes,
        abs_bytes=abs_bytes,
        minor=minor,
        new_pages=new_pages,
    )


async def _pages(
    asked: Asked, span: Span, project: tuple[Condition, ...]
) -> list[models.DistinctPages] | None:
    """Distinct pages by group: the union of the classes' pages, which only one day can count."""
    by, a_day = asked.values["by"], timedelta(days=1)
    whole_day = span == dates.cut(span, dates.DAILY) and span.end - span.start == a_day
    if asked.values["project"] == ALL_PROJECTS or BY[by] != "editor_class" or not whole_day:
        return None
    groups: dict[str, list[str]] = defaultdict(list)
    for name in (*classes.BOTS, *classes.HUMANS):
        groups[_naming(by)(name)].append(name)
    return [
        models.DistinctPages(name=group, pages=await _count(asked, span, project, tuple(members)))
        for group, members in groups.items()
    ]


async def _count(
    asked: Asked, span: Span, project: tuple[Condition, ...], members: tuple[str, ...]
) -> int:
    where = (*project, OneOf("editor_class", members), *dates.within(span))
    query = Query(PAGES, ("title",), where)
    return await asked.answers.count(asked.standing.pin, query, Having("edits", 1))
