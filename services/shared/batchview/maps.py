"""Topic models and page maps in the tables: functions over one connection.

A page map is a number, the number of the map that it extends, and its own pages. All maps of a model
share one table, a row for each page: what a map holds are the rows of its *chain*, itself and whatever
it extends. So a run writes the pages that are new, however many there are already, and a reader
of an older map never sees what came later. Chains are long, but their numbers are mostly neighbours, so
a chain is written as a few ranges.

A map is staged in one transaction, so there is nothing half-made to clear away.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from services.shared.batchview.port import PageOfDay
from services.shared.batchview.staging import Statement
from services.shared.batchview.tables import REMOVING, STAGED
from services.shared.domain.generation import Generation
from services.shared.domain.topics import NONE, Page, PageMap, TopicModel
from services.shared.domain.views import PAGES, TOPICS, View
from services.shared.runtime.database import Connection

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS topic_models (
    id TEXT NOT NULL UNIQUE, staged_at INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS page_maps (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, state TEXT NOT NULL, model TEXT NOT NULL,
    after INTEGER NOT NULL, pages INTEGER NOT NULL, staged_at INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS page_topics (
    project TEXT NOT NULL, title TEXT NOT NULL, map INTEGER NOT NULL, topic INTEGER NOT NULL,
    PRIMARY KEY (project, title, map)
) WITHOUT ROWID;
"""
_INCOMING: Final = """
CREATE TEMP TABLE IF NOT EXISTS incoming_pages (
    project TEXT NOT NULL, title TEXT NOT NULL, topic INTEGER NOT NULL, PRIMARY KEY (project, title)
) WITHOUT ROWID
"""
_CHAIN: Final = """
WITH RECURSIVE chain (number, after) AS (
    SELECT number, after FROM page_maps WHERE id = ? AND state = ?
    UNION ALL
    SELECT page_maps.number, page_maps.after FROM chain JOIN page_maps ON page_maps.number = chain.after
) SELECT number FROM chain
"""
_PROJECTS: Final = """
WITH RECURSIVE hop (project) AS (
    SELECT MIN(project) FROM page_topics
    UNION ALL
    SELECT (SELECT MIN(project) FROM page_topics WHERE project > hop.project) FROM hop
    WHERE hop.project IS NOT NULL
) SELECT project FROM hop WHERE project IS NOT NULL
"""


# Coming


def stage_model(connection: Connection, model: TopicModel, now: int) -> None:
    """An id is that of the content: what is there is the same."""
    connection.execute(
        "INSERT INTO topic_models VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET staged_at = ?",
        (model.id, now, msgspec.msgpack.encode(model), now),
    )


def stage_map(
    connection: Connection,
    page_map: PageMap,
    pages: Mapping[Page, int],
    kept: Iterable[Generation],
    now: int,
) -> int:
    """Store a map; how many pages it has with those of the maps that it extends."""
    if page_map.id in {generation.topic_map for generation in kept}:
        raise ValueError(f"page map {page_map.id} is part of a generation and cannot change")
    connection.execute(
        "UPDATE page_maps SET state = ?, id = id || ':' || number WHERE id = ?",
        (REMOVING, page_map.id),
    )
    extended = _chain_of(connection, page_map)
    (before,) = connection.execute(
        "SELECT COALESCE(MAX(pages), 0) FROM page_maps WHERE number = ?",
        (max(extended, default=0),),
    ).fetchone()
    number = connection.execute(
        "INSERT INTO page_maps (id, state, model, after, pages, staged_at) VALUES (?, ?, ?, ?, 0, ?)",
        (page_map.id, STAGED, page_map.model, max(extended, default=0), now),
    ).lastrowid
    added = _add(connection, pages, number or 0, extended)
    connection.execute("UPDATE page_maps SET pages = ? WHERE number = ?", (before + added, number))
    return int(before) + added


def _chain_of(connection: Connection, page_map: PageMap) -> list[int]:
    """The numbers of what a new map extends."""
    if not page_map.after:
        return []
    numbers = chain(connection, page_map.after)
    found = connection.execute("SELECT model FROM page_maps WHERE id = ?", (page_map.after,))
    if not numbers or found.fetchone() != (page_map.model,):
        raise ValueError(f"page map not staged, or of another model: {page_map.after}")
    return numbers


def _add(
    connection: Connection, pages: Mapping[Page, int], number: int, extended: Sequence[int]
) -> int:
    connection.execute(_INCOMING)
    connection.execute("DELETE FROM incoming_pages")
    connection.executemany(
        "INSERT INTO incoming_pages VALUES (?, ?, ?)",
        ((project, title, topic) for (project, title), topic in pages.items()),
    )
    return connection.execute(
        f"INSERT INTO page_topics SELECT project, title, ?, topic FROM incoming_pages AS new"
        " WHERE NOT EXISTS (SELECT 1 FROM page_topics AS old WHERE old.project = new.project"
        f" AND old.title = new.title AND {_among('old.map', extended)})",
        (number,),
    ).rowcount


