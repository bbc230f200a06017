"""The real command as a process of its own, asked over HTTP as a user would."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

PATIENCE: Final = 900.0
COMMAND: Final = str(Path(sys.executable).with_name("bvw"))


_SERVE: Final = """
import sys
import uvloop
from aiohttp import web

app = web.Application()
app.router.add_get("/{any:.*}", handler)
web.run_app(
    app, host="127.0.0.1", port=int(sys.argv[-1]), print=None, access_log=None,
    loop=uvloop.new_event_loop(),
)
"""


@dataclass(frozen=True, slots=True)
class Product:
    """A running `bvw` and where it listens."""

    process: subprocess.Popen[bytes]
    url: str

    def get(self, path: str) -> Any:
        with urlopen(self.url + path, timeout=60) as response:
            return json.load(response)

    def until(self, reached: Callable[[dict[str, Any]], bool], pause: float = 0.1) -> float:
        """Seconds until the status is as wanted."""
        return waited(lambda: reached(self.get("/v1/status")), self.process, pause)

    def memory(self) -> tuple[float, float]:
        """MB of the process in memory: now, and at most so far."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text("ascii").splitlines()
        kib = {name: value.split()[0] for name, _, value in (line.partition(":") for line in lines)
               if name in {"VmRSS", "VmHWM"}}  # fmt: skip
        return int(kib["VmRSS"]) / 1024, int(kib["VmHWM"]) / 1024

    def cpu(self) -> float:
        """Seconds of CPU the process has taken."""
        fields = (
            Path(f"/proc/{self.process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        )
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu(process: subprocess.Popen[bytes]) -> float:
    """Seconds of CPU that the process has taken."""
    fields = Path(f"/proc/{process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def waited(
    reached: Callable[[], bool], process: subprocess.Popen[bytes], pause: float = 0.02
) -> float:
    """Seconds until it is reached; raises if the process ends before."""
    start = time.monotonic()
    while not reached():
        if process.poll() is not None:
            raise RuntimeError(f"bvw has ended with {process.returncode}")
        if time.monotonic() - start > PATIENCE:
            raise TimeoutError(f"not reached in {PATIENCE:.0f} s")
        time.sleep(pause)
    return time.monotonic() - start


@contextlib.contextmanager
def running(verb: str, data: Path, *flags: str) -> Iterator[Product]:
    """`bvw up` or `bvw serve` on any free port, from when it listens until the block ends."""
    announced = data / "serving.json"
    announced.unlink(missing_ok=True)
    quiet = ("--port", "0", "--metrics-port", "0", "--log-level", "warning")
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [COMMAND, verb, "--data", str(data), *quiet, *flags],
            stdout=output, stderr=output,
        )  # fmt: skip
        try:
            waited(announced.exists, process)
            url = json.loads(announced.read_text("utf-8"))["url"]
            yield Product(process, url)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


@contextlib.contextmanager
def scripted(code: str, *arguments: object) -> Iterator[Product]:
    """A server that answers everything by the `handler` of a few lines of Python."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-c", code + _SERVE, *map(str, arguments), str(port)]
    )
    try:
        waited(lambda: _listens(port), process)
        yield Product(process, f"http://127.0.0.1:{port}")
    finally:
        process.kill()  # it has nothing to end in order
        process.wait()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def bvw(*arguments: str) -> None:
    """A verb that ends by itself."""
    subprocess.run([COMMAND, *arguments], check=True, capture_output=True)
