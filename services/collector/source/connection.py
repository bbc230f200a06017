"""One connection to the stream: asked, checked, and its body in pieces of text.

What can go wrong is told apart by what it asks of us: a cut is the upstream's ordinary way (about every
15 minutes) and costs nothing; `Passing` goes by itself, and the upstream may say how long to wait;
`NoSuchPoint` is an answer about the resume point alone; after `Stopped` only a person can help, so it is
asked again slowly and said loudly.
"""

import asyncio
import contextlib
import importlib.metadata
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

import aiohttp
import msgspec
from aiohttp import hdrs
from yarl import URL

from services.collector.source import pacing, unpack
from services.collector.source.resume import Request

CONNECT_WITHIN: Final = 10.0

_VERSION: Final = importlib.metadata.version("bots-vs-wiki")
_TYPE: Final = "text/event-stream"
_PASSING: Final = frozenset({408, 425, 429})
_OF_RESUME: Final = frozenset({"InvalidAssignmentError", "TopicNotAvailableError"})
_QUOTED: Final = 2_000  # bytes of an error's body
_OK: Final = 200
_TOO_MANY: Final = 429
_SERVER: Final = 500


class Passing(Exception):
    """The stream can't be had just now. `made`: there was a connection, which then failed.

    `cause` is one of few words; `retry_after` (seconds) is what the upstream asks for.
    """

    def __init__(
        self, cause: str, reason: str, *, made: bool = True, retry_after: float | None = None
    ) -> None:
        super().__init__(reason)
        self.cause = cause
        self.made = made
        self.retry_after = retry_after


class Stopped(Exception):
    """The upstream refuses us, or is not the stream at all."""


class NoSuchPoint(Exception):
    """The upstream does not take this resume point."""


class _Error(msgspec.Struct):
    """The body of an error as the upstream writes it, in both of its ways."""

    name: str = ""
    message: str = ""
    title: str = ""
    detail: str = ""


def session(contact: str) -> aiohttp.ClientSession:
    """For one deployment: without cookies, proxies of the environment or time limits of its own."""
    return aiohttp.ClientSession(
        headers={
            hdrs.USER_AGENT: user_agent(contact),
            hdrs.ACCEPT: _TYPE,
            hdrs.ACCEPT_ENCODING: ", ".join(unpack.ENCODINGS),
        },
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_WITHIN),
        auto_decompress=False,
    )


def user_agent(contact: str) -> str:
    """What Wikimedia's policy asks for: who we are, and whom to write to."""
    return f"bots-vs-wiki/{_VERSION} ({contact}) aiohttp/{aiohttp.__version__}"


@contextlib.asynccontextmanager
async def opened(
    client: aiohttp.ClientSession, url: str, request: Request, *, within: float, now: float
) -> AsyncIterator[aiohttp.ClientResponse]:
    """The response, once it is sure that it is the stream. `now` (seconds) is for dates in it."""
    headers = {} if request.last_event_id is None else {"Last-Event-ID": request.last_event_id}
    target = URL(url) if request.since is None else URL(url).update_query(since=request.since)
    try:
        async with asyncio.timeout(within):
            response = await client.get(target, headers=headers, allow_redirects=False)
    except TimeoutError:
        raise Passing("silence", f"no answer within {within:g} s", made=False) from None
    except (aiohttp.ClientError, OSError) as error:
        raise Passing("unreachable", f"cannot connect: {error}", made=False) from None
    async with response:
        await _check(response, request, now)
        yield response


async def pieces(response: aiohttp.ClientResponse, within: float) -> AsyncGenerator[bytes, None]:
    """The text of the body as it comes; ends where the upstream ends it, or cuts it.

    Only the wait for bytes is timed: whoever is slow to take them is not mistaken for a silent stream.
    """
    unpacked = unpack.unpacking(response.headers.get(hdrs.CONTENT_ENCODING, ""))
    if unpacked is None:
        raise Stopped(f"the answer is encoded as {response.headers[hdrs.CONTENT_ENCODING][:80]!a}")
    while True:
        try:
            async with asyncio.timeout(within):
                chunk = await response.content.readany()
        except TimeoutError:
            raise Passing("silence", f"no byte within {within:g} s") from None
        except (aiohttp.ClientError, OSError):
            return
        if not chunk:
            return
        try:
            for piece in unpacked(chunk):
                yield piece
        except unpack.Broken as error:
            raise Passing("damaged", str(error)) from None


async def _check(response: aiohttp.ClientResponse, request: Request, now: float) -> None:
    status = response.status
    if status == _OK and response.content_type == _TYPE:
        return
    if status == _OK:
        raise Stopped(f"the answer is {response.content_type[:80]!a}, not {_TYPE}")
    location = response.headers.get(hdrs.LOCATION)
    if location is not None:
        raise Stopped(f"HTTP {status} to {location[:200]!a}, which is not followed")
    error = await _error(response)
    said = error.message or error.title or error.detail or response.reason or ""
    reason = f"HTTP {status} {' '.join(said.split())[:300]}".rstrip()
    if request.last_event_id is not None and error.name in _OF_RESUME:
        raise NoSuchPoint(reason)
    if status in _PASSING or status >= _SERVER:
        asked = pacing.retry_after(response.headers.get(hdrs.RETRY_AFTER), now)
        cause = "http_429" if status == _TOO_MANY else f"http_{status // 100}xx"
        raise Passing(cause, reason, made=False, retry_after=asked)
    raise Stopped(reason)


async def _error(response: aiohttp.ClientResponse) -> _Error:
    """What an error says of itself, as far as it can be read soon."""
    try:
        async with asyncio.timeout(CONNECT_WITHIN):
            body = await response.content.read(_QUOTED)
        return msgspec.json.decode(body, type=_Error)
    except (TimeoutError, aiohttp.ClientError, OSError, msgspec.DecodeError):
        return _Error()
