"""Clients without manners: bytes out, bytes in, and what they mean. The fake is judged by what comes over the wire."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

STREAM = "/v2/stream/recentchange"
SINCE = "?since=2001-01-01T00:00:00Z"
QUIET = 0.5  # seconds without a byte after which a stream is taken for silent
PATIENCE = 30.0


class Event(NamedTuple):
    id: list[dict[str, Any]]
    data: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.data)


class Answered(NamedTuple):
    """`whole` is True if the answer has come to its proper end."""

    head: bytes
    body: bytes
    whole: bool

    @property
    def status(self) -> int:
        return int(self.head.split(b" ", 2)[1])

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return {k.lower(): v for k, _, v in (line.partition(": ") for line in lines if line)}

    @property
    def events(self) -> list[Event]:
        """The events that have ended; what comes after the last blank line is none."""
        if not self.headers.get("content-type", "").startswith("text/"):
            return []
        blocks = self.body.split(b"\n\n")[:-1]
        fields = [dict(_field(line) for line in block.split(b"\n")) for block in blocks]
        return [
            Event(json.loads(f[b"id"]), f[b"data"])
            for f in fields
            if f.get(b"event") == b"message" and b"data" in f
        ]


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b": ")
    return name, value


def written(
    uri: str = STREAM, *, method: str = "GET", version: str = "1.1", **headers: str
) -> bytes:
    """A request as curl writes it; `Last_Event_ID` is a header."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    usual = {"Host": "127.0.0.1", "User-Agent": "test/1 (a@b.c)", "Accept": "*/*"}
    lines = [f"{method} {uri} HTTP/{version}"]
    lines += [f"{name}: {value}" for name, value in {**usual, **given}.items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


async def until(true: Callable[[], object], within: float = PATIENCE) -> None:
    """Looks again and again until it is true."""
    async with asyncio.timeout(within):
        while not true():  # noqa: ASYNC110 - what is asked about tells nobody when it changes
            await asyncio.sleep(0.005)


async def bytes_of(
    address: str,
    request: bytes,
    quiet: float = QUIET,
    *,
    enough: Callable[[bytes], bool] = lambda _: False,
    within: float = PATIENCE,
) -> bytes:
    """All that is answered until the other side closes, says nothing for a while, or has said enough;
    `within` a time in any case.
    """
    at = urlsplit(address)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    writer.write(request)
    received = b""
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(within):
            while not enough(received):
                async with asyncio.timeout(quiet if received else max(quiet, 1.0)):
                    more = await reader.read(1 << 20)
                if not more:
                    break
                received += more
    writer.transport.abort()
    return received


async def get(
    address: str,
    uri: str = STREAM,
    *,
    events: int | None = None,
    quiet: float = QUIET,
    within: float = PATIENCE,
    **more: str,
) -> Answered:
    """An answer; of a stream so many events where it has them, otherwise what comes before it is quiet."""

    def enough(received: bytes) -> bool:
        answered = taken_apart(received)
        return answered.whole or (events is not None and len(answered.events) >= events)

    request = written(uri, **more)
    return taken_apart(await bytes_of(address, request, quiet, enough=enough, within=within))


def taken_apart(received: bytes) -> Answered:
    head, blank, rest = received.partition(b"\r\n\r\n")
    answered = Answered(head + blank, rest, whole=True)
    if answered.headers.get("transfer-encoding") == "chunked":
        return Answered(head + blank, *unchunked(rest))
    length = answered.headers.get("content-length")
    return answered._replace(whole=length is not None and int(length) == len(rest))


def unchunked(rest: bytes) -> tuple[bytes, bool]:
    """The body of chunks, as far as it goes, and whether the last chunk was there."""
    chunks = Chunks()
    chunks.feed(rest)
    return bytes(chunks.body), chunks.whole


class Chunks:
    """Takes chunks apart as they come."""

    def __init__(self) -> None:
        self.body = bytearray()
        self.whole = False
        self._rest = b""
        self._missing = 0

    def feed(self, data: bytes) -> None:
        self._rest += data
        while self._rest and not self.whole:
            if self._missing > 2:
                some = self._rest[: self._missing - 2]
                self.body += some
                self._rest = self._rest[len(some) :]
                self._missing -= len(some)
            elif self._missing:
                if len(self._rest) < self._missing:
                    return
                assert self._rest.startswith(b"\r\n"[-self._missing :])
                self._rest, self._missing = self._rest[self._missing :], 0
            else:
                size, line_end, after = self._rest.partition(b"\r\n")
                if not line_end:
                    return
                self._rest, self._missing = after, int(size, 16) + 2
                self.whole = self._missing == 2 and after == b"\r\n"


class Client:
    """An open stream that is read event by event."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._head = b""
        self._chunks = Chunks()
        self._seen = 0
        self.received = b""

    @classmethod
    async def open(cls, address: str, uri: str = STREAM, **more: Any) -> Client:
        at = urlsplit(address)
        reader, writer = await asyncio.open_connection(at.hostname, at.port)
        writer.write(written(uri, **more))
        client = cls(reader, writer)
        client._head = await reader.readuntil(b"\r\n\r\n")
        await client.until(lambda answered: b":ok\n\n" in answered.body)
        return client

    @property
    def answered(self) -> Answered:
        return Answered(self._head, bytes(self._chunks.body), self._chunks.whole)

    async def until(self, true: Callable[[Answered], bool], within: float = PATIENCE) -> Answered:
        """Reads until something is true of the answer, or there is nothing more."""
        async with asyncio.timeout(within):
            while not true(self.answered):
                more = await self._reader.read(1 << 20)
                if not more:
                    break
                self.received += more
                self._chunks.feed(more)
        return self.answered

    async def events(self, count: int, quiet: float = PATIENCE) -> list[Event]:
        """The next so many events; fewer at the end, or where nothing comes for a while."""
        wanted = self._seen + count
        with contextlib.suppress(TimeoutError):
            await self.until(lambda a: a.body.count(b"\nevent: message\n") >= wanted, quiet)
            await self.until(lambda a: len(a.events) >= wanted, quiet)
        some = self.answered.events[self._seen : wanted]
        self._seen += len(some)
        return some

    def close(self) -> None:
        self._writer.transport.abort()
