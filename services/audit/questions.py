"""What the audit asks the API, and what each answer must say according to the recount.

A question is a path, a function that reads cells (name -> value) out of the answer, and the cells
that the recount expects. Cells that only one side has are differences too.
"""

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from services.audit import calendar
from services.audit.recount import SUMMED, Day, Who
from services.shared.domain import classes, hll

Cells = dict[str, Any]
Days = dict[tuple[str, int], Day]
_Span = tuple[datetime, datetime]
_Own = dict[int, Day]
"""The days of one project."""

ALL: Final = "all-projects"
EVERYBODY: Final = "all-editor-types"
EVERYWHERE: Final = "all-page-types"
TOP: Final = 100

_EDITORS: Final = {
    **{name: (name,) for name in classes.EDITOR_CLASSES},
    "bots": classes.BOTS,
    "humans": classes.HUMANS,
    EVERYBODY: classes.EDITOR_CLASSES,
}
_PAGES: Final = {
    **{name: (name,) for name in classes.PAGE_CLASSES},
    EVERYWHERE: classes.PAGE_CLASSES,
}
_GROUPS: Final = (
    *((editor, EVERYWHERE) for editor in _EDITORS),
    *((EVERYBODY, page) for page in classes.PAGE_CLASSES),
)
"""Whose distinct keys are asked for, and where."""
_EDIT_TYPES: Final = frozenset({"edit", "new"})
_LEVELS: Final = {"1..4": (1, 5), "5..24": (5, 25), "25..99": (25, 100), "100..": (100, 1 << 62)}


@dataclass(frozen=True, slots=True)
class Question:
    path: str
    read: Callable[[Any], Cells]
    expected: Cells


def questions(days: Days, *, skipped: Collection[int], minutes_from: int) -> Iterator[Question]:
    """Every question about the event days that were recounted.

    `skipped` are the other days with events: totals and months with them are not asked for. Minutes
    are asked for from `minutes_from` (since 1970) on.
    """
    by_project: dict[str, _Own] = defaultdict(dict)
    for (project, day), counted in days.items():
        by_project[project][day] = counted
    for project, own in sorted(by_project.items()):
        yield from _edits(project, [own])
        yield from _minutes(project, [own], minutes_from)
        yield from _bytes(project, own)
        yield from _groups(project, own)
        yield from _agreement(project, own)
        for day, counted in sorted(own.items()):
            yield from _distinct(project, day, counted)
            yield from _tops(project, f"{calendar.date(day):%Y/%m/%d}", counted)
            yield from _texts(project, day, counted)
        yield from _months(project, own, skipped)
    yield from _edits(ALL, list(by_project.values()))
    yield from _minutes(ALL, list(by_project.values()), minutes_from, fully=True)
    if not skipped:
        yield _projects(by_project)


# --- edits by hour and minute --------------------------------------------------------------------


def _edits(project: str, wholes: list[_Own]) -> Iterator[Question]:
    types = {kind for own in wholes for day in own.values() for _, _, kind, _ in day.changes}
    for run in calendar.runs({day for own in wholes for day in own}):
        counted = [day for own in wholes for at, day in own.items() if run[0] <= at < run[1]]
        span = f"hourly/{run[0]}/{run[1]}"
        for who in itertools.product(classes.EDITOR_CLASSES, classes.PAGE_CLASSES):
            yield Question(
                f"/metrics/edits/aggregate/{project}/{who[0]}/{who[1]}/{span}",
                _series("edits"),
                _hours(run, counted, lambda e, p, t, who=who: (e, p) == who and t in _EDIT_TYPES),
            )
        for kind in sorted(types - _EDIT_TYPES):
            yield Question(
                f"/metrics/edits/aggregate/{project}/{EVERYBODY}/all-page-types/{span}"
                f"?{urlencode({'type': kind})}",
                _series("edits"),
                _hours(run, counted, lambda _e, _p, t, kind=kind: t == kind),
            )


def _hours(run: tuple[int, int], counted: list[Day], wanted: Callable[..., bool]) -> Cells:
    sums: Counter[int] = Counter()
    for day in counted:
        for (editor, page, kind, hour), edits in day.changes.items():
            if wanted(editor, page, kind):
                sums[hour] += edits
    start, end = map(calendar.date, run)
    return {name: sums[hour] for name, hour in calendar.steps(start, end, 3_600)}


def _minutes(
    project: str, wholes: list[_Own], minutes_from: int, *, fully: bool = False
) -> Iterator[Question]:
    """Edits by minute; `fully` asks for each class, and for what else is kept by minute."""
    kept_since = datetime.fromtimestamp(minutes_from * 60, UTC)
    for at in sorted({day for own in wholes for day in own}):
        start, end = max(calendar.date(at), kept_since), calendar.date(calendar.after(at))
        if start >= end:
            continue
        counted = [own[at] for own in wholes if at in own]
        who = itertools.product(classes.EDITOR_CLASSES, classes.PAGE_CLASSES)
        for editor, page in who if fully else [(EVERYBODY, EVERYWHERE)]:
            yield _by_minute(project, editor, page, (start, end), counted)
        if fully:
            yield _sums_of_minutes(project, (start, end), counted)


