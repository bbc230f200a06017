"""What the audit asks the API, and what each answer must say according to the recount.

A question is a path, a function that reads cells (name -> value) out of the answer, and the cells
that the recount expects. Cells that only one side has are differences too.
"""

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from services.audit.recount import Day
from services.shared.domain import classes

Cells = dict[str, Any]
Days = dict[tuple[str, int], Day]

ALL: Final = "all-projects"
TOP: Final = 100
LONGEST_RUN: Final = 31
"""Days of one question about hours."""

_EDITORS: Final = {
    **{name: (name,) for name in classes.EDITOR_CLASSES},
    "bots": classes.BOTS,
    "humans": classes.HUMANS,
    "all-editor-types": classes.EDITOR_CLASSES,
}
_EDIT_TYPES: Final = frozenset({"edit", "new"})


@dataclass(frozen=True, slots=True)
class Question:
    path: str
    read: Callable[[Any], Cells]
    expected: Cells


def questions(days: Days, *, whole: bool) -> Iterator[Question]:
    """Every question about the event days that were recounted.

    `whole` tells that these are all days there are, so that totals can be asked for.
    """
    by_project: dict[str, dict[int, Day]] = defaultdict(dict)
    for (project, day), counted in days.items():
        by_project[project][day] = counted
    for project, own in sorted(by_project.items()):
        yield from _edits(project, [own])
        yield from _bytes(project, own)
        yield from _agreement(project, own)
        for day, counted in sorted(own.items()):
            yield from _distinct(project, day, counted)
            yield from _tops(project, day, counted)
            yield from _texts(project, day, counted)
    yield from _edits(ALL, list(by_project.values()))
    if whole:
        yield _projects(by_project)


# --- edits by hour -------------------------------------------------------------------------------


def _edits(project: str, wholes: list[dict[int, Day]]) -> Iterator[Question]:
    types = {kind for own in wholes for day in own.values() for _, _, kind, _ in day.changes}
    for run in _runs({day for own in wholes for day in own}):
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
                f"/metrics/edits/aggregate/{project}/all-editor-types/all-page-types/{span}"
                f"?{urlencode({'type': kind})}",
                _series("edits"),
                _hours(run, counted, lambda _e, _p, t, kind=kind: t == kind),
            )


def _hours(span: tuple[int, int], counted: list[Day], wanted: Callable[..., bool]) -> Cells:
    sums: Counter[int] = Counter()
    for day in counted:
        for (editor, page, kind, hour), edits in day.changes.items():
            if wanted(editor, page, kind):
                sums[hour] += edits
    start, stop = map(_date, span)
    hours = int((stop - start).total_seconds()) // 3600
    times = [start + timedelta(hours=n) for n in range(hours)]
    return {_stamp(time): sums[int(time.timestamp()) // 3600] for time in times}


# --- bytes, agreement, projects ------------------------------------------------------------------


def _bytes(project: str, own: dict[int, Day]) -> Iterator[Question]:
    for first, end in _runs(own):
        for kind, name in (("net", "net_bytes_diff"), ("absolute", "abs_bytes_diff")):
            for editor, members in _EDITORS.items():
                expected = {
                    _stamp(_date(day)): _bytes_of(own[day], kind, members) if day in own else 0
                    for day in _days(first, end)
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


def _agreement(project: str, own: dict[int, Day]) -> Iterator[Question]:
    for first, end in _runs(own):
        flags: Counter[tuple[bool, bool]] = Counter()
        for day in _days(first, end):
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


def _projects(by_project: dict[str, dict[int, Day]]) -> Question:
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
    query = {"start": min(every), "end": _after(max(every))} if every else {}
    return Question(
        f"/v1/projects?{urlencode(query)}",
        lambda body: {row["project"]: row["edits"] for row in body["projects"] if row["edits"]},
        {project: edits for project, edits in totals.items() if edits},
    )


# --- distinct, tops, texts -----------------------------------------------------------------------


def _distinct(project: str, day: int, counted: Day) -> Iterator[Question]:
    for path, name, keys in (
        ("edited-pages", "edited_pages", counted.pages),
        ("editors", "editors", counted.editors),
    ):
        for editor, members in _EDITORS.items():
            there = sum(1 for edits in keys.values() if any(edits[who] for who in members))
            yield Question(
                f"/metrics/{path}/aggregate/{project}/{editor}/all-page-types"
                f"/all-activity-levels/daily/{day}/{_after(day)}",
                _series(name),
                {_stamp(_date(day)): there},
            )


def _tops(project: str, day: int, counted: Day) -> Iterator[Question]:
    date = f"{_date(day):%Y/%m/%d}"
    for path, name, keys in (
        ("edited-pages", "page_title", counted.pages),
        ("editors", "user_text", counted.editors),
    ):
        for editor, members in _EDITORS.items():
            edits = {key: sum(by[who] for who in members) for key, by in keys.items()}
            yield Question(
                f"/metrics/{path}/top-by-edits/{project}/{editor}/all-page-types/{date}",
                _top(name),
                {
                    f"{rank}. {_shown(name, key)}": count
                    for rank, (key, count) in enumerate(_first(edits), 1)
                },
            )


def _texts(project: str, day: int, counted: Day) -> Iterator[Question]:
    span = {"start": day, "end": _after(day), "limit": TOP}
    for editor, members in _EDITORS.items():
        query = urlencode({"project": project, "editor_type": editor} | span)
        stems: Counter[str] = Counter()
        for (who, stem, _), edits in counted.words.items():
            stems[stem] += edits if who in members else 0
        yield Question(
            f"/v1/words/top?{query}",
            lambda body: {f"{row['rank']}. {row['stem']}": row["edits"] for row in body["words"]},
            {f"{rank}. {stem}": n for rank, (stem, n) in enumerate(_first(stems), 1)},
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


# --- reading answers, dates ----------------------------------------------------------------------


def _series(name: str) -> Callable[[Any], Cells]:
    return lambda body: {row["timestamp"]: row[name] for row in body["items"][0]["results"]}


def _top(name: str) -> Callable[[Any], Cells]:
    return lambda body: {
        f"{row['rank']}. {row[name]}": row["edits"]
        for result in body["items"][0]["results"]
        for row in result["top"]
    }


def _date(day: int) -> datetime:
    return datetime(day // 10_000, day // 100 % 100, day % 100, tzinfo=UTC)


def _day(date: datetime) -> int:
    return int(f"{date:%Y%m%d}")


def _after(day: int) -> int:
    return _day(_date(day) + timedelta(days=1))


def _days(first: int, end: int) -> Iterator[int]:
    while first < end:
        yield first
        first = _after(first)


def _runs(days: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Runs of consecutive days as (first, day after the last), none longer than a month."""
    run: list[int] = []
    for day in sorted(days):
        if run and (day != _after(run[-1]) or len(run) == LONGEST_RUN):
            yield run[0], _after(run[-1])
            run = []
        run.append(day)
    if run:
        yield run[0], _after(run[-1])


def _stamp(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S}.000Z"
