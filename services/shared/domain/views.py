"""The views: which questions are kept as sums, and the one `add` that everything rests on.

A view is declared once: which documents it takes, its key columns and its measures. The batch
layer makes segments of it, compaction adds segments up, the speed layer evaluates it over the
documents behind the horizon, and serving adds the two. Adapters evaluate the declaration with what
they have (SQL, Arrow, aggregations) and are held to `add` and `rows_of` by their contract tests.

`add` is associative and commutative, and the empty rows are its neutral element. Measures are
integers that add up; the registers of distinct counts (HyperLogLog) join by maximum instead.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from services.shared.domain import hll
from services.shared.domain.change import NEW, Change
from services.shared.domain.classes import is_bot_name

Key = tuple[int | str, ...]
Measures = tuple[int, ...]
Rows = dict[Key, Measures]
"""The rows of one view: key columns -> measures, in the order of the declaration."""


class Word(NamedTuple):
    """A word of a title: its stem, and the form in which it was shown."""

    stem: str
    form: str


class Document(NamedTuple):
    """A change with what text analysis found in it: all that a view can ask for."""

    change: Change
    words: tuple[Word, ...] = ()
    hashtags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """A declared view.

    `keys` and `measures` name columns of a document (see `columns`). `edits_only` takes only
    changes of type edit and new; `each` repeats a document per word or per hashtag; rows whose
    `needs` column is empty are left out.
    """

    name: str
    keys: tuple[str, ...]
    measures: tuple[str, ...]
    edits_only: bool = True
    each: str = ""
    needs: str = ""


_COUNTS: Final = ("edits", "net_bytes", "abs_bytes", "minor", "new_pages")
_BYTES: Final = ("edits", "net_bytes", "abs_bytes")
_WHO: Final = ("editor_class", "bot", "bot_name", "page_class", "type")

EDITS: Final = View("edits", ("project", "day", "hour", *_WHO), _COUNTS, edits_only=False)
MINUTES: Final = View("minutes", ("project", "day", "minute", *_WHO), _COUNTS, edits_only=False)
PAGES: Final = View("pages", ("project", "day", "title", "editor_class", "page_class"), _BYTES)
EDITORS: Final = View(
    "editors", ("project", "day", "user", "editor_class", "page_class"), _BYTES, needs="user"
)
WORDS: Final = View(
    "words", ("project", "day", "editor_class", "stem", "form"), ("edits",), each="words"
)
HASHTAGS: Final = View(
    "hashtags", ("project", "day", "editor_class", "hashtag"), ("edits",), each="hashtags"
)
VIEWS: Final = (EDITS, MINUTES, PAGES, EDITORS, WORDS, HASHTAGS)
BY_NAME: Final = {view.name: view for view in VIEWS}

TOPICS: Final = View(
    "topics", ("project", "day", "title", "topic", "editor_class", "page_class"), _BYTES
)
"""`PAGES` with the topic of each page under a generation's model (see `topics`). It can be asked for
like any other view, but nobody stores it: neither `columns` nor `rows_of` know it.
"""

DISTINCT: Final = {"pages": "title", "editors": "user"}
"""Views whose keys are also counted as distinct: view -> the column counted."""
REGISTER_KEYS: Final = ("of", "project", "day", "editor_class", "page_class")
"""Key of a row of registers; `of` is the view whose keys it counts."""

Registers = dict[Key, bytes]

COLUMNS: Final = (
    "project", "day", "hour", "minute", "editor_class", "bot", "bot_name", "page_class", "type",
    "title", "user", "stem", "form", "hashtag",
)  # fmt: skip
TEXT_COLUMNS: Final = frozenset(
    {"project", "editor_class", "page_class", "type", "title", "user", "stem", "form", "hashtag"}
)


def columns(document: Document) -> dict[str, int | str]:
    """The columns of a document; `hour` and `minute` count from 1970."""
    change = document.change
    return {
        "project": change.project,
        "day": change.day,
        "hour": change.timestamp // 3600,
        "minute": change.timestamp // 60,
        "editor_class": change.editor_class,
        "bot": int(change.bot),
        "bot_name": int(is_bot_name(change.user)),
        "page_class": change.page_class,
        "type": change.type,
        "title": change.title,
        "user": change.user,
        "edits": 1,
        "net_bytes": change.net_bytes,
        "abs_bytes": abs(change.net_bytes),
        "minor": int(change.minor),
        "new_pages": int(change.type == NEW),
    }


def rows_of(view: View, documents: Iterable[Document]) -> Rows:
    """What the documents contribute to a view."""
    rows: Rows = {}
    for document in documents:
        for row in _repeats(view, document):
            key = tuple(row[name] for name in view.keys)
            add_row(rows, key, tuple(int(row[name]) for name in view.measures))
    return rows


def _repeats(view: View, document: Document) -> Iterator[dict[str, int | str]]:
    if view.edits_only and not document.change.is_edit:
        return
    row = columns(document)
    if view.needs and not row[view.needs]:
        return
    if view.each == "words":
        yield from (row | {"stem": w.stem, "form": w.form} for w in document.words)
    elif view.each == "hashtags":
        yield from (row | {"hashtag": tag} for tag in document.hashtags)
    else:
        yield row


def add(a: Rows, b: Rows) -> Rows:
    """The sum of two views' rows."""
    total = dict(a)
    for key, measures in b.items():
        add_row(total, key, measures)
    return total


def add_row(rows: Rows, key: Key, measures: Measures) -> None:
    """One row more, in place."""
    old = rows.get(key)
    rows[key] = (
        measures if old is None else tuple(x + y for x, y in zip(old, measures, strict=True))
    )


def registers_of(view: View, rows: Rows) -> Registers:
    """The registers that count a view's distinct keys per project, day, editor and page class."""
    counted = view.keys.index(DISTINCT[view.name])
    members: dict[Key, list[str]] = {}
    for key in rows:
        members.setdefault((view.name, *key[:counted], *key[counted + 1 :]), []).append(
            str(key[counted])
        )
    return {group: hll.registers(names) for group, names in members.items()}


def add_registers(a: Registers, b: Registers) -> Registers:
    """The union of two sets of registers."""
    total = dict(a)
    for key, registers in b.items():
        total[key] = hll.add(total.get(key, b""), registers)
    return total