def _by_minute(project: str, editor: str, page: str, span: _Span, counted: list[Day]) -> Question:
    sums: Counter[int] = Counter()
    for (who, where, minute), edits in itertools.chain(*(day.minutes.items() for day in counted)):
        if who in _EDITORS[editor] and where in _PAGES[page]:
            sums[minute] += edits
    start, end = span
    return Question(
        f"/metrics/edits/aggregate/{project}/{editor}/{page}/minutely"
        f"/{start:%Y%m%d%H%M}/{end:%Y%m%d}",
        _series("edits"),
        {name: sums[minute] for name, minute in calendar.steps(start, end, 60)},
    )


def _sums_of_minutes(project: str, span: _Span, counted: list[Day]) -> Question:
    since = int(span[0].timestamp()) // 60
    sums = Counter({f"{who} {name}": 0 for who in classes.EDITOR_CLASSES for name in SUMMED})
    for (name, who, minute), value in itertools.chain(*(d.by_minute.items() for d in counted)):
        sums[f"{who} {name}"] += value if minute >= since else 0
    query = {"project": project, "start": f"{span[0]:%Y%m%d%H%M}", "end": f"{span[1]:%Y%m%d}"}
    return Question(
        f"/v1/share?{urlencode(query | {'granularity': 'minutely'})}",
        lambda body: {f"{g['name']} {name}": g[name] for g in body["groups"] for name in SUMMED},
        dict(sums),
    )


# --- bytes, groups, agreement, projects ----------------------------------------------------------


def _bytes(project: str, own: _Own) -> Iterator[Question]:
    for first, end in calendar.runs(own):
        for kind, name in (("net", "net_bytes_diff"), ("absolute", "abs_bytes_diff")):
            for editor, members in _EDITORS.items():
                expected = {
                    calendar.stamp(calendar.date(day)): _bytes_of(own[day], kind, members)
                    for day in calendar.days(first, end)
                }
                yield Question(
                    f"/metrics/bytes-difference/{kind}/aggregate/{project}/{editor}"
                    f"/all-page-types/daily/{first}/{end}",
                    _series(name),
                    expected,
                )


def _bytes_of(day: Day, kind: str, members: Iterable[str]) -> int:
    counter = day.net_bytes if kind == "net" else day.abs_bytes
    return sum(count for (editor, _), count in counter.items() if editor in members)


def _groups(project: str, own: _Own) -> Iterator[Question]:
    for first, end in calendar.runs(own):
        minor: Counter[str] = Counter()
        new: Counter[str] = Counter()
        for day in calendar.days(first, end):
            minor.update(own[day].minor)
            for (who, _, kind, _), edits in own[day].changes.items():
                new[who] += edits if kind == "new" else 0
        expected = {
            f"{who} {name}": counted[who]
            for who in classes.EDITOR_CLASSES
            for name, counted in (("minor", minor), ("new", new))
        }
        query = {"project": project, "start": first, "end": end, "granularity": "daily"}
        yield Question(
            f"/v1/share?{urlencode(query)}",
            lambda body: {
                f"{group['name']} {name}": group[field]
                for group in body["groups"]
                for name, field in (("minor", "minor"), ("new", "new_pages"))
            },
            expected,
        )


def _agreement(project: str, own: _Own) -> Iterator[Question]:
    for first, end in calendar.runs(own):
        flags: Counter[tuple[bool, bool]] = Counter()
        for day in calendar.days(first, end):
            flags.update(own[day].flags)
        query = urlencode({"project": project, "start": first, "end": end})
        yield Question(
            f"/v1/agreement?{query}",
            lambda body: {
                f"flag {cell['flagged']}, name {cell['bot_name']}": cell["edits"]
                for cell in body["cells"]
                if cell["edits"]
            },
            {f"flag {flag}, name {name}": edits for (flag, name), edits in flags.items()},
        )


def _projects(by_project: dict[str, _Own]) -> Question:
    """Totals over the whole span: nothing may be counted on days that have no event."""
    every = {day for own in by_project.values() for day in own}
    totals = {
        project: sum(
            edits
            for day in own.values()
            for (_, _, kind, _), edits in day.changes.items()
            if kind in _EDIT_TYPES
        )
        for project, own in by_project.items()
    }
    query = {"start": min(every), "end": calendar.after(max(every))} if every else {}
    return Question(
        f"/v1/projects?{urlencode(query)}",
        lambda body: {row["project"]: row["edits"] for row in body["projects"] if row["edits"]},
        {project: edits for project, edits in totals.items() if edits},
    )


# --- distinct, tops, months, texts ---------------------------------------------------------------


