"""Speed layer: recorded changes -> prepared -> written to the embedded view, and questions to it.

`python -m bench.bench_speed [FOLDER]`. The rates depend on the machine; what stays are the shares.
"""

import asyncio
import gzip
import os
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

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


def recorded(folder: Path, copies: int) -> list[bytes]:
    """The recorded changes, several times over with other ids."""
    with gzip.open(folder / "events-wikiticker-2015.jsonl.gz") as file:
        lines = [line.rstrip(b"\n") for line in file]
    return [
        line.replace(b'"id":"', b'"id":"%d-' % copy, 1) for copy in range(copies) for line in lines
    ]


def batches(lines: list[bytes]) -> list[Batch]:
    following = [0] * PARTITIONS
    made: list[Batch] = []
    for first in range(0, len(lines), BATCH):
        records = []
        for n, raw in enumerate(lines[first : first + BATCH], first):
            key = str(n)
            of = partition(key, PARTITIONS)
            records.append(Record(of, following[of], key, n, raw))
            following[of] += 1
        times = (first + BATCH,) * PARTITIONS
        made.append(Batch(tuple(records), tuple(following), times))
    return made


async def write(view: SqliteSpeedView, log: list[Batch]) -> None:
    """As the speed layer does it: the next batch is prepared while one is being written."""
    writing: asyncio.Future[None] | None = None
    for batch in log:
        prepared = await asyncio.to_thread(prepare, batch)
        if writing:
            await writing
        writing = asyncio.ensure_future(
            view.write(prepared.documents, prepared.until, prepared.times)
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


async def main(folder: Path, copies: int = 2, behind: int = 20_000) -> dict[str, float]:
    lines = recorded(folder, copies)
    stages(lines[:2000])
    figures = {f"us {name}": value for name, value in stages(lines).items()}
    with tempfile.TemporaryDirectory() as directory:
        view = await SqliteSpeedView.open(Path(directory) / "speed.db")
        await view.begin("log", (0,) * PARTITIONS, None)
        log = batches(lines)
        began, cpu = time.perf_counter(), time.process_time()
        await write(view, log)
        taken, cpu = time.perf_counter() - began, time.process_time() - cpu
        figures["events/s, prepared and written"] = len(lines) / taken
        figures["us CPU an event"] = cpu / len(lines) * 1e6
        figures["bytes a document"] = await view.size() / len(lines)
        since = log[-1 - behind // BATCH].until
        asked = await ask(view, since, log[-1].until)
        figures |= {f"ms {name} ({behind} behind the horizon)": ms for name, ms in asked.items()}
        began = time.perf_counter()
        await view.begin("log", (0,) * PARTITIONS, None)
        figures["ms to empty it"] = (time.perf_counter() - began) * 1e3
        await view.close()
    figures["MB peak memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return figures


if __name__ == "__main__":
    default = os.environ.get("BVW_RECORDINGS", "recordings")
    chosen = Path(sys.argv[1] if len(sys.argv) > 1 else default)
    repeats = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    for label, figure in asyncio.run(main(chosen, repeats)).items():
        print(f"{figure:12,.1f}  {label}")
