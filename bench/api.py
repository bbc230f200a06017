"""Warm requests to the API, against a bare aiohttp handler that returns the same bytes.

Each server has a process of its own, and one client speaks to both by turns over plain sockets: an
HTTP library would cost more than the servers and hide the difference between them.
"""

import contextlib
import re
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
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

app = web.Application()
app.router.add_get("/{any:.*}", handler)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[2]), print=None, access_log=None)
"""


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as place:
        recording, data = Path(place) / "events.jsonl", Path(place) / "data"
        recording.write_bytes(b"".join(raw + b"\n" for raw in events.simulated(EVENTS)))
        product.bvw("up", "--source", str(recording), "--data", str(data), "--port", "0",
                    "--metrics-port", "0", "--until-caught-up")  # fmt: skip
        with product.running("serve", data) as serving:
            return [
                _compared(name, serving.url, path, Path(place) / "body")
                for name, path in _QUESTIONS.items()
            ]


def _compared(name: str, url: str, path: str, body: Path) -> Figure:
    with urlopen(url + path, timeout=30) as response:
        body.write_bytes(response.read())
    with _bare(body) as bare:
        ours, theirs = (urlsplit(server).port or 0 for server in (url, bare))
        rates = [(_rate(ours, path), _rate(theirs, path)) for _ in range(ROUNDS)]
    return against_rates(f"{name}, warm", rates, "bare aiohttp, same bytes", expected=">= 0.7")


@contextlib.contextmanager
def _bare(body: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", _BARE, str(body), str(port)])
    try:
        product.waited(lambda: _listens(port), process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _rate(port: int, path: str) -> float:
    """Answers a second over some connections that are kept open, one request under way on each."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as waiting:
        for _ in range(CONNECTIONS):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            waiting.register(connection, selectors.EVENT_READ, connection)
            connection.sendall(request)
        answers, began = 0, time.perf_counter()
        while time.perf_counter() - began < SECONDS:
            for key, _ in waiting.select():
                ready: socket.socket = key.data
                _answer(ready)
                answers += 1
                ready.sendall(request)
        return answers / (time.perf_counter() - began)


def _answer(connection: socket.socket) -> None:
    """Reads one answer whole; anything but 200 ends the benchmark."""
    head, _, body = connection.recv(1 << 16).partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    if not head.startswith(b"HTTP/1.1 200") or length is None:
        raise RuntimeError(f"not an answer: {head[:80]!r}")
    missing = int(length[1]) - len(body)
    while missing > 0:
        missing -= len(connection.recv(1 << 16))
