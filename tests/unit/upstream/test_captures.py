"""What the real service answered, byte for byte, and what the fake answers to the same request.

The recorded answers are cut after so many bytes, and streams were left after some seconds. `Date` differs, of
course. The order of an event's id is said to vary; as the source of the service has it, it follows from
the request, and so all that was recorded comes out with the very same bytes, ids and all.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from services.collector.upstream.history import History
from services.collector.upstream.serve import serving
from tests.unit.upstream import wire

NAMES = (
    "10-last-event-id-timestamp", "11-last-event-id-offset", "12-last-event-id-and-since-both",
    "20-bad-last-event-id-not-json", "21-bad-last-event-id-empty-array",
    "22-bad-last-event-id-object", "23-bad-last-event-id-no-offset", "24-last-event-id-other-topic",
    "25-last-event-id-one-topic-only", "26-last-event-id-offset-out-of-range",
    "27-last-event-id-empty-header", "28-last-event-id-partition-does-not-exist",
    "29-last-event-id-bare-number", "30-unknown-stream", "31-unknown-and-known-stream",
    "32-no-stream", "33-root", "34-topic-missing-in-kafka", "35-post", "36-head", "37-options",
    "40-since-bad", "41-since-ms", "42-since-iso", "43-since-date-only", "44-since-future",
    "45-since-empty", "50-accept-json", "51-accept-sse", "52-accept-any", "53-accept-html",
    "60-gzip", "61-http10", "70-idle-no-since", "80-composite", "90-info",
)  # fmt: skip

LEFT = 124  # what curl's time-out says: the stream was still open
STREAMS = "a stream that is cut off by its reader"


class Capture(NamedTuple):
    """`code` is curl's at the end; None if the recording ends before."""

    request: bytes
    answer: bytes
    code: int | None


def read(path: Path) -> Capture:
    first, _, answer = path.read_bytes().partition(b"\n")
    answer, _, ended = answer.partition(b"[curl rc ")
    return Capture(asked(first.decode()), answer, int(ended[:-2]) if ended else None)


def asked(line: str) -> bytes:
    """The request that such a call of curl makes."""
    _, arguments = line.split(": curl ", 1)
    options, uri = re.fullmatch(r"(.*?)http://[^/]+(/\S*)", arguments).groups()  # type: ignore[union-attr]
    headers = dict(re.findall(r"-H ([\w-]+)(?:: |;)(.*?) ?(?=-H |$)", options))
    method = re.search(r"-X (\w+)", options)
    return wire.written(
        uri,
        method=method[1] if method else "HEAD" if options.startswith("-I ") else "GET",
        version="1.0" if "--http1.0" in options else "1.1",
        **{name.replace("-", "_"): value for name, value in headers.items()},
    )


def undated(head: bytes) -> bytes:
    return re.sub(rb"(?m)^Date: .*?\r$", b"Date: some day\r", head)


def comparable(received: bytes) -> bytes:
    answered = wire.taken_apart(received)
    return undated(answered.head) + answered.body


def captured(path: Path) -> bytes:
    if not path.exists():
        pytest.skip(f"no {path.name} in {path.parent}")
    return path.read_bytes()


@pytest.mark.parametrize("name", NAMES)
async def test_the_same_request_gets_the_same_bytes(
    recordings: Path, polars: History, name: str
) -> None:
    path = recordings / "eventstreams" / f"{name}.txt"
    captured(path)
    capture = read(path)
    expected = undated(capture.answer)

    def enough(received: bytes) -> bool:
        whole = capture.code != LEFT and wire.taken_apart(received).whole
        return whole or (capture.code is None and len(comparable(received)) > len(expected))

    async with serving(polars) as upstream:
        received = await wire.bytes_of(upstream.address, capture.request, enough=enough)
    answer = comparable(received)
    if capture.code is None:
        assert len(expected) > 900
        answer = answer[: len(expected)]
    assert answer == expected
    if capture.code == LEFT and received:
        assert not wire.taken_apart(received).whole


async def test_the_head_and_the_beginning_that_were_recorded_apart(
    recordings: Path, polars: History
) -> None:
    folder = recordings / "eventstreams"
    head, body = captured(folder / "1-headers.txt"), captured(folder / "1-since-all.sse")
    async with serving(polars) as upstream:
        answered = await wire.get(upstream.address, wire.STREAM + wire.SINCE)
    assert undated(answered.head) == undated(head)
    assert answered.body[: len(body)] == body


async def test_messages_that_are_no_events(recordings: Path) -> None:
    """No JSON, null and no body are skipped without a word; an array is handed on as it is."""
    _, expected = captured(recordings / "eventstreams" / "97-bad-messages.txt").split(b"\n\n", 1)
    topic = "codfw.mediawiki.page-create"
    history = History()
    for raw in (
        b"this is no JSON",
        b'{"$schema": "/x", "meta": {"stream": "s", "domain": "canary"}}',
        b"[1, 2]",
        b"null",
        b'{"no_meta": 1}',
        b"",
    ):
        history.append(raw, 1_700_000_000_000, topic)
    header = f'[{{"topic":"{topic}","partition":0,"offset":0}}]'
    async with serving(history) as upstream:
        answered = await wire.get(upstream.address, "/v2/stream/page-create", Last_Event_ID=header)
    assert answered.body == expected


async def test_head_hangs_and_an_error_does_not(polars: History) -> None:
    async with serving(polars) as upstream:
        assert await wire.bytes_of(upstream.address, wire.written(method="HEAD")) == b""
        refused = await wire.get(upstream.address, "/v2/stream/nope", method="HEAD")
    assert (refused.status, refused.body) == (400, b"")


async def test_a_client_that_accepts_nothing_in_particular(polars: History) -> None:
    """By the source only: without the header the characters are not named."""
    request = f"GET {wire.STREAM} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    async with serving(polars) as upstream:
        answered = wire.taken_apart(await wire.bytes_of(upstream.address, request))
    assert answered.headers["content-type"] == "text/event-stream"
