"""Processes that are made to die, cheaply: forked from one that has imported what they need.

A process of its own takes seconds to import the lake's libraries, and a test of deaths needs many.
"""

import asyncio
import multiprocessing
from collections.abc import Callable, Coroutine
from typing import Any

from services.shared.runtime import crash

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(
    [
        "tests.deaths",
        "nltk.stem.snowball",
        "services.batch.run",
        "services.shared.lake.warehouse",
        "services.shared.speedview.embedded",
        "services.speed.speed",
    ]
)

Work = Callable[..., Coroutine[Any, Any, None]]


async def died(work: Work, *arguments: object, at: str) -> int | None:
    """The exit code of a process that does the work with the crash point armed."""
    return await asyncio.to_thread(_run, work, arguments, at)


def _run(work: Work, arguments: tuple[object, ...], at: str) -> int | None:
    process = _processes.Process(target=_live, args=(work, arguments, at))
    process.start()
    process.join(120)
    try:
        return process.exitcode
    finally:
        process.kill()
        process.join()
        process.close()


def _live(work: Work, arguments: tuple[object, ...], at: str) -> None:
    crash.arm(at)
    asyncio.run(work(*arguments))
