"""One open stream: sends what its reader finds, waits where there is nothing, and ends when a fault says so.

As in the original, `:ok` comes first and every line is a chunk of its own. Nothing is sent before the client has
taken what was sent before, up to what a socket and one event hold; a client that does not read is waited
for. Unless something happens to it, a stream ends when its client goes, and never before.
"""

import asyncio
import contextlib
import math
import socket
import struct
import zlib
from collections.abc import Iterator
from typing import Final

from services.collector.upstream import answers, assignment, deserializer
from services.collector.upstream.assignment import Start
from services.collector.upstream.audience import Audience
from services.collector.upstream.faults import Fault
from services.collector.upstream.history import History, Message
from services.collector.upstream.mishaps import Ending, Mishaps
from services.collector.upstream.stats import Asking, Stats

_LAST_WORDS_S: Final = 1.0
_BREATH: Final = 50  # events between two chances for others on the event loop
_COMMENT: Final = b":ok\n\n"
_RESET: Final = struct.pack("ii", 1, 0)  # linger for no time at all
_WBITS: Final = {"gzip": 31, "deflate": 15}
_ERROR: Final = {
    "message": "Local: Broker transport failure",
    "origin": "local",
    "code": -195,
    "errno": -195,
}


class Body:
    """The way to the socket: compression, chunks, drops."""

    def __init__(
        self,
        writer: asyncio.StreamWriter,
        stats: Stats,
        *,
        chunked: bool,
        encoding: str | None,
        drip: Fault | None,
    ) -> None:
        self._writer = writer
        self._stats = stats
        self._chunked = chunked
        self._drip = drip
        self._packer = zlib.compressobj(wbits=_WBITS[encoding]) if encoding else None
        self._opened = asyncio.get_running_loop().time()

    async def write(self, *parts: bytes) -> None:
        """Parts of the body, each in a chunk of its own, once there is room for them."""
        if self._drips:
            await self._drop(b"".join(map(self._packed, parts)))
        else:
            await self.raw(b"".join(map(self._framed, map(self._packed, parts))))

    async def break_off(self, part: float, *parts: bytes) -> None:
        """Only a part of the bytes that these would be, chunks and all."""
        whole = b"".join(map(self._framed, map(self._packed, parts)))
        await self.raw(whole[: int(part * len(whole))])

    async def finish(self) -> None:
        """The end of the answer, as the protocol has it."""
        rest = self._packer.flush() if self._packer else b""
        last = answers.LAST_CHUNK if self._chunked else b""
        await self.raw(self._framed(rest) + last)

    async def raw(self, data: bytes) -> None:
        self._stats.bytes += len(data)
        self._writer.write(data)
        await self._writer.drain()

    async def _drop(self, data: bytes) -> None:
        for piece in self._pieces(data):
            await self.raw(self._framed(piece))
            await asyncio.sleep(self._drip["PAUSE"] if self._drip else 0)

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        """Small ones as long as it drips, then the rest."""
        at = 0
        while self._drips and self._drip and at < len(data):
            yield data[at : at + self._drip["BYTES"]]
            at += self._drip["BYTES"]
        if at < len(data):
            yield data[at:]

    @property
    def _drips(self) -> bool:
        age = asyncio.get_running_loop().time() - self._opened
        return self._drip is not None and age < self._drip["FOR"]

    def _packed(self, part: bytes) -> bytes:
        if self._packer is None:
            return part
        return self._packer.compress(part) + self._packer.flush(zlib.Z_SYNC_FLUSH)

    def _framed(self, part: bytes) -> bytes:
        return answers.chunk(part) if self._chunked and part else part


