"""From the acknowledged append to the API's answer, at a hundred events a second.

`bvw up` indexes, counts and serves in one process, as a newcomer runs it. This process appends to its
log, an event at a time, and asks for the count again and again, as a page would that never rests.
"""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Final

import aiohttp

from bench import events, product
from bench.figures import Figure, percentile
from services.shared import decode
from services.shared.domain.change import Change
from services.shared.log.embedded import SqliteLog
from services.shared.log.port import Entry
from services.shared.runtime.clock import SystemClock

RATE: Final = 100
COUNT: Final = 3_000
_ALREADY: Final = 5_000
_QUESTION: Final = "/v1/share?type=edit,new,log,categorize,external&start=20260101&end=20260201"


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as place:
        recording = Path(place) / "before.jsonl"
        recording.write_bytes(b"".join(raw + b"\n" for raw in events.simulated(_ALREADY)))
        with product.running("up", Path(place) / "data", "--source", str(recording)) as up:
            up.until(lambda status: status["generation"] > 0 and status["caught_up"])
            latencies, asked = asyncio.run(_measured(Path(place) / "data", up.url))
    return [
        Figure("append to answer, p50", percentile(latencies, 50) * 1e3, "ms"),
        Figure("append to answer, p99", percentile(latencies, 99) * 1e3, "ms", expected="< 500"),
        Figure("questions asked meanwhile", asked * RATE / COUNT, "1/s"),
    ]


async def _measured(data: Path, url: str) -> tuple[list[float], int]:
    """Seconds from append to answer for each event, and how many questions were asked."""
    log = await SqliteLog.open(data / "log.sqlite", clock=SystemClock())
    async with aiohttp.ClientSession(url) as session:
        before = await _edits(session)
        appended: list[float] = []
        appending = asyncio.create_task(_append(log, appended))
        latencies: list[float] = []
        asked = 0
        while len(latencies) < COUNT:
            seen, asked = await _edits(session) - before, asked + 1
            now = time.perf_counter()
            latencies += [now - at for at in appended[len(latencies) : seen]]
        await appending
    await log.close()
    return latencies, asked


async def _append(log: SqliteLog, appended: list[float]) -> None:
    parsed = ((raw, decode.parse(raw)) for raw in events.simulated(2 * COUNT, seed=3))
    changes = ((raw, found.id) for raw, found in parsed if isinstance(found, Change))
    distinct = {key: raw for raw, key in changes}
    began = time.perf_counter()
    for number, (key, raw) in enumerate(list(distinct.items())[:COUNT]):
        await asyncio.sleep(began + number / RATE - time.perf_counter())
        await log.append([Entry(key, raw)])
        appended.append(time.perf_counter())


async def _edits(session: aiohttp.ClientSession) -> int:
    async with session.get(_QUESTION) as response:
        return int((await response.json())["edits"])
