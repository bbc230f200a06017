"""Bytes of HTTP answers, as the real service was seen to write them: names, their case and their order.

Three hands write there, and each can be told by its headers: the router (JSON with a length), KafkaSSE (no
type, in chunks, what went wrong in the status line too) and Express itself (HTML for a route that there is
not). All begin with the same nine headers. A stream has those of KafkaSSE's in lower case.
"""

from email.utils import formatdate
from http import HTTPStatus
from typing import Final, NamedTuple

from services.collector.upstream import deserializer
from services.collector.upstream.assignment import Refusal

Headers = tuple[tuple[str, str], ...]

SSE: Final = "text/event-stream"
JSON: Final = "application/json"
HTML: Final = "text/html; charset=utf-8"
LAST_CHUNK: Final = b"0\r\n\r\n"

_POLICY: Final = (
    "default-src 'self'; object-src 'none'; media-src *; img-src *; style-src *;"
    " frame-ancestors 'self'"
)
_NOSNIFF: Final = "x-content-type-options"
_CSP: Final = "content-security-policy"
_COMMON: Final[Headers] = (
    ("access-control-allow-origin", "*"),
    ("access-control-allow-headers", "accept, x-requested-with, content-type"),
    ("access-control-expose-headers", "etag"),
    ("x-xss-protection", "1; mode=block"),
    (_NOSNIFF, "nosniff"),
    ("x-frame-options", "SAMEORIGIN"),
    (_CSP, _POLICY),
    ("x-content-security-policy", _POLICY),
    ("x-webkit-csp", _POLICY),
)
_STAYS: Final[Headers] = (("Connection", "keep-alive"), ("Keep-Alive", "timeout=5"))
_CLOSES: Final[Headers] = (("Connection", "close"),)
_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}
_OF_EXPRESS: Final = {
    _NOSNIFF: ("X-Content-Type-Options", "nosniff"),
    _CSP: ("Content-Security-Policy", "default-src 'none'"),
}
_INFO: Final = {
    "name": "eventstreams",
    "version": "0.8.0",
    "description": "Streaming Wikimedia Events via HTTP SSE",
    "home": "https://gerrit.wikimedia.org/r/#/admin/projects/mediawiki/services/eventstreams",
}


class Connection(NamedTuple):
    """What an answer has to know of the connection: the version, whether it stays, and the time."""

    now: float
    http_10: bool = False
    close: bool = False


class Answer(NamedTuple):
    """An answer with an end. Its body goes in chunks unless its length is told."""

    status: int
    headers: Headers
    body: bytes
    reason: str = ""
    chunked: bool = False


def written(answer: Answer, on: Connection, *, head_only: bool = False) -> bytes:
    """The bytes of an answer."""
    headers = [*answer.headers, ("Date", date(on.now))]
    headers += _CLOSES if on.close or on.http_10 else _STAYS
    body = answer.body
    if answer.chunked and not on.http_10:
        headers.append(("Transfer-Encoding", "chunked"))
        body = chunk(body) + LAST_CHUNK
    head = _head(answer.status, answer.reason, headers)
    return head if head_only else head + body


def stream_head(content_type: str, on: Connection, *, encoding: str | None = None) -> bytes:
    """What precedes a stream. It says keep-alive even to HTTP/1.0, where its end is the connection's."""
    headers = [*_COMMON, ("content-type", content_type), ("cache-control", "no-cache")]
    headers.append(("connection", "keep-alive"))
    if encoding:
        headers.append(("content-encoding", encoding))
    headers.append(("Date", date(on.now)))
    if not on.http_10:
        headers.append(("Transfer-Encoding", "chunked"))
    return _head(200, "", headers)


def stream_type(accept: str | None) -> str:
    """Without an Accept header KafkaSSE forgets to name the characters."""
    if accept is None:
        return SSE
    return f"{JSON if accept.startswith(JSON) else SSE}; charset=utf-8"


def refusal(refused: Refusal) -> Answer:
    body = deserializer.stringify(refused.body)
    if refused.reason is None:
        return sized(refused.status, f"{JSON}; charset=utf-8", body)
    return Answer(refused.status, _COMMON, body + b"\n", refused.reason, chunked=True)


def no_route(method: str, path: str) -> Answer:
    body = page("Error", f"Cannot {method} {path}")
    common = tuple(_OF_EXPRESS.get(name, (name, value)) for name, value in _COMMON)
    return Answer(404, (*common, *_sized(HTML, body)), body)


def root() -> Answer:
    body = b"See Other. Redirecting to /?doc"
    more = (("Location", "/?doc"), ("Vary", "Accept"))
    return Answer(303, (*_COMMON, *more, *_sized("text/plain; charset=utf-8", body)), body)


def options() -> Answer:
    body = b"GET,HEAD"
    return Answer(200, (*_COMMON, ("Allow", "GET,HEAD"), *_sized(HTML, body)), body)


def info() -> Answer:
    return sized(200, f"{JSON}; charset=utf-8", deserializer.stringify(_INFO))


def sized(status: int, content_type: str, body: bytes, more: Headers = ()) -> Answer:
    """An answer with the common headers and a length."""
    return Answer(status, (*_COMMON, *more, *_sized(content_type, body)), body)


def page(title: str, text: str) -> bytes:
    """A page of HTML, in the words of Express."""
    lines = (
        "<!DOCTYPE html>", '<html lang="en">', "<head>", '<meta charset="utf-8">',
        f"<title>{title}</title>", "</head>", "<body>", f"<pre>{_escaped(text)}</pre>",
        "</body>", "</html>", "",
    )  # fmt: skip
    return "\n".join(lines).encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def date(now: float) -> str:
    return formatdate(now, usegmt=True)


def _sized(content_type: str, body: bytes) -> Headers:
    return (("Content-Type", content_type), ("Content-Length", str(len(body))))


def _head(status: int, reason: str, headers: list[tuple[str, str]]) -> bytes:
    lines = [f"HTTP/1.1 {status} {_plain(reason) or _PHRASES.get(status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def _plain(reason: str) -> str:
    """What a client sent can't end the line that repeats it."""
    return "".join(c if c.isprintable() else "?" for c in reason)


def _escaped(text: str) -> str:
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(character, entity)
    return text.replace("'", "&#39;")
