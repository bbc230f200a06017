"""The tables of the embedded batch view, made from the declared views.

One table per view with the rows of every segment, clustered by (segment, day, project, other keys).
Questions name a few days and mostly one project, so a question reads a few stretches; a new
segment's rows lie beside each other, and so do an event day's, which a rebuild carries over whole.
`segment_days` tells which days a segment has rows of: a range of days becomes a list, which lets
the clustering serve the project behind it as well.

Rows of a key that is there are added to it: that is the whole of compaction.
"""

from typing import Final

from services.shared.batchview.layout import clustered
from services.shared.domain.views import REGISTER_KEYS, TEXT_COLUMNS, VIEWS, View

REGISTERS: Final = "registers"
STAGING: Final = "staging"
STAGED: Final = "staged"
REMOVING: Final = "removing"

_FIXED: Final = """
CREATE TABLE IF NOT EXISTS segments (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    rows INTEGER NOT NULL DEFAULT 0,
    staged_at INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS segment_days (
    segment INTEGER NOT NULL, day INTEGER NOT NULL, PRIMARY KEY (segment, day)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS registers (
    segment INTEGER NOT NULL, day INTEGER NOT NULL, of TEXT NOT NULL, project TEXT NOT NULL,
    editor_class TEXT NOT NULL, page_class TEXT NOT NULL, registers BLOB NOT NULL,
    PRIMARY KEY (segment, day, of, project, editor_class, page_class)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS generations (number INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY, started_at INTEGER NOT NULL, body BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS runs_by_time ON runs (started_at, id);
"""


def schema() -> str:
    """The statements that make sure of every table."""
    return _FIXED + "\n".join(map(_table, VIEWS))


def _table(view: View) -> str:
    keys = "".join(
        f"{key} {'TEXT' if key in TEXT_COLUMNS else 'INTEGER'} NOT NULL, " for key in view.keys
    )
    measures = "".join(f"{measure} INTEGER NOT NULL, " for measure in view.measures)
    return (
        f"CREATE TABLE IF NOT EXISTS {view.name} (segment INTEGER NOT NULL, {keys}{measures}"
        f"PRIMARY KEY (segment, {', '.join(clustered(view))})) WITHOUT ROWID;"
    )


def insert(view: View) -> str:
    """Adds one row: segment, keys, measures in the order of the declaration."""
    columns = ("segment", *view.keys, *view.measures)
    return (
        f"INSERT INTO {view.name} ({', '.join(columns)})"
        f" VALUES ({', '.join('?' * len(columns))}) {_adding(view)}"
    )


def insert_registers() -> str:
    columns = ("segment", *REGISTER_KEYS, "registers")
    return (
        f"INSERT INTO registers ({', '.join(columns)})"
        f" VALUES ({', '.join('?' * len(columns))}) {_JOINING}"
    )


def copy(view: View) -> str:
    """Adds the rows of a segment and day to another segment: into, from, day, least minute.

    In the order of storage, so that writing walks through the table once.
    """
    answered = "minute >= ?" if "minute" in view.keys else "0 <= ?"
    columns = ", ".join((*clustered(view), *view.measures))
    return (
        f"INSERT INTO {view.name} (segment, {columns}) SELECT ?, {columns} FROM {view.name}"
        f" WHERE segment = ? AND day = ? AND {answered}"
        f" ORDER BY {', '.join(clustered(view))} {_adding(view)}"
    )


def copy_registers() -> str:
    columns = f"{', '.join(REGISTER_KEYS)}, registers"
    return (
        f"INSERT INTO registers (segment, {columns}) SELECT ?, {columns} FROM registers"
        f" WHERE segment = ? AND day = ? AND 0 <= ? {_JOINING}"
    )


_JOINING: Final = (
    "ON CONFLICT DO UPDATE SET registers = hll_add(registers.registers, excluded.registers)"
)


def _adding(view: View) -> str:
    sums = (f"{measure} = {measure} + excluded.{measure}" for measure in view.measures)
    return f"ON CONFLICT DO UPDATE SET {', '.join(sums)}"


def days_of(view: View) -> str:
    """The days that a segment (?1) has rows of, by hopping from one to the next."""
    return (
        f"WITH RECURSIVE hop(day) AS (SELECT MIN(day) FROM {view.name} WHERE segment = ?1"
        f" UNION ALL SELECT (SELECT MIN(day) FROM {view.name} WHERE segment = ?1 AND day > hop.day)"
        " FROM hop WHERE hop.day IS NOT NULL) SELECT day FROM hop WHERE day IS NOT NULL"
    )
