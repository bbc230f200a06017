"""The real command as a user runs it: started, watched, killed, and asked over HTTP.

Whatever a process writes goes to a file, and its last lines are in every failure. Nothing
sleeps for luck: `until` asks again and again, up to a deadline that only a defect reaches.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import urlencode
from urllib.request import urlopen

T = TypeVar("T")

PATIENCE = 60.0  # seconds that a busy machine may take for anything here
LOOK = 0.05
TAIL = 40  # lines of it in a failure
COMMAND = (sys.executable, "-m", "services.cli.main")
ANY_PORT = ("--port", "0", "--metrics-port", "0")


@dataclass(frozen=True)
class Ended:
    """A command that has ended by itself."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


def bvw(*arguments: object, code: int | None = 0, **variables: str) -> Ended:
    """Run the command to its end; an exit code other than `code` fails (None: any will do).

    `variables` are settings as BVW_… names them: `crash_at="log.appended:2"`.
    """
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        env=_environment(variables),
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
        check=False,
    )
    ended = Ended(done.returncode, done.stdout, done.stderr)
    assert code is None or ended.code == code, (
        f"bvw {' '.join(map(str, arguments))} with {variables}:"
        f" exit {ended.code}, expected {code}\n{ended.out[-2000:]}\n{_tail(ended.err)}"
    )
    return ended


class Running:
    """A process under way; made by `running`."""

    def __init__(self, process: subprocess.Popen[bytes], told: Path, name: str) -> None:
        self.process = process
        self.name = name
        self._told = told

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def said(self) -> str:
        """All that it has written so far."""
        return self._told.read_text("utf-8", errors="replace")

    def wait(self, within: float = PATIENCE) -> int:
        """The exit code, once it has ended by itself."""
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self} has not ended within {within} s") from None

    def kill(self) -> None:
        """As a power cut would; nothing of it is left when this returns."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def stop(self, within: float = 10.0) -> int:
        """Ask it to end, as systemd and Kubernetes do; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait(within)

    def url(self, data: Path) -> str:
        """Where this process serves, once it says so in the data directory and is ready."""

        def announced() -> str | None:
            with contextlib.suppress(OSError, ValueError):
                found = json.loads((data / "serving.json").read_text("utf-8"))
                if found["pid"] == self.pid and answers(found["url"]):
                    return str(found["url"])
            return None

        return self.until(announced, "serves")

    def until(self, asked: Callable[[], T | None], what: str, within: float = PATIENCE) -> T:
        """What `asked` gives as soon as it is true; fails at once if the process ends before."""

        def look() -> T | None:
            found = asked()
            assert found or self.alive, f"{self} ended with {self.process.returncode}, not {what}"
            return found

        return until(look, f"{self}: {what}", within)

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})\n{_tail(self.said())}\n"


@contextlib.contextmanager
def running(*arguments: object, **variables: str) -> Iterator[Running]:
    """The command under way; whatever is left of it at the end is killed."""
    with tempfile.TemporaryDirectory(prefix="bvw-said-") as folder:
        told = Path(folder) / "said"
        with told.open("wb") as file:
            process = _popen(arguments, variables, file)
        try:
            yield Running(process, told, f"bvw {' '.join(map(str, arguments))}")
        finally:
            process.kill()
            process.wait(PATIENCE)


def until(asked: Callable[[], T | None], what: str, within: float = PATIENCE) -> T:
    """What `asked` gives as soon as it is true."""
    deadline = time.monotonic() + within
    while not (found := asked()):
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        time.sleep(LOOK)
    return found


def get(url: str, path: str, **query: object) -> Any:
    """The JSON of an answer; anything but 200 fails with the answer's own words."""
    status, body = ask(url, path, **query)
    assert status == 200, f"{path} {query}: {status} {body}"
    return body


def ask(url: str, path: str, **query: object) -> tuple[int, Any]:
    """Status and JSON of an answer, whatever the status."""
    whole = f"{url}{path}?{urlencode(query)}" if query else url + path
    try:
        with urlopen(whole, timeout=PATIENCE) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        text = error.read()
        try:
            return error.code, json.loads(text)
        except ValueError:
            return error.code, text.decode("utf-8", errors="replace")


def answers(url: str) -> bool:
    """Whether somebody serves there, and is ready."""
    try:
        return ask(url, "/readyz")[0] == 200
    except OSError:
        return False


def up(source: object, data: Path, *more: object, code: int = 0, **variables: str) -> Ended:
    """`bvw up` until both layers have all that the source gives."""
    return bvw(
        "up", "--until-caught-up", "--source", source, "--data", data, *ANY_PORT, *more,
        code=code, **variables,
    )  # fmt: skip


def audit(data: Path, code: int | None = None) -> dict[str, Any]:
    """What `bvw audit` finds, as it prints it. Differences fail, unless `code` expects them (1)."""
    ended = bvw("audit", "--json", "--data", data, code=code)
    assert ended.out, f"the audit has no result, exit {ended.code}\n{_tail(ended.err)}"
    result: dict[str, Any] = ended.json()
    if code is None:
        assert ended.code == 0, f"not exact: {json.dumps(result, indent=1)[:4000]}"
        assert result["exact"]
        assert result["differences"] == 0
    return result


def simulate(folder: Path, events: int, seed: int = 7, **flags: object) -> tuple[Path, Any]:
    """A recording made by the simulator, and the truth about it."""
    out, truth = folder / f"simulated-{seed}.jsonl.gz", folder / f"truth-{seed}.json"
    more = [part for name, value in flags.items() for part in (f"--{name}", value)]
    bvw("simulate", "--seed", seed, "--events", events, "--out", out, "--truth", truth, *more)
    return out, json.loads(truth.read_text("utf-8"))


def _popen(
    arguments: tuple[object, ...], variables: dict[str, str], file: IO[bytes]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        env=_environment(variables),
        stdin=subprocess.DEVNULL,
        stdout=file,
        stderr=file,
    )


def _environment(variables: dict[str, str]) -> dict[str, str]:
    return os.environ | {f"BVW_{name.upper()}": value for name, value in variables.items()}


def _tail(text: str) -> str:
    return "\n".join(text.splitlines()[-TAIL:])
