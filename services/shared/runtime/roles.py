"""One process a role: a lock file per role in the data directory, held by `flock`.

Two collectors on one directory would write every event twice, so each long-running role takes its
lock first and a second process is refused, by name of the first. The kernel frees the lock when its holder
dies, however it dies, so there is nothing to clean up. The file tells a person who holds it; its
text is never trusted. Readers and tools take no lock; `holder` looks who has one, for a moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import sys
from typing import TYPE_CHECKING, Final, Literal

from services.shared.runtime.exits import Exit, Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

Role = Literal["collector", "speed", "batch", "copy"]
"""Whoever fills a directory from another one has `copy`."""
WRITERS: Final[tuple[Role, ...]] = ("collector", "speed", "batch")

_RETRY = 0.1
_TRIES = 2  # the first may meet somebody who only looks


@contextlib.asynccontextmanager
async def hold(data: Path, role: Role, *, wait: bool = False) -> AsyncIterator[None]:
    """Holds the role while inside; if another process does: waits for it, or refuses."""
    path = data / "locks" / f"{role}.lock"
    descriptor = await asyncio.to_thread(_open, path)
    try:
        tries = 1
        while not await asyncio.to_thread(_take, descriptor):
            if not wait and tries == _TRIES:
                raise await asyncio.to_thread(_refusal, path, role)
            await asyncio.sleep(_RETRY)
            tries += 1
        yield
    finally:
        # Closing frees the lock. The file stays: removing it would let two processes each
        # hold a lock on a different file of the same name.
        os.close(descriptor)


def holder(data: Path, role: Role) -> str | None:
    """Process and command of whoever has the role; None if nobody has. Leaves no trace."""
    path = data / "locks" / f"{role}.lock"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return path.read_text("utf-8", errors="replace").strip() or "an unknown process"
    else:
        return None
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
            return False
        raise
    # The lock is held by now; on a full disk only its text is missing.
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()} {' '.join(sys.argv)}\n".encode(), 0)
    return True


def _refusal(path: Path, role: Role) -> Refused:
    holder = path.read_text("utf-8", errors="replace").strip()
    pid, _, command = holder.partition(" ")
    return Refused(
        f"another {role} already runs on {path.parent.parent}"
        f" (process {pid or 'unknown'}: {command or 'unknown'}); stop it, or use another --data",
        Exit.TEMPORARY,
    )
