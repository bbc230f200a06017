"""Warm requests to the API, against a bare aiohttp handler that returns the same bytes.

Each server has a process and an event loop of the same kind, and one client speaks to both by turns over plain sockets: an
HTTP library would cost more than the servers and hide the difference between them.
"""

import contextlib
import re
import selectors
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit
from urllib.request import urlopen

from bench import events, product
from bench.figures import Figure, against_rates

EVENTS: Final = 10_000
CONNECTIONS: Final = 8
SECONDS: Final = 2.0
ROUNDS: Final = 7
_QUESTIONS: Final = {
    "share": "/v1/share?project=all-projects&granularity=hourly",
    "edits by hour": "/metrics/edits/aggregate/en.wikipedia/all-editor-types/all-page-types"
    "/hourly/20260105/20260106",
    "top pages": "/metrics/edited-pages/top-by-edits/en.wikipedia/all-editor-types"
    "/all-page-types/2026/01/05",
}
_BARE: Final = """
import sys
from aiohttp import web

body = open(sys.argv[1], "rb").read()

async def handler(request):
    return web.Response(body=body, content_type="application/json")
"""


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as place:
        recording, data = Path(place) / "events.jsonl", Path(place) / "data"
        recording.write_bytes(b"".join(raw + b"\n" for raw in events.simulated(EVENTS)))
        product.bvw("up", "--source", str(recording), "--data", str(data), "--port", "0",
                    "--metrics-port", "0", "--until-caught-up")  # fmt: skip
        with product.running("serve", data) as serving:
            return [
                figure
                for name, path in _QUESTIONS.items()
                for figure in _compared(name, serving, path, Path(place) / "body")
            ]


def _compared(name: str, ours: product.Product, path: str, body: Path) -> Iterator[Figure]:
    with urlopen(ours.url + path, timeout=30) as response:
        body.write_bytes(response.read())
    with product.scripted(_BARE, body) as bare:
        rounds = [(_asked(ours, path), _asked(bare, path)) for _ in range(ROUNDS)]
    peer = "bare aiohttp, same bytes"
    rates = [(our.rate, their.rate) for our, their in rounds]
    yield against_rates(f"{name}, warm", rates, peer, expected=">= 0.7")
    costs = [(1 / our.cpu, 1 / their.cpu) for our, their in rounds]
    yield against_rates(f"{name}, warm, by the server's CPU alone", costs, peer)


class _Asked(NamedTuple):
    rate: float
    """Answers a second."""
    cpu: float
    """Seconds of the server's CPU for an answer."""


def _asked(server: product.Product, path: str) -> _Asked:
    """Asks over some connections that are kept open, one request under way on each."""
    port = urlsplit(server.url).port or 0
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as waiting:
        for _ in range(CONNECTIONS):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            waiting.register(connection, selectors.EVENT_READ, connection)
            connection.sendall(request)
        answers, began, before = 0, time.perf_counter(), product.cpu(server.process)
        while time.perf_counter() - began < SECONDS:
            for key, _ in waiting.select():
                ready: socket.socket = key.data
                _answer(ready)
                answers += 1
                ready.sendall(request)
        taken = product.cpu(server.process) - before
        return _Asked(answers / (time.perf_counter() - began), taken / answers)


def _answer(connection: socket.socket) -> None:
    """Reads one answer whole; anything but 200 ends the benchmark."""
    head, _, body = connection.recv(1 << 16).partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    if not head.startswith(b"HTTP/1.1 200") or length is None:
        raise RuntimeError(f"not an answer: {head[:80]!r}")
    missing = int(length[1]) - len(body)
    while missing > 0:
        missing -= len(connection.recv(1 << 16))
