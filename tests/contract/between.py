"""Stands between a client and a server of MongoDB's protocol: reads each request, and may lose it or its reply."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, Literal

import bson

Fate = Literal["pass", "lose", "lose-reply"]
Rule = Callable[[dict[str, Any]], Awaitable[Fate]]

_HEADER: Final = 16
_OP_MSG: Final = 2013
_QUIET: Final = (OSError, EOFError, asyncio.CancelledError)


async def everything_passes(_: dict[str, Any]) -> Fate:
    return "pass"


class Between:
    """`rule` says what becomes of a request; a connection that has lost something is closed."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._tasks: set[asyncio.Task[None]] = set()
        self.rule: Rule = everything_passes
        self.port = 0

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        with contextlib.suppress(*_QUIET):
            await self._carry(reader, writer)
        writer.close()
        self._tasks.discard(task)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request and its reply after the other, as the driver's connections do."""
        from_server, to_server = await asyncio.open_connection(*self._upstream)
        try:
            while True:
                message = await _message(reader)
                fate = await self.rule(_command(message))
                if fate == "lose":
                    return
                to_server.write(message)
                reply = await _message(from_server)
                if fate == "lose-reply":
                    return
                writer.write(reply)
        finally:
            to_server.close()


async def _message(reader: asyncio.StreamReader) -> bytes:
    length = await reader.readexactly(4)
    return length + await reader.readexactly(int.from_bytes(length, "little") - 4)


def _command(message: bytes) -> dict[str, Any]:
    """The command with its documents (of updates and inserts they come behind it); empty for others."""
    if int.from_bytes(message[12:_HEADER], "little") != _OP_MSG:
        return {}
    at, command = _HEADER + 4, dict[str, Any]()
    while at < len(message):
        kind, at = message[at], at + 1
        size = int.from_bytes(message[at : at + 4], "little")
        if kind == 0:
            command |= bson.decode(message[at : at + size])
        else:
            name, _, documents = message[at + 4 : at + size].partition(b"\0")
            command[name.decode()] = bson.decode_all(documents)
        at += size
    return command
