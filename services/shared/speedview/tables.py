"""The tables of the embedded speed view, and the way of a document into them and back.

A position is one integer (see `places`). So documents are clustered by partition and offset, and a
span of positions is one range of rows per partition.

`ids` remembers where each event was first seen and outlives the document. Its index begins with the
event day, so that inserts stay local and old days grow cold. `documents` holds what is asked for,
narrow columns first; `words` and `hashtags` what a view repeats a document by. `facts` is a document
as the views' columns name it. `search` is a full-text index of rowids alone, over terms that are
already folded: its tokenizer takes everything but blanks as a letter, so it finds exactly what it
was given.

A write goes through `incoming`, a table in memory: one statement carries many rows into it and
a handful of statements take them from there. Every statement lets go of the interpreter lock and
must win it back from busy threads, which costs more than the work on a single row.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from services.shared.domain.change import Change
from services.shared.domain.classes import is_bot_name
from services.shared.domain.identity import digest
from services.shared.domain.views import Document, Word
from services.shared.speedview.places import place, position
from services.shared.speedview.port import Indexed

_COLUMNS: Final = (
    "place", "appended_at", "day", "timestamp", "project", "wiki", "type", "editor_class", "bot",
    "page_class", "namespace", "net_bytes", "minor", "revision", "title", "user", "id", "comment",
)  # fmt: skip
_STORED: Final = ", ".join(("bot_name", *_COLUMNS, "terms"))
_INCOMING: Final = f"{_STORED}, words, hashtags, digest"
INCOMING_WIDTH: Final = len(_INCOMING.split(","))

_STATE: Final = """
CREATE TABLE IF NOT EXISTS state (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    log TEXT NOT NULL,
    positions TEXT NOT NULL,
    times TEXT NOT NULL,
    floor TEXT NOT NULL,
    rebuilding_until TEXT
)
"""

_LETTERS: Final = "!\"\"#$%&''()*+,-./:;<=>?@[\\]^_`{|}~"
"""ASCII punctuation as it is written inside the tokenizer's two kinds of quotes."""

CREATE: Final = (
    """
    CREATE TABLE IF NOT EXISTS ids (
        place INTEGER PRIMARY KEY, day INTEGER NOT NULL, digest BLOB NOT NULL,
        appended_at INTEGER NOT NULL
    )
    """,
    "CREATE UNIQUE INDEX IF NOT EXISTS ids_by_digest ON ids (day, digest)",
    f"""
    CREATE TABLE IF NOT EXISTS documents (
        {_STORED.replace("place", "place INTEGER PRIMARY KEY", 1)}
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS words (
        place INTEGER, nth INTEGER, stem TEXT, form TEXT, PRIMARY KEY (place, nth)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE IF NOT EXISTS hashtags (
        place INTEGER, nth INTEGER, hashtag TEXT, PRIMARY KEY (place, nth)
    ) WITHOUT ROWID
    """,
    f"""
    CREATE VIRTUAL TABLE IF NOT EXISTS search USING fts5 (
        terms, content='documents', content_rowid='place', detail=none, columnsize=0,
        tokenize="ascii tokenchars '{_LETTERS}'"
    )
    """,
    """
    CREATE VIEW IF NOT EXISTS facts AS
    SELECT place, day, timestamp / 3600 AS hour, timestamp / 60 AS minute, project, editor_class,
        bot, bot_name, page_class, type, title, user, 1 AS edits, net_bytes,
        abs(net_bytes) AS abs_bytes, minor, type = 'new' AS new_pages
    FROM documents
    """,
)
DROP: Final = (
    "DROP VIEW IF EXISTS facts",
    *(f"DROP TABLE IF EXISTS {t}" for t in ("search", "hashtags", "words", "documents", "ids")),
)

SCHEMA: Final = ";\n".join((_STATE, *CREATE))

STAGE: Final = f"CREATE TEMP TABLE IF NOT EXISTS incoming ({_INCOMING})"
TAKE: Final = (
    "INSERT INTO ids SELECT place, day, digest, appended_at FROM incoming",
    f"INSERT INTO documents SELECT {_STORED} FROM incoming",
    """
    INSERT INTO words
    SELECT place, key, json_extract(value, '$[0]'), json_extract(value, '$[1]')
    FROM incoming, json_each(incoming.words)
    """,
    "INSERT INTO hashtags SELECT place, key, value FROM incoming, json_each(incoming.hashtags)",
    "INSERT INTO search (rowid, terms) SELECT place, terms FROM incoming",
)
SEEN: Final = (
    "SELECT incoming.place, ids.place FROM incoming CROSS JOIN ids"
    " ON ids.day = incoming.day AND ids.digest = incoming.digest"
)
LET_GO: Final = (
    # An index over another table's content forgets a row only when it is told what was in it.
    "INSERT INTO search (search, rowid, terms) SELECT 'delete', place, terms FROM documents WHERE {}",
    "DELETE FROM words WHERE {}",
    "DELETE FROM hashtags WHERE {}",
    "DELETE FROM documents WHERE {}",
)
FORGET: Final = "DELETE FROM ids WHERE {}"
"""Remove documents, and ids; the condition is on `place`."""

FOUND: Final = (
    ", ".join(f"documents.{column}" for column in _COLUMNS)
    + """,
    (SELECT json_group_array(json_array(stem, form)) FROM words
     WHERE words.place = documents.place),
    (SELECT json_group_array(hashtag) FROM hashtags WHERE hashtags.place = documents.place)"""
)
"""The columns that `indexed` reads."""


def incoming(documents: Sequence[Indexed]) -> list[tuple[Any, ...]]:
    """Rows of `incoming`: of each event the copy at the lowest position."""
    first: dict[str, Indexed] = {}
    for found in documents:
        kept = first.setdefault(found.document.change.id, found)
        if kept is not found and (found.partition, found.offset) < (kept.partition, kept.offset):
            first[found.document.change.id] = found
    return [_row(found) for found in first.values()]


def _row(found: Indexed) -> tuple[Any, ...]:
    change, document = found.document.change, found.document
    return (
        int(is_bot_name(change.user)), place(found.partition, found.offset), found.appended_at, change.day, change.timestamp,
        change.project, change.wiki, change.type, change.editor_class, int(change.bot),
        change.page_class, change.namespace, change.net_bytes, int(change.minor), change.revision,
        change.title, change.user, change.id, change.comment,
        " ".join(found.terms), _json(document.words), _json(document.hashtags), digest(change.id),
    )  # fmt: skip


def _json(values: Sequence[object]) -> str:
    return msgspec.json.encode(values).decode() if values else "[]"


def indexed(row: tuple[Any, ...]) -> Indexed:
    """A row of `FOUND`. Terms are for finding alone and don't come back."""
    (at, appended_at, day, timestamp, project, wiki, kind, editor_class, bot, page_class, namespace,
     net_bytes, minor, revision, title, user, event, comment, words, hashtags) = row  # fmt: skip
    change = Change(
        event, day, timestamp, kind, project, wiki, namespace, title, user, bool(bot), bool(minor),
        net_bytes, comment, revision, editor_class, page_class,
    )  # fmt: skip
    document = Document(
        change, tuple(Word(*pair) for pair in json.loads(words)), tuple(json.loads(hashtags))
    )
    return Indexed(*position(at), appended_at, document)
