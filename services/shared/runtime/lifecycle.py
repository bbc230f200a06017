"""How a process lives and ends: named services side by side, one way to stop them all.

`main` runs a program with an event that the first SIGINT or SIGTERM sets. `side_by_side` runs
services that all watch that event: each stops taking, drains what it has taken and returns; those
that do not within `DRAIN` are cancelled. Then the resources close, last opened first, each on its
own: one that fails or hangs is logged and never keeps the others from closing. A second signal ends the
process at once, and so does a shutdown that takes longer than `LIMIT` (a thread keeps that promise,
because the loop may be what is stuck). That is safe: everything written survives `kill -9`.

A service that fails stops the others in the same graceful way; its error is then the program's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar

import structlog

from services.shared.runtime import metrics

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

T = TypeVar("T")
Service: TypeAlias = Callable[[asyncio.Event], Coroutine[Any, Any, None]]

DRAIN = 6.0
CLOSE = 1.5
LIMIT = 9.5
_LAG_EVERY = 0.25

_log = structlog.get_logger(__name__)


def main(program: Callable[[asyncio.Event], Coroutine[Any, Any, T]]) -> T:
    """Runs the program until it returns; the last thing that a process does.

    The thread that enforces `LIMIT` is never called off: it also covers what the interpreter
    still waits for after the loop has ended, such as threads that do not come back.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_signalled(program))


async def side_by_side(
    services: Mapping[str, Service], stop: asyncio.Event, *, drain: float = DRAIN
) -> None:
    """Runs the services until all have ended or one has failed; `stop` asks them to end."""
    failures: list[Exception] = []
    async with asyncio.TaskGroup() as group:
        lag = group.create_task(_watch_lag(), name="loop lag")
        tasks = [
            group.create_task(_run(name, service, stop, failures), name=name)
            for name, service in services.items()
        ]
        await _ended(tasks, stop, drain)
        lag.cancel()
    if failures:
        raise failures[0]


class Resources:
    """What was opened, to be closed in reverse; each closer is isolated, bounded and logged."""

    def __init__(self, close_within: float = CLOSE) -> None:
        self._within = close_within
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._stack.aclose()

    def on_close(self, name: str, close: Callable[[], Awaitable[object]]) -> None:
        self._stack.push_async_callback(self._close, name, close)

    async def enter(self, name: str, resource: AbstractAsyncContextManager[T]) -> T:
        entered = await resource.__aenter__()
        self.on_close(name, lambda: resource.__aexit__(None, None, None))
        return entered

    async def _close(self, name: str, close: Callable[[], Awaitable[object]]) -> None:
        try:
            async with asyncio.timeout(self._within):
                await close()
        except TimeoutError:
            _log.warning("close_too_slow", resource=name, seconds=self._within)
        except Exception:  # noqa: BLE001 - the others close whatever it is
            _log.exception("close_failed", resource=name)


async def _signalled(program: Callable[[asyncio.Event], Coroutine[Any, Any, T]]) -> T:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    received: list[signal.Signals] = []

    def on_signal(number: signal.Signals) -> None:
        if received:
            _leave(number)
        received.append(number)
        _log.info("stopping", signal=number.name)
        limit = threading.Timer(LIMIT, _leave, (number, "the shutdown took too long"))
        limit.daemon = True
        limit.start()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal, number)
    return await program(stop)


def _leave(number: signal.Signals, reason: str = "a second signal") -> None:
    os.write(2, f"bvw: stopped at once: {reason}\n".encode())
    os._exit(128 + number)


async def _run(name: str, service: Service, stop: asyncio.Event, failures: list[Exception]) -> None:
    try:
        await service(stop)
    except Exception as error:  # noqa: BLE001 - whatever it is, the others end in order
        if failures:
            _log.warning("service_failed_too", service=name, exc_info=error)
        failures.append(error)
        stop.set()


async def _ended(tasks: list[asyncio.Task[None]], stop: asyncio.Event, drain: float) -> None:
    ended = asyncio.ensure_future(asyncio.wait(tasks))
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({ended}, timeout=drain)
    finally:
        stopped.cancel()
        ended.cancel()
    for task in tasks:
        if task.cancel():
            _log.warning("service_not_drained", service=task.get_name(), seconds=drain)


async def _watch_lag() -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _LAG_EVERY
        await asyncio.sleep(_LAG_EVERY)
        metrics.EVENT_LOOP_LAG.observe(max(0.0, loop.time() - due))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