def _distinct(project: str, day: int, counted: Day) -> Iterator[Question]:
    for path, name, keys in _keys_of(counted):
        for editor, page in _GROUPS:
            wanted = set(itertools.product(_EDITORS[editor], _PAGES[page]))
            there = sum(1 for edits in keys.values() if wanted & edits.keys())
            yield Question(
                f"/metrics/{path}/aggregate/{project}/{editor}/{page}"
                f"/all-activity-levels/daily/{day}/{calendar.after(day)}",
                _series(name),
                {calendar.stamp(calendar.date(day)): there},
            )


def _tops(project: str, date: str, counted: Day) -> Iterator[Question]:
    for path, _, keys in _keys_of(counted):
        name = "user_text" if path == "editors" else "page_title"
        for editor, page in _GROUPS:
            wanted = set(itertools.product(_EDITORS[editor], _PAGES[page]))
            edits = {key: sum(by[who] for who in wanted & by.keys()) for key, by in keys.items()}
            yield Question(
                f"/metrics/{path}/top-by-edits/{project}/{editor}/{page}/{date}",
                _top(name),
                {
                    f"{rank}. {_shown(name, key)}": count
                    for rank, (key, count) in enumerate(_first(edits), 1)
                },
            )


def _months(project: str, own: _Own, skipped: Collection[int]) -> Iterator[Question]:
    for first, end in sorted(set(map(calendar.month, own))):
        if any(first <= day < end for day in skipped):
            continue
        whole = Day()
        for day in own:
            if first <= day < end:
                whole.add_keys(own[day])
        yield from _tops(project, f"{calendar.date(first):%Y/%m}/all-days", whole)
        for path, name, keys in _keys_of(whole):
            for level, value in _monthly(keys):
                yield Question(
                    f"/metrics/{path}/aggregate/{project}/{EVERYBODY}/all-page-types"
                    f"/{level}/monthly/{first}/{end}",
                    _series(name),
                    {calendar.stamp(calendar.date(first)): value},
                )


def _monthly(keys: dict[str, Counter[Who]]) -> Iterator[tuple[str, int]]:
    """All levels together come from registers: the same ones give the same estimate."""
    yield "all-activity-levels", round(hll.estimate(hll.registers(keys)))
    totals = [edits.total() for edits in keys.values()]
    for level, (low, high) in _LEVELS.items():
        yield f"{level}-edits", sum(low <= edits < high for edits in totals)


def _keys_of(counted: Day) -> tuple[tuple[str, str, dict[str, Counter[Who]]], ...]:
    return (
        ("edited-pages", "edited_pages", counted.pages),
        ("editors", "editors", counted.editors),
    )


def _texts(project: str, day: int, counted: Day) -> Iterator[Question]:
    span = {"start": day, "end": calendar.after(day), "limit": TOP}
    for editor, members in _EDITORS.items():
        query = urlencode({"project": project, "editor_type": editor} | span)
        stems: Counter[str] = Counter()
        forms: dict[str, Counter[str]] = defaultdict(Counter)
        for (who, stem, form), edits in counted.words.items():
            if who in members:
                stems[stem] += edits
                forms[stem][form] += edits
        first = _first(stems)
        shown = {stem: min(forms[stem], key=lambda f: (-forms[stem][f], f)) for stem, _ in first}
        yield Question(
            f"/v1/words/top?{query}",
            lambda body: {
                f"{row['rank']}. {row['stem']} as {row['word']}": row["edits"]
                for row in body["words"]
            },
            {f"{rank}. {stem} as {shown[stem]}": n for rank, (stem, n) in enumerate(first, 1)},
        )
        tags: Counter[str] = Counter()
        for (who, tag), edits in counted.hashtags.items():
            tags[tag] += edits if who in members else 0
        yield Question(
            f"/v1/hashtags/top?{query}",
            lambda body: {
                f"{row['rank']}. {row['hashtag']}": row["edits"] for row in body["hashtags"]
            },
            {f"{rank}. {tag}": n for rank, (tag, n) in enumerate(_first(tags), 1)},
        )


def _first(counts: dict[str, int]) -> list[tuple[str, int]]:
    """The first hundred, most edits first, then by name."""
    there = [(key, count) for key, count in counts.items() if count]
    return sorted(there, key=lambda row: (-row[1], row[0]))[:TOP]


def _shown(column: str, key: str) -> str | None:
    """An editor without an account has no name in a top list."""
    anonymous = column == "user_text" and classes.editor_class(key, bot=False) == classes.ANONYMOUS
    return None if anonymous else key


# --- reading answers -----------------------------------------------------------------------------


def _series(name: str) -> Callable[[Any], Cells]:
    return lambda body: {row["timestamp"]: row[name] for row in body["items"][0]["results"]}


def _top(name: str) -> Callable[[Any], Cells]:
    return lambda body: {
        f"{row['rank']}. {row[name]}": row["edits"]
        for result in body["items"][0]["results"]
        for row in result["top"]
    }
