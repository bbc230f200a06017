"""The live feed to a thousand readers: how late each change is, and what the readers cost the pipeline.

`bvw up` runs as a newcomer runs it. This process appends to its log and is all of the readers, over
plain sockets that count frames. First every reader gets every change, at fifty a second. Then the
pipeline takes in as many changes as it can, by turns with the readers and without; they ask for a
project that has about fifty changes a second of those.
"""

import asyncio
import contextlib
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bench import events, product
from bench.figures import Figure, against_rates, percentile
from services.shared import decode
from services.shared.domain.change import Change
from services.shared.log.embedded import SqliteLog
from services.shared.log.port import Entry
from services.shared.runtime.clock import SystemClock

READERS: Final = 1_000
RATE: Final = 50
COUNT: Final = 1_500
ROUNDS: Final = 3
BULK: Final = 10_000
RARE: Final = "pt.wiktionary"
"""One change in a hundred."""
_ALREADY: Final = 5_000
_AT_ONCE: Final = 1_000
_FRAME: Final = b"\ndata: "


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as place:
        data, recording = Path(place) / "data", Path(place) / "before.jsonl"
        recording.write_bytes(b"".join(raw + b"\n" for raw in events.simulated(_ALREADY)))
        with product.running("up", data, "--source", str(recording)) as up:
            up.until(lambda status: status["generation"] > 0 and status["caught_up"])
            return asyncio.run(_measured(data, up))


async def _measured(data: Path, up: product.Product) -> list[Figure]:
    log = await SqliteLog.open(data / "log.sqlite", clock=SystemClock())
    entries = await asyncio.to_thread(_entries)
    with _reading(up.url, "") as readers:
        await readers.all_begun.wait()
        began, idle = time.perf_counter(), up.cpu()
        latencies = await _latencies(log, readers, entries)
        share = (up.cpu() - idle) / (time.perf_counter() - began)
    rates = [await _round(log, up, entries) for _ in range(ROUNDS)]
    await log.close()
    every = f"append to each of {READERS:,} readers at {RATE}/s"
    return [
        Figure(f"{every}, p50", percentile(latencies, 50) * 1e3, "ms"),
        Figure(f"{every}, p99", percentile(latencies, 99) * 1e3, "ms", expected="< 500"),
        Figure("CPU of the whole product meanwhile", share, "cores"),
        against_rates(
            f"append to visible with {READERS:,} readers", rates, "without", expected=">= 0.9"
        ),
    ]


class _Readers:
    """All the readers. `arrived` are seconds from append to arrival, of each change at each reader."""

    def __init__(self, connections: list[socket.socket]) -> None:
        self.arrived: list[float] = []
        self.appended: list[float] = []
        self._got = dict.fromkeys(connections, 0)
        self._torn = dict.fromkeys(connections, b"")
        self._silent = set(connections)
        self._unfinished = set(connections)
        self.all_begun = asyncio.Event()
        """Each has been told where it is."""
        self.all_finished = asyncio.Event()
        """Each has got `COUNT` changes."""

    def read(self, connection: socket.socket) -> None:
        got = connection.recv(1 << 18)
        if not got or (connection in self._silent and not got.startswith(b"HTTP/1.1 200")):
            raise RuntimeError(f"not a stream, or cut off: {got[:80]!r}")
        now, before = time.perf_counter(), self._got[connection]
        torn = self._torn[connection] + got
        self._torn[connection] = torn[1 - len(_FRAME) :]
        self._got[connection] = after = before + torn.count(_FRAME)
        self.arrived += [now - at for at in self.appended[before:after]]
        _tick_off(connection, self._silent, self.all_begun)
        if after >= COUNT:
            _tick_off(connection, self._unfinished, self.all_finished)


def _tick_off(connection: socket.socket, missing: set[socket.socket], none: asyncio.Event) -> None:
    missing.discard(connection)
    if not missing:
        none.set()


@contextlib.contextmanager
def _reading(url: str, query: str) -> Iterator[_Readers]:
    loop = asyncio.get_running_loop()
    address = urlsplit(url)
    request = f"GET /v1/changes/stream?{query} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        connections = []
        for _ in range(READERS):
            connection = socket.create_connection((address.hostname or "", address.port or 0))
            connections.append(stack.enter_context(connection))
            connection.sendall(request)
            connection.setblocking(False)
        readers = _Readers(connections)
        for connection in connections:
            loop.add_reader(connection, readers.read, connection)
            stack.callback(loop.remove_reader, connection)
        yield readers


async def _latencies(log: SqliteLog, readers: _Readers, entries: Iterator[Entry]) -> list[float]:
    began = time.perf_counter()
    for number in range(COUNT):
        await asyncio.sleep(began + number / RATE - time.perf_counter())
        readers.appended.append(time.perf_counter())
        await log.append([next(entries)])
    await readers.all_finished.wait()
    return readers.arrived


async def _round(
    log: SqliteLog, up: product.Product, entries: Iterator[Entry]
) -> tuple[float, float]:
    """Changes a second from append to visible, with readers and without."""
    with _reading(up.url, f"project={RARE}") as readers:
        await readers.all_begun.wait()
        with_readers = await _rate(log, up, entries)
    await asyncio.sleep(1)  # until the server has noticed that they are gone
    return with_readers, await _rate(log, up, entries)


async def _rate(log: SqliteLog, up: product.Product, entries: Iterator[Entry]) -> float:
    began = time.perf_counter()
    for _ in range(0, BULK, _AT_ONCE):
        await log.append([next(entries) for _ in range(_AT_ONCE)])
    await asyncio.to_thread(up.until, lambda status: status["visible"] == status["end"], 0.02)
    return BULK / (time.perf_counter() - began)


def _entries() -> Iterator[Entry]:
    """As many different changes as all of it takes."""
    count = round(1.1 * (COUNT + 2 * ROUNDS * BULK))
    parsed = ((raw, decode.parse(raw)) for raw in events.simulated(count, seed=3))
    distinct = {found.id: raw for raw, found in parsed if isinstance(found, Change)}
    return iter([Entry(key, raw) for key, raw in distinct.items()])