def check(connection: Connection, generation: Generation) -> None:
    """Raises ValueError unless the model and the map that the generation names are staged."""
    if not generation.topic_model:
        return
    found = connection.execute(
        "SELECT 1 FROM page_maps JOIN topic_models ON topic_models.id = page_maps.model"
        " WHERE page_maps.id = ? AND page_maps.model = ? AND state = ?",
        (generation.topic_map, generation.topic_model, STAGED),
    )
    if found.fetchone() is None:
        raise ValueError(
            f"topics not staged: model {generation.topic_model}, map {generation.topic_map}"
        )


# Asking


def pages(
    connection: Connection, segment: int, limit: int, after: PageOfDay | None
) -> list[PageOfDay]:
    """In the order in which the rows are stored, so that a page of them is one stretch."""
    last = after or PageOfDay(0, "", "", "")
    rows = connection.execute(
        "SELECT day, project, title, MIN(page_class) FROM pages"
        " WHERE segment = ? AND (day, project, title) > (?, ?, ?)"
        " GROUP BY day, project, title ORDER BY day, project, title LIMIT ?",
        (segment, last.day, last.project, last.title, limit),
    )
    return [PageOfDay(*row) for row in rows]


def model(connection: Connection, model_id: str) -> TopicModel | None:
    row = connection.execute("SELECT body FROM topic_models WHERE id = ?", (model_id,)).fetchone()
    return None if row is None else msgspec.msgpack.decode(row[0], type=TopicModel)


def chain(connection: Connection, map_id: str) -> list[int]:
    """The numbers of a map and of all that it extends."""
    return [number for (number,) in connection.execute(_CHAIN, (map_id, STAGED))] if map_id else []


def source(connection: Connection, view: View, map_id: str) -> str:
    """What follows FROM in a question to the view."""
    if view is not TOPICS:
        return view.name
    columns = ", ".join(("segment", *PAGES.keys, *PAGES.measures))
    held = _among("page_topics.map", chain(connection, map_id))
    topic = (
        "SELECT topic FROM page_topics WHERE page_topics.project = pages.project"
        f" AND page_topics.title = pages.title AND {held}"
    )
    return f"(SELECT {columns}, COALESCE(({topic}), {NONE}) AS topic FROM pages)"


def found(connection: Connection, map_id: str, pages: Collection[Page]) -> dict[Page, int]:
    """The topics of those of the pages that the map has."""
    held = _among("map", chain(connection, map_id))
    titles: dict[str, list[str]] = defaultdict(list)
    for project, title in pages:
        titles[project].append(title)
    return {
        Page(project, title): topic
        for project, wanted in titles.items()
        for title, topic in connection.execute(
            "SELECT title, topic FROM page_topics WHERE project = ?"
            f" AND title IN (SELECT value FROM json_each(?)) AND {held}",
            (project, json.dumps(wanted)),
        )
    }


def _among(column: str, numbers: Iterable[int]) -> str:
    """The condition that a column has one of the numbers."""
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    parts = [f"{column} BETWEEN {int(low)} AND {int(high)}" for low, high in ranges]
    return f"({' OR '.join(parts)})" if parts else "FALSE"


# Going


def unlist(connection: Connection, kept: Sequence[Generation], before: int) -> Iterable[Statement]:
    """Put away the models and maps that no kept generation needs; what removes the pages of all that
    wait for it.
    """
    needed = {n for generation in kept for n in chain(connection, generation.topic_map)}
    connection.execute(
        "UPDATE page_maps SET state = ?, id = id || ':' || number WHERE state = ? AND staged_at < ?"
        " AND number NOT IN (SELECT value FROM json_each(?))",
        (REMOVING, STAGED, before, json.dumps(sorted(needed))),
    )
    connection.execute(
        "DELETE FROM topic_models WHERE staged_at < ?"
        " AND id NOT IN (SELECT model FROM page_maps WHERE state = ?)",
        (before, STAGED),
    )
    rows = connection.execute("SELECT number FROM page_maps WHERE state = ?", (REMOVING,))
    numbers = [number for (number,) in rows]
    projects = [name for (name,) in connection.execute(_PROJECTS)] if numbers else []
    return list(_removals(numbers, projects))


def _removals(numbers: Sequence[int], projects: Sequence[str]) -> Iterator[Statement]:
    """Project by project, which bounds the transactions; the maps themselves go at last."""
    for project in projects:
        yield f"DELETE FROM page_topics WHERE project = ? AND {_among('map', numbers)}", (project,)
    for number in numbers:
        yield "DELETE FROM page_maps WHERE number = ?", (number,)
