"""A process of our own code beside this one: for what would hold the interpreter, or stay in memory."""

import asyncio
import sys
from asyncio.subprocess import Process


async def started(
    module: str,
    *words: str,
    stdin: int | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
) -> Process:
    """Runs a module of this project, whatever lies in the current folder: not even a folder `services`
    there is imported instead. The streams are `asyncio.subprocess`'s constants, None: this process's own.
    """
    return await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", module, *words, stdin=stdin, stdout=stdout, stderr=stderr
    )
