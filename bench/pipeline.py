"""The whole product on a long recording: rate, memory and disk, then what a run costs as history grows.

A million simulated changes go through `bvw up` as it is installed, every event durable in the log
before its cursor moves. Queryable is an event once the visible position has passed it.
"""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from bench import events, product
from bench.figures import Figure
from services import processes, wiring
from services.shared import decode
from services.shared.domain.change import Change
from services.shared.log.port import Entry
from services.shared.runtime import datadir
from services.shared.runtime.lifecycle import Resources
from services.shared.runtime.settings import Settings

EVENTS: Final = 1_000_000
SOME: Final = 200_000
FEW: Final = 10_000
RUNS: Final = 32


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as place:
        long, short = Path(place) / "long", Path(place) / "short"
        found = [_queryable(_recording(place, SOME), Path(place) / "some")]
        found += _followed(_recording(place, EVENTS), long)
        _followed(_recording(place, FEW), short)
        return found + asyncio.run(_growth(short, long))


def _recording(place: str, count: int) -> Path:
    made = Path(place) / f"{count}.jsonl.zst"
    product.bvw("simulate", "--seed", "1", "--events", str(count), "--out", str(made))
    return made


def _queryable(recording: Path, data: Path) -> Figure:
    """Before the first batch run, as a newcomer's recording is read."""
    flags = ("--source", str(recording), "--set", "first_batch_after=1h")
    with product.running("up", data, *flags) as up:
        # To ask is work too, for a process that has no core of its own to spare.
        taken = up.until(lambda status: _received(status) == SOME and _visible(status), pause=0.5)
    return Figure("recorded file to queryable", SOME / taken, "events/s", expected=">= 8,000")


def _followed(recording: Path, data: Path) -> list[Figure]:
    flags = ("--source", str(recording), "--batch-every", "30s")
    with product.running("up", data, *flags) as up:
        count = int(recording.name.partition(".")[0])
        queryable = up.until(lambda status: _received(status) == count and _visible(status))
        batch = up.until(lambda status: status["horizon"] == status["end"])
        time.sleep(20)  # steady is what stays after the last run
        now, most = up.memory()
        kept = up.get("/v1/status")["tallies"]["appended"]
    parts = {
        name: size for name, size in datadir.used_by_part(data).items() if size > kept
    }  # more than a byte an event
    return [
        Figure("the same, batch runs beside it", count / queryable, "events/s"),
        Figure("then until batch has all of it", batch, "s"),
        Figure("memory, steady", now, "MB", expected="< 600"),
        Figure("memory, at most", most, "MB"),
        *(Figure(f"disk: {name}", size / kept, "bytes/event") for name, size in parts.items()),
        Figure("disk: all", sum(parts.values()) / kept, "bytes/event"),
    ]  # fmt: skip


def _received(status: dict[str, Any]) -> int:
    return int(status["tallies"].get("received", 0))


def _visible(status: dict[str, Any]) -> bool:
    return bool(status["visible"] == status["end"])


async def _growth(short: Path, long: Path) -> list[Figure]:
    """Runs over the same new events, by turns on a short and on a long history."""
    fresh = events.simulated(FEW * RUNS + RUNS, seed=2)
    async with Resources() as resources:
        both = [await _opened(resources, path) for path in (short, long)]
        taken: list[list[float]] = [[], []]
        for _ in range(RUNS):
            entries = _entries([next(fresh) for _ in range(FEW)])
            for process, seconds in zip(both, taken, strict=True):
                await process.stores.log.append(entries)
                began = time.process_time()
                await process.batch_once()
                seconds.append(time.process_time() - began)
    over_few, over_many = (statistics.mean(seconds) for seconds in taken)
    return [
        Figure(f"batch run of {FEW:,} over {EVENTS:,}, mean of {RUNS}", over_many, "s CPU",
               f"the same over {FEW:,}", over_few / over_many, expected=">= 0.5"),
    ]  # fmt: skip


async def _opened(resources: Resources, path: Path) -> processes.Process:
    settings = Settings.load(flags={"data_dir": str(path), "log_level": "warning"})
    return processes.Process(settings, await wiring.stores(resources, settings))


def _entries(payloads: list[bytes]) -> list[Entry]:
    parsed = ((raw, decode.parse(raw)) for raw in payloads)
    return [Entry(change.id, raw) for raw, change in parsed if isinstance(change, Change)]
