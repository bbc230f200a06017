"""A reader's HTTP connection.

It is written to directly: what many readers get is framed once, and to wait for each of them by itself
would cost more than the writing. The kernel is told to hold little, so that it is known in time who
is slow. Whoever has not read the end after a while is cut off.
"""

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Final, Self

from aiohttp import HttpVersion11, web

from services.serving.feed.frames import Block
from services.serving.feed.reader import Line

_SEND_BUFFER: Final = 64 * 1024
_END_WITHIN: Final = 5.0


class Connection:
    """Create it with `open`."""

    def __init__(
        self, request: web.Request, response: web.StreamResponse, transport: asyncio.Transport
    ) -> None:
        self._writer = request.writer
        self._response = response
        self._transport = transport
        self._chunked = response.chunked

    @classmethod
    async def open(cls, request: web.Request, response: web.StreamResponse) -> Self:
        """Begins the answer; raises `ConnectionError` if nobody waits for it any more."""
        transport = request.transport
        if transport is None:
            raise ConnectionResetError
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER
        )
        response.force_close()
        if request.version >= HttpVersion11:
            response.enable_chunked_encoding()
        await response.prepare(request)
        return cls(request, response, transport)

    @property
    def waiting(self) -> int:
        return self._transport.get_write_buffer_size()

    @property
    def closed(self) -> bool:
        return self._transport.is_closing()

    def send(self, block: Block) -> None:
        self._transport.write(block.chunk if self._chunked else block.raw)

    async def drained(self) -> None:
        await self._writer.drain()
        if self.closed:
            raise ConnectionResetError

    async def close(self) -> None:
        """In order, if the reader reads on."""
        try:
            with contextlib.suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(_END_WITHIN):
                    await self._response.write_eof()
        finally:
            if self.waiting:
                self._transport.abort()


if TYPE_CHECKING:
    _: type[Line] = Connection
