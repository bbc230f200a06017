"""The live stream: from the socket to parsed changes against what others would use, and into the log.

A server in a process of its own sends the same bytes to everyone, as Wikimedia frames them: event, id,
data. The peers are a client for event streams and a JSON library, which is how most bots read the
stream. `decoded` turns the same bytes into fields, as they do; `parsed` is all that follows too: the
checks, the id, the event day, the classes. What is compared is the CPU of this process.
"""

import asyncio
import contextlib
import json
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Final

import httpx
import httpx_sse
import msgspec
import uvloop
from aiosseclient import aiosseclient

from bench import events, product
from bench.figures import Figure, against
from services.collector import collect
from services.collector.source.pacing import Pacing
from services.collector.source.sse import Options, Sse
from services.shared import decode
from services.shared.log.embedded import SqliteLog
from services.shared.runtime.clock import SystemClock

COUNT: Final = 24_000
_PATH: Final = "/v2/stream/recentchange"
_TOPIC: Final = "eqiad.mediawiki.recentchange"
_OTHER: Final = {"topic": "codfw.mediawiki.recentchange", "partition": 0, "offset": -1}
_BEGAN_MS: Final = 1_442_016_000_000
_SERVER: Final = """
import asyncio
import sys
from aiohttp import web

body = open(sys.argv[1], "rb").read()

async def handler(request):
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await response.prepare(request)
    for start in range(0, len(body), 65_536):
        await response.write(body[start : start + 65_536])
    await asyncio.sleep(3_600)  # as a stream that has nothing new
    return response
"""


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as place, _served(Path(place)) as url:
        return [
            *_compared("aiosseclient", _aiosseclient, url, expected=">= 3"),
            *_compared("httpx-sse", _httpx_sse, url),
            *_collected(url, Path(place)),
        ]


@contextlib.contextmanager
def _served(place: Path) -> Iterator[str]:
    body = place / "body"
    body.write_bytes(b":ok\n\n" + b"".join(map(_framed, range(COUNT), events.payloads(COUNT))))
    with product.scripted(_SERVER, body) as server:
        yield server.url + _PATH


def _framed(number: int, payload: bytes) -> bytes:
    place = {"topic": _TOPIC, "partition": 0, "timestamp": _BEGAN_MS + 30 * number}
    ids = json.dumps([place, _OTHER], separators=(",", ":")).encode()
    return b"event: message\nid: " + ids + b"\ndata: " + payload + b"\n\n"


Reads = Callable[[str, Callable[[bytes], object]], Coroutine[None, None, None]]


def _compared(peer: str, theirs: Reads, url: str, *, expected: str = "") -> list[Figure]:
    def run(reads: Reads, parse: Callable[[bytes], object]) -> Callable[[], None]:
        return lambda: uvloop.run(reads(url, parse))

    return [
        against(
            "framed, an event", run(_ours, len), peer, run(theirs, len), COUNT, expected=expected
        ),
        against(
            "framed and decoded, an event", run(_ours, _typed),
            f"{peer} and json", run(theirs, _json), COUNT, expected=expected,
        ),
        against(
            "framed and parsed, an event", run(_ours, decode.parse),
            f"{peer} and json", run(theirs, _json), COUNT,
        ),
    ]  # fmt: skip


_typed = msgspec.json.Decoder(decode._Event).decode  # noqa: SLF001 - what json.loads is the peer of


def _json(data: bytes) -> None:
    """aiosseclient ends lines where the format does not, at U+2028 for one: such events come broken."""
    with contextlib.suppress(ValueError):
        json.loads(data)


def _source(url: str) -> Sse:
    options = Options(url, "bench@example.org", 10.0, 60.0, 1_800.0, 1 << 20)
    return Sse(options, SystemClock(), pacing=Pacing(1.0, 60.0))


async def _ours(url: str, parse: Callable[[bytes], object]) -> None:
    read = 0
    async with contextlib.aclosing(_source(url).frames(None)) as frames:  # type: ignore[type-var]
        async for frame in frames:
            for payload in frame.payloads:
                parse(payload)
            read += len(frame.payloads)
            if read == COUNT:
                return


async def _aiosseclient(url: str, parse: Callable[[bytes], object]) -> None:
    read = 0
    async for event in aiosseclient(url):
        parse(event.data)
        read += 1
        if read == COUNT:
            return


async def _httpx_sse(url: str, parse: Callable[[bytes], object]) -> None:
    read = 0
    async with (
        httpx.AsyncClient() as client,
        httpx_sse.aconnect_sse(client, "GET", url) as source,
    ):
        async for event in source.aiter_sse():
            parse(event.data)  # type: ignore[arg-type]
            read += 1
            if read == COUNT:
                return


def _collected(url: str, place: Path) -> list[Figure]:
    """The collector as it runs: checked, counted, and durable in the log with its cursor."""
    started, used = time.perf_counter(), time.process_time()
    uvloop.run(_into_log(url, place))
    took, used = time.perf_counter() - started, time.process_time() - used
    return [
        Figure("collected into the log", COUNT / took, "events/s"),
        Figure("collected into the log, CPU", used / COUNT * 1e6, "us/event"),
    ]


async def _into_log(url: str, place: Path) -> None:
    log = await SqliteLog.open(place / "log.sqlite", clock=SystemClock())
    stop = asyncio.Event()
    collecting = asyncio.create_task(collect.run(_source(url), log, stop=stop, clock=SystemClock()))
    while (await log.tallies()).get("received", 0) < COUNT:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.02)
    stop.set()
    await collecting
    await log.close()
