"""The parameters of the API, each declared once: how it is read and what is accepted.

Routing, validation, OpenAPI and docs/api.md all come from these declarations.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec

from services.serving import pin
from services.serving.api import dates
from services.shared.domain import change, classes, topics
from services.shared.text import search_terms

ALL_PROJECTS: Final = "all-projects"
ALL_EDITORS: Final = "all-editor-types"
ALL_LEVELS: Final = "all-activity-levels"
NO_TOPIC: Final = "none"
EDITOR_TYPES: Final[dict[str, tuple[str, ...]]] = {
    ALL_EDITORS: classes.EDITOR_CLASSES,
    **{name: (name,) for name in classes.EDITOR_CLASSES},
    "bots": classes.BOTS,
    "humans": classes.HUMANS,
}
PAGE_TYPES: Final[dict[str, tuple[str, ...]]] = {
    "all-page-types": classes.PAGE_CLASSES,
    **{name: (name,) for name in classes.PAGE_CLASSES},
}
LEVELS: Final[dict[str, tuple[int, int | None]]] = {
    ALL_LEVELS: (1, None),
    "1..4-edits": (1, 5),
    "5..24-edits": (5, 25),
    "25..99-edits": (25, 100),
    "100..-edits": (100, None),
}
MOST_ROWS: Final = 10_000
_LONGEST_TOKEN: Final = 4_096
_PROJECT = re.compile(r"[a-z0-9_.-]{1,128}", re.ASCII)
_TOPIC = re.compile(r"([0-9a-f]{1,64})-(\d{1,6})", re.ASCII)
_NAMESPACE = re.compile(r"-?\d{1,6}", re.ASCII)


class Unreadable(Exception):
    """The text is not what the parameter accepts."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """`read` turns the text into a value or raises `Unreadable`. `default` is a text; None: must
    be given if `required`, otherwise absent (the value is None).
    """

    name: str
    read: Callable[[str], Any]
    accepted: str
    description: str
    example: str
    default: str | None = None
    required: bool = False
    path: bool = False


def one_of(values: dict[str, Any]) -> Callable[[str], str]:
    """One of the names."""

    def read(text: str) -> str:
        if text not in values:
            raise Unreadable
        return text

    return read


def project(text: str) -> str:
    """`PT.wikipedia.org`, `www.` prefix and all, as the project's plain name."""
    name = text.lower().removeprefix("www.").removesuffix(".org")
    if not _PROJECT.fullmatch(name):
        raise Unreadable
    return name


def date(text: str) -> Any:
    found = dates.parse(text)
    if found is None:
        raise Unreadable
    return found


def types(text: str) -> tuple[str, ...]:
    """A comma list of types of change."""
    names = tuple(dict.fromkeys(text.split(",")))
    if not set(names) <= set(change.TYPES):
        raise Unreadable
    return names


