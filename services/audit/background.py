"""An audit on request, in a process of its own: its counting takes no time from the server's loop.

It is the command itself, so what the page shows is what `bvw audit --json` prints.
"""

import asyncio
from pathlib import Path

import msgspec
import structlog

from services.audit.audit import Result
from services.shared.runtime import child, metrics
from services.shared.runtime.clock import Clock

_log = structlog.get_logger(__name__)


class State(msgspec.Struct, frozen=True):
    """`state` is none, running, done or failed; `started_at` is in ms since 1970."""

    state: str
    started_at: int | None = None
    result: Result | None = None
    error: str = ""


class BackgroundAudit:
    """At most one at a time; the last result is kept."""

    def __init__(self, data: Path, clock: Clock) -> None:
        self._data = data
        self._clock = clock
        self._state = State("none")
        self._task: asyncio.Task[None] | None = None

    def latest(self) -> State:
        return self._state

    def start(self) -> None:
        """Begin one, unless one is running."""
        if self._task is None or self._task.done():
            started = round(self._clock.now() * 1000)
            self._state = State("running", started, self._state.result)
            self._task = asyncio.create_task(self._run(started), name="audit")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, started: int) -> None:
        process = await child.started(
            "services.cli.main", "audit", "--json", "--quiet", "--data", str(self._data),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            printed, complaints = await process.communicate()
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        try:
            result = msgspec.json.decode(printed, type=Result)
        except msgspec.DecodeError:
            lines = complaints.decode(errors="replace").strip().splitlines()
            why = lines[-1] if lines else f"exit code {process.returncode}"
            _log.error("audit_failed", reason=why)
            self._state = State("failed", started, None, why)
        else:
            metrics.AUDIT_CELLS.set(result.cells)
            metrics.AUDIT_DIFFERENCES.set(result.differences)
            _log.info("audit_done", exact=result.exact, cells=result.cells)
            self._state = State("done", started, result)
