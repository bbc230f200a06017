"""How far a source is, as a bar on the terminal; only for a source that ends, only on a terminal."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from services.collector.source.port import Measured, Source

_EVERY: Final = 0.25


@contextlib.asynccontextmanager
async def shown(source: Source, console: Console) -> AsyncIterator[None]:
    """Draws while inside, from threads: a slow terminal slows nothing down."""
    if not (isinstance(source, Measured) and console.is_terminal):
        yield
        return
    text = TextColumn("{task.description}")
    columns = (text, BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True)
    task = bar.add_task(source.description, total=None)
    await asyncio.to_thread(bar.start)
    moving = asyncio.create_task(_move(bar, task, source), name="progress bar")
    try:
        yield
    finally:
        moving.cancel()
        await asyncio.gather(moving, return_exceptions=True)
        await asyncio.to_thread(_finish, bar, task, source)


async def _move(bar: Progress, task: TaskID, source: Measured) -> None:
    while True:
        await asyncio.to_thread(_update, bar, task, source)
        await asyncio.sleep(_EVERY)


def _update(bar: Progress, task: TaskID, source: Measured) -> None:
    done, total = source.progress
    bar.update(task, completed=done, total=total)


def _finish(bar: Progress, task: TaskID, source: Measured) -> None:
    _update(bar, task, source)
    bar.stop()
