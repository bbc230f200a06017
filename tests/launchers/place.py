"""Where servers for tests are kept, and what every launcher does: fetch, start, wait, stop.

A launcher is a module of this package with `NAME`, `VARIABLE` (of the environment: the URL of a server that
tests use), `SETTING` (by which the product is told), `install(folder)`, which leaves everything that it needs in its folder and does nothing the second
time, and `start(folder) -> Server`, which is an own server with an empty store on a free port. The cache
folder is `BVW_TEST_SERVERS`, /var/tmp/bots-vs-wiki-servers by default: not in anybody's home, because
Elasticsearch runs as a user of its own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = "BVW_TEST_SERVERS"
START_WITHIN = 180.0
STOP_WITHIN = 30.0


@dataclass
class Server:
    """A running server, in a folder of its own."""

    name: str
    url: str
    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self) -> None:
        """As a crash does, with whatever it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """As an operator does; what it has stored goes too."""
        self.process.terminate()
        try:
            self.process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def cache() -> Path:
    return Path(os.environ.get(FOLDER, "/var/tmp/bots-vs-wiki-servers"))


def run_folder(name: str) -> Path:
    """An empty folder for one run, that other users can get to."""
    base = cache() / "runs"
    base.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=base))
    folder.chmod(0o755)
    return folder


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


def launched(
    name: str,
    command: Sequence[str],
    folder: Path,
    url: str,
    ready: Callable[[], bool],
    *,
    env: Mapping[str, str] | None = None,
) -> Server:
    """Starts it and waits until it is ready; what it says goes to `log` in its folder."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            env=None if env is None else dict(env), start_new_session=True,
        )  # fmt: skip
    server = Server(name, url, process, folder)
    deadline = time.monotonic() + START_WITHIN
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            said = (folder / "log").read_text("utf-8", "replace")[-2_000:]
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            raise RuntimeError(f"{name} did not start:\n{said}")
        time.sleep(0.1)
    return server


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextlib.contextmanager
def once(folder: Path) -> Iterator[Path | None]:
    """Installs into a folder once: gives where to put it, which then takes the folder's place; None
    if it is there.
    """
    if folder.exists():
        yield None
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    new.chmod(0o755)
    try:
        yield new
        with contextlib.suppress(OSError):  # another has been quicker
            new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def maven(*goal: str) -> None:
    """A goal of the dependency plugin, as the machine's Maven is set up."""
    plugin = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
    subprocess.run(["mvn", "-B", "-q", f"{plugin}:{goal[0]}", *goal[1:]], check=True)


def java() -> str:
    """Java 17 or newer."""
    home = os.environ.get("JAVA_HOME")
    return str(Path(home) / "bin" / "java") if home else "java"
