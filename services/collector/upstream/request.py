"""Requests of HTTP/1.1, read by hand: as much as a client of a stream sends, and bounded.

A head larger than 16 KiB or one that takes too long ends the connection, as Node's server does. A body is of no
use here; a short one is read over, so that the connection can go on.
"""

import asyncio
import re
from typing import Final, NamedTuple
from urllib.parse import parse_qs, unquote

from services.collector.upstream.assignment import Asked

LARGEST_HEAD: Final = 16 * 1024
STREAM_PATH: Final = "/v2/stream/"
_LARGEST_BODY: Final = 64 * 1024
_LINE: Final = re.compile(r"([A-Z]{1,20}) (\S{1,8192}) HTTP/1\.([01])")
_LENGTH: Final = re.compile(r"\d{1,9}", re.ASCII)
_ONCE: Final = {"user-agent", "host", "content-length", "content-type"}


class Malformed(Exception):
    """What came is no request; `status` is all that is answered."""

    def __init__(self, status: int) -> None:
        super().__init__(f"answered {status}")
        self.status = status


class Request(NamedTuple):
    """`headers` have names in lower case; `uri` is as it was sent."""

    method: str
    uri: str
    http_10: bool
    headers: dict[str, str]

    @property
    def path(self) -> str:
        return self.uri.partition("?")[0]

    @property
    def streams(self) -> tuple[str, ...]:
        """The names of streams; none if the path is not that of a stream."""
        if not self.path.startswith(STREAM_PATH):
            return ()
        names = unquote(self.path.removeprefix(STREAM_PATH)).removesuffix("/")
        return tuple(names.split(",")) if names and "/" not in names else ()

    @property
    def asked(self) -> Asked:
        given = parse_qs(self.uri.partition("?")[2], keep_blank_values=True).get("since")
        since = None if given is None else ",".join(given)
        return Asked(self.streams, self.uri, self.headers.get("last-event-id"), since)

    @property
    def closes(self) -> bool:
        return self.http_10 or self.headers.get("connection", "").lower() == "close"


async def read(reader: asyncio.StreamReader, within: float) -> Request | None:
    """The next request; None if the client has gone or says nothing."""
    try:
        async with asyncio.timeout(within):
            head = await reader.readuntil(b"\r\n\r\n")
            request = parse(head)
            await _read_over(reader, request)
            return request
    except asyncio.LimitOverrunError:
        raise Malformed(431) from None
    except (asyncio.IncompleteReadError, TimeoutError, OSError):
        return None


def parse(head: bytes) -> Request:
    """A request from its head, up to and with the blank line."""
    first, *lines = head.decode("latin-1").lstrip("\r\n").split("\r\n")
    line = _LINE.fullmatch(first)
    if line is None:
        raise Malformed(400)
    headers: dict[str, str] = {}
    for text in filter(None, lines):
        name, colon, value = text.partition(":")
        name, value = name.lower(), value.strip(" \t")
        if not colon or not name or name != name.strip():
            raise Malformed(400)
        if name not in headers:
            headers[name] = value
        elif name not in _ONCE:
            headers[name] += f", {value}"
    return Request(line[1], line[2], line[3] == "0", headers)


async def _read_over(reader: asyncio.StreamReader, request: Request) -> None:
    length = request.headers.get("content-length", "0")
    if not _LENGTH.fullmatch(length) or int(length) > _LARGEST_BODY:
        raise Malformed(413)
    if "transfer-encoding" in request.headers:
        raise Malformed(411)
    await reader.readexactly(int(length))