def whole(low: int, high: int) -> Callable[[str], int]:
    """A whole number from `low` to `high`."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise Unreadable
        if not low <= int(text) <= high:
            raise Unreadable
        return int(text)

    return read


def namespaces(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(_NAMESPACE.fullmatch(part) for part in parts):
        raise Unreadable
    return tuple(map(int, parts))


def words(text: str) -> tuple[str, ...]:
    """What to search for, as the terms that are looked up."""
    terms = tuple(search_terms(text))
    if len(text) > 256 or (text and not terms):
        raise Unreadable
    return terms


def token(text: str) -> pin.Token:
    found = pin.unpacked(text, pin.Token) if len(text) < _LONGEST_TOKEN else None
    if found is None:
        raise Unreadable
    return found


class Cursor(msgspec.Struct, array_like=True, frozen=True):
    """Where a page of changes ended, and what it stood on."""

    at: pin.Token
    after: tuple[pin.Whole, pin.Whole, pin.Whole]


def cursor(text: str) -> Cursor:
    found = pin.unpacked(text, Cursor) if len(text) < _LONGEST_TOKEN else None
    if found is None:
        raise Unreadable
    return found


class TopicId(NamedTuple):
    """The number of a topic and the id of the model that it is of; of none for `NO_TOPIC`."""

    model: str
    number: int

    @property
    def text(self) -> str:
        return NO_TOPIC if self.number == topics.NONE else f"{self.model}-{self.number}"


def topic(text: str) -> TopicId:
    if text == NO_TOPIC:
        return TopicId("", topics.NONE)
    found = _TOPIC.fullmatch(text)
    if found is None:
        raise Unreadable
    return TopicId(found[1], int(found[2]))


def listed(names: dict[str, Any]) -> str:
    return ", ".join(names)


_PROJECT_TEXT: Final = "a project such as pt.wikipedia or pt.wikipedia.org"


def in_path(name: str, read: Callable[[str], Any], accepted: str, example: str) -> Parameter:
    return Parameter(name, read, accepted, "", example, required=True, path=True)


PROJECT: Final = in_path("project", project, f"{_PROJECT_TEXT}, or {ALL_PROJECTS}", "pt.wikipedia")
EDITOR_TYPE: Final = in_path(
    "editor-type", one_of(EDITOR_TYPES), listed(EDITOR_TYPES), "all-editor-types"
)
PAGE_TYPE: Final = in_path("page-type", one_of(PAGE_TYPES), listed(PAGE_TYPES), "all-page-types")
LEVEL: Final = in_path("activity-level", one_of(LEVELS), listed(LEVELS), "all-activity-levels")
GRANULARITY: Final = in_path(
    "granularity", one_of(dates.GRANULARITIES), listed(dates.GRANULARITIES), "daily"
)
CALENDAR: Final = in_path(
    "granularity",
    one_of({"daily": 0, "monthly": 0}),
    "daily, monthly (distinct counts have no others)",
    "daily",
)
START: Final = in_path("start", date, dates.ACCEPTED, "20260101")
END: Final = in_path("end", date, f"{dates.ACCEPTED}; excluded", "20260102")
TOPIC: Final = in_path(
    "topic", topic, f"an id that /v1/topics lists, or {NO_TOPIC}: what is about no topic", "none"
)
YEAR: Final = in_path("year", whole(2001, 2099), "2001 to 2099", "2026")
MONTH: Final = in_path("month", whole(1, 12), "01 to 12", "01")


def day(text: str) -> int:
    """A day of the month, 0 for `all-days`."""
    return 0 if text == "all-days" else whole(1, 31)(text)


DAY: Final = in_path("day", day, "01 to 31, or all-days", "all-days")
TYPE: Final = Parameter(
    "type",
    types,
    "a comma list of " + ", ".join(change.TYPES),
    "Types of change to count.",
    "log",
    default="edit,new",
)
AT: Final = Parameter(
    "at", token, "a token from an earlier answer", "Answer exactly where the token points.", ""
)
ALLOW: Final = Parameter(
    "allow",
    one_of({"partial": 0}),
    "partial",
    "Answer from what there is when a layer is missing.",
    "partial",
)
EVERYWHERE: Final = (AT, ALLOW)


Q_PROJECT: Final = Parameter(
    "project",
    project,
    f"{_PROJECT_TEXT}, or {ALL_PROJECTS}",
    "Project to count.",
    "pt.wikipedia",
    ALL_PROJECTS,
)
Q_START: Final = Parameter(
    "start",
    date,
    dates.ACCEPTED,
    "First instant; by default the start of the day before the newest with changes.",
    "20260101",
)
Q_END: Final = Parameter(
    "end",
    date,
    f"{dates.ACCEPTED}; excluded",
    "First instant after; by default the end of the newest day with changes.",
    "20260102",
)
Q_CHANGES_START: Final = Parameter(
    "start", date, dates.ACCEPTED, "First instant of the change's own time.", "20260101"
)
Q_CHANGES_END: Final = Parameter(
    "end",
    date,
    f"{dates.ACCEPTED}; excluded",
    "First instant after, of the change's own time.",
    "20260102",
)
Q_EDITOR: Final = Parameter(
    "editor_type",
    one_of(EDITOR_TYPES),
    listed(EDITOR_TYPES),
    "Whose edits to count.",
    "bots",
    "all-editor-types",
)
BY: Final[dict[str, str]] = {
    "class": "editor_class",
    "bots": "editor_class",
    "flag": "bot",
    "type": "type",
}
Q_BY: Final = Parameter("by", one_of(BY), listed(BY), "What to group by.", "class", "class")
Q_GRANULARITY: Final = Parameter(
    "granularity",
    one_of({"auto": 0, **dates.GRANULARITIES}),
    "auto, " + listed(dates.GRANULARITIES),
    "Step of the course.",
    "hourly",
    "auto",
)
Q_LIMIT: Final = Parameter(
    "limit",
    whole(1, MOST_ROWS),
    f"1 to {MOST_ROWS}, and no more than the setting page_limit",
    "Most rows of the answer.",
    "20",
    "100",
)
Q_TYPES: Final = Parameter(
    "type",
    types,
    "a comma list of " + ", ".join(change.TYPES),
    "Types of change; by default all.",
    "edit,new",
)
Q_SHARE_TYPES: Final = Parameter(
    "type",
    types,
    "a comma list of " + ", ".join(change.TYPES),
    "Types of change to count; by default edit,new, and all where they are what is grouped by.",
    "log",
)
Q_WORDS: Final = Parameter(
    "q",
    words,
    "at most 256 characters, with a letter or digit among them",
    "Words that must all occur in title, comment or user.",
    "rio",
)
Q_NAMESPACES: Final = Parameter(
    "namespace", namespaces, "a comma list of numbers", "Namespaces of the page.", "0,14"
)
Q_CURSOR: Final = Parameter(
    "cursor",
    cursor,
    "`next` of an earlier answer, by itself or with the same filters",
    "The next page, of what the first page stands on.",
    "",
)
