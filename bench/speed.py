"""Speed layer: changes -> prepared -> written to the embedded view, and questions to it.

The bare loop beside the writes only puts id, position and payload into a table of the same database.
"""

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from bench import events
from bench.figures import Figure
from services.shared import decode, documents
from services.shared.domain.change import Change
from services.shared.domain.identity import partition
from services.shared.domain.positions import Vector
from services.shared.domain.query import OneOf, Query
from services.shared.domain.views import BY_NAME
from services.shared.log.port import Batch, Record
from services.shared.speedview.embedded import SqliteSpeedView
from services.shared.speedview.port import Search
from services.shared.text import search_terms
from services.speed.prepare import prepare

PARTITIONS = 4
BATCH = 4_096
EVENTS = 48_000
BEHIND = 20_000
"""Events between the horizon and the visible position when the questions are asked."""


def batches(lines: list[bytes]) -> list[Batch]:
    following = [0] * PARTITIONS
    made: list[Batch] = []
    for first in range(0, len(lines), BATCH):
        records, since = [], tuple(following)
        for n, raw in enumerate(lines[first : first + BATCH], first):
            key = str(n)
            of = partition(key, PARTITIONS)
            records.append(Record(of, following[of], key, n, raw))
            following[of] += 1
        times = (first + BATCH,) * PARTITIONS
        made.append(Batch(tuple(records), since, tuple(following), times))
    return made


async def write(view: SqliteSpeedView, log: list[Batch]) -> None:
    """As the speed layer does it: the next batch is prepared while one is being written."""
    writing: asyncio.Future[None] | None = None
    for batch in log:
        prepared = await asyncio.to_thread(prepare, batch)
        if writing:
            await writing
        writing = asyncio.ensure_future(
            view.write(prepared.documents, prepared.since, prepared.until, prepared.times)
        )
    if writing:
        await writing


def stages(lines: list[bytes]) -> dict[str, float]:
    """Microseconds of CPU an event for each stage of preparing."""
    marks = [time.thread_time()]
    changes = [c for line in lines if isinstance(c := decode.parse(line), Change)]
    marks.append(time.thread_time())
    for change in changes:
        documents.document(change)
    marks.append(time.thread_time())
    for change in changes:
        documents.search_terms(change)
    marks.append(time.thread_time())
    names = ("parse", "words and hashtags", "search terms")
    return {
        name: (after - before) / len(lines) * 1e6
        for name, before, after in zip(names, marks, marks[1:], strict=False)
    }


async def ask(view: SqliteSpeedView, since: Vector, until: Vector) -> dict[str, float]:
    """Milliseconds a question, best of five."""
    queries = {
        "edits by project, class": Query(BY_NAME["edits"], ("project", "editor_class", "bot")),
        "edits of one project by hour": Query(
            BY_NAME["edits"], ("hour",), (OneOf("project", ("en.wikipedia",)),)
        ),
        "pages of one project": Query(
            BY_NAME["pages"], ("title",), (OneOf("project", ("en.wikipedia",)),)
        ),
        "words by class": Query(BY_NAME["words"], ("editor_class", "stem")),
        "every page": Query(BY_NAME["pages"], ("project", "title")),
        "every word": Query(BY_NAME["words"], ("stem", "form")),
    }
    found = {}
    for name, query in queries.items():
        found[name] = await best(partial(view.sums, query, since, until))
    for text in ("", "the", "football club", "nowhere-to-be-found"):
        asked = Search(terms=tuple(search_terms(text)))
        search = partial(view.search, asked, (0,) * PARTITIONS, until, limit=50)
        found[f"search {text!r}"] = await best(search)
    return found


async def best(work: Callable[[], Awaitable[object]]) -> float:
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        await work()
        taken.append(time.perf_counter() - began)
    return min(taken) * 1e3


def bare(path: Path, log: list[Batch]) -> float:
    """Seconds for the same transactions with one plain row an event."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
        "CREATE TABLE documents (id TEXT PRIMARY KEY, partition, offset, raw BLOB) WITHOUT ROWID"
    )
    began = time.perf_counter()
    for batch in log:
        connection.execute("BEGIN IMMEDIATE")
        rows = ((r.key, r.partition, r.offset, r.raw) for r in batch.records)
        connection.executemany("INSERT INTO documents VALUES (?,?,?,?)", rows)
        connection.execute("COMMIT")
    taken = time.perf_counter() - began
    connection.close()
    return taken


def figures() -> list[Figure]:
    return asyncio.run(_figures())


async def _figures() -> list[Figure]:
    lines = events.payloads(EVENTS)
    stages(lines[:2000])
    found = [Figure(f"CPU: {stage}", us, "us/event") for stage, us in stages(lines).items()]
    log = batches(lines)
    with tempfile.TemporaryDirectory() as directory:
        view = await SqliteSpeedView.open(Path(directory) / "speed.db")
        await view.begin("log", (0,) * PARTITIONS, None, text_version=1)
        began, before = time.perf_counter(), time.process_time()
        await write(view, log)
        taken, cpu = time.perf_counter() - began, time.process_time() - before
        plain = await asyncio.to_thread(bare, Path(directory) / "bare.db", log)
        found += [
            Figure("prepared and written", len(lines) / taken, "events/s", "bare rows, no words",
                   plain / taken),
            Figure("CPU: all of it", cpu / len(lines) * 1e6, "us/event"),
            Figure("disk", await view.size() / len(lines), "bytes/event"),
        ]  # fmt: skip
        since = log[-1 - BEHIND // BATCH].until
        asked = await ask(view, since, log[-1].until)
        found += [Figure(f"ask: {name}, {BEHIND:,} events", ms, "ms") for name, ms in asked.items()]
        await view.close()
    return found
