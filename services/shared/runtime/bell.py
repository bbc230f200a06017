"""Wakes whoever waits for news of a store, in this process and in others, without polling.

Each listener binds a datagram socket in a folder that the store's path names; `ring` sends a byte
to every socket of the channel. Nothing is carried but "look again", so a listener that is awake
already may miss bytes, and a bell that fails costs latency only: `wait` ends by itself after a
while. No ring is lost between a look that finds nothing and the wait, because a listener is bound
before its first look. A listener that died leaves its socket behind; the next ring removes it.

The folder is in the machine's temporary directory, because the path of a socket must be short.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import secrets
import socket
import stat
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from services.shared.runtime.exits import Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# Linux takes 107 bytes, macOS 103; what follows the temporary directory needs 50 of them.
_LONGEST_BASE: Final = 50
_BIND_ATTEMPTS: Final = 5


class Bell:
    """The bell of a store: `path` names the store, `channel` what there is news of."""

    def __init__(self, path: Path, channel: str) -> None:
        self._path = path
        self._channel = channel
        self._ringer = ThreadPoolExecutor(1, thread_name_prefix=f"bell-{channel}")
        self._due = False

    def ring(self) -> None:
        """Wakes all listeners. From any thread; returns at once: a thread does the sending.

        Rings that come before it starts are one.
        """
        if not self._due:
            self._due = True
            self._ringer.submit(self._send)

    @contextlib.asynccontextmanager
    async def listen(self) -> AsyncIterator[Listener]:
        """A listener that hears every ring from here on."""
        binding = asyncio.create_task(asyncio.to_thread(self._bind))
        try:
            bound, path = await asyncio.shield(binding)
        except asyncio.CancelledError:
            # The thread binds all the same; what it has bound must not stay behind.
            bound, path = await binding
            bound.close()
            await asyncio.to_thread(_remove, path)
            raise
        listener = Listener(bound)
        try:
            yield listener
        finally:
            listener.close()
            await asyncio.to_thread(_remove, path)

    async def close(self) -> None:
        """Ends once what was rung has been sent."""
        await asyncio.to_thread(self._ringer.shutdown)

    def _send(self) -> None:
        self._due = False
        with (
            contextlib.suppress(OSError),  # no folder, no listener
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender,
        ):
            sender.setblocking(False)
            for path in _folder(self._path).glob(f"{self._channel}.*"):
                _send_to(sender, path)

    def _bind(self) -> tuple[socket.socket, Path]:
        folder = _folder(self._path)
        name = f"{self._channel}.{secrets.token_hex(4)}"
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        bound.setblocking(False)
        try:
            _bind_in(folder, name, bound)
        except OSError as error:
            bound.close()
            raise Refused(
                f"{folder}: cannot listen there ({error.strerror or error});"
                " remove it, or set TMPDIR to a directory that is yours"
            ) from None
        return bound, folder / name


class Listener:
    """One waiting place. It remembers a ring until the next `wait`."""

    def __init__(self, bound: socket.socket) -> None:
        self._bound = bound
        self._rung = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(bound.fileno(), self._hear)

    async def wait(self, within: float) -> bool:
        """Returns at the next ring (at once if there was one), at latest after `within` seconds.

        True if it rang.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._rung.wait()
        rang = self._rung.is_set()
        self._rung.clear()
        return rang

    def close(self) -> None:
        self._loop.remove_reader(self._bound.fileno())
        self._bound.close()

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._bound.recv(16):
                pass
        self._rung.set()


def _folder(path: Path) -> Path:
    base = tempfile.gettempdir()
    if len(os.fsencode(base)) > _LONGEST_BASE:
        base = "/tmp"  # noqa: S108 - `_own` makes sure of the folder in it
    name = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:16]
    return Path(base) / f"bvw-{os.getuid()}-{name}"


def _bind_in(folder: Path, name: str, bound: socket.socket) -> None:
    for attempt in range(_BIND_ATTEMPTS):
        try:
            _own(folder)
            # A socket whose file can be seen must answer already, or a ring takes it for dead.
            hidden = folder / f"new.{name}"
            bound.bind(str(hidden))
            hidden.rename(folder / name)
        except FileNotFoundError:
            # The last listener of another process has just taken the empty folder away.
            if attempt == _BIND_ATTEMPTS - 1:
                raise
        else:
            return


def _own(folder: Path) -> None:
    """Makes the folder; one that others could write to is not taken."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(errno.EPERM, "it is not a directory of yours alone")


def _send_to(sender: socket.socket, path: Path) -> None:
    try:
        sender.sendto(b"!", str(path))
    except ConnectionRefusedError:
        path.unlink(missing_ok=True)
    except OSError:
        # Gone meanwhile, or full: then its listener has rings to hear anyway.
        pass


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # others listen
        path.parent.rmdir()