class Connection:
    """Of one client. `plain` is the form without events and ids, which Accept: application/json gives."""

    def __init__(
        self,
        start: Start,
        body: Body,
        asking: Asking,
        *,
        history: History,
        mishaps: Mishaps,
        audience: Audience,
        stats: Stats,
        plain: bool,
    ) -> None:
        self._latest = start.latest
        self._reader = history.read(start.positions)
        self._body = body
        self._audience = audience
        self._stats = stats
        self._asking = asking
        self._plain = plain
        self._course = mishaps.course()
        heartbeats = mishaps.standing("heartbeats")
        self._heartbeat: float | None = heartbeats["FOR"] if heartbeats and not plain else None
        self._now = asyncio.get_running_loop().time
        self._opened = self._now()
        self._torn = False
        """Whether an event has been sent in part."""

    @property
    def behind(self) -> int:
        return self._reader.behind

    async def run(self) -> Ending:
        """Sends until it ends by a fault, or is cancelled because the client has gone."""
        try:
            await self._body.write(b"\n" if self._plain else _COMMENT)
            while True:
                if quiet := self._course.silence(self._asking.sent):
                    await self._silence(quiet)
                message = self._reader.peek()
                ending = self._ending(more=message is not None)
                if ending:
                    return await self._end(ending, message)
                if message:
                    await self._send(message)
                else:
                    self._audience.caught_up.set()
                    await self._wait(self._audience.grown, None)
        finally:
            self._course.over()

    async def _send(self, message: Message) -> None:
        """One event. If it is being cut while the client takes its time, the next look finds that out."""
        try:
            async with asyncio.timeout(self._left()):
                await self._body.write(*self._lines(message))
        except TimeoutError:
            self._torn = True
            return
        self._reader.advance()
        self._asking.sent += 1
        self._stats.events += 1
        if self._asking.sent % _BREATH == 0:
            await asyncio.sleep(0)

    def _lines(self, message: Message) -> tuple[bytes, ...]:
        data = message.data or b""
        event_id = assignment.sent(self._latest, message)
        if self._plain:
            return (data + b"\n",)
        return b"event: message\n", b"id: " + event_id + b"\n", b"data: " + data + b"\n\n"

    async def _silence(self, seconds: float) -> None:
        until = self._now() + seconds
        never = asyncio.Event()
        while self._now() < until and not self._is_due():
            await self._wait(never, until)

    async def _wait(self, event: asyncio.Event, until: float | None) -> None:
        """For the event, or until then or a cut; a heartbeat ends it too."""
        limits = [until - self._now() if until else None, self._left(), self._heartbeat]
        limit = min((limit for limit in limits if limit is not None), default=None)
        try:
            async with asyncio.timeout(limit):
                await event.wait()
        except TimeoutError:
            if limit == self._heartbeat:
                await self._body.write(_COMMENT)

    def _left(self) -> float | None:
        """Seconds to the cut."""
        deadline = self._course.deadline
        return None if deadline is None else max(0.0, deadline - self._age())

    def _is_due(self) -> bool:
        return self._left() == 0.0

    def _ending(self, *, more: bool) -> Ending | None:
        age = math.inf if self._torn else self._age()
        return self._course.ending(self._asking.sent, age, more=more)

    def _age(self) -> float:
        return self._now() - self._opened

    async def _end(self, ending: Ending, message: Message | None) -> Ending:
        """What is still sent. A client that does not read even that is not waited for."""
        if not self._torn:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORDS_S):
                    await self._last_words(ending, message)
        return ending

    async def _last_words(self, ending: Ending, message: Message | None) -> None:
        if ending.how == "error":
            await self._body.write(*self._error())
            return await self._body.finish()
        lines = self._lines(message) if message else ()
        if ending.how in {"fin", "reset"}:
            return await self._body.break_off(ending.part, *lines)
        text = b"".join(lines)
        if ending.how == "half":
            length = 1 + int(ending.part * (len(text) - 1))
        else:
            length = int(ending.part * len(text))
        await self._body.write(text[:length])
        return await self._body.finish()

    def _error(self) -> tuple[bytes, ...]:
        event_id = deserializer.stringify(list(self._latest.values()))
        data = deserializer.stringify(_ERROR)
        return b"event: error\n", b"id: " + event_id + b"\n", b"data: " + data + b"\n\n"


def close(writer: asyncio.StreamWriter, how: str | None = None) -> None:
    """Ends the connection; a reset loses what the client has not read yet."""
    if how != "reset":
        writer.close()
        return
    found = writer.get_extra_info("socket")
    if found is not None and found.fileno() >= 0:
        with socket.fromfd(found.fileno(), found.family, found.type) as same:
            same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
