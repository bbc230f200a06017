"""The event stream's rules, at every split: against the standard's examples, a slow reading of the rules
and what the real service has sent.
"""

import itertools
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collector.source.eventstream import Event, Parser

LARGEST: Final = 1 << 20
LINES = [
    b"data", b"data:", b"data: x", b"data:  x", b"data:x:y", b"data: \xc3\xa4\xff", b"datax: no",
    b"event: error", b"event", b"id: 1", b"id: [2]", b"id", b"id: \0", b"retry: 250", b"retry: 2s",
    b"retry: 99999999999", b":ok", b": a comment", b"", b"", b" ", b"\xef\xbb\xbf", b"x",
]  # fmt: skip
USUAL = [b"event: message", b'id: [{"offset":-1}]', b'data: {"a":1}', b""]
ODD = [
    [b"event: message", b"id: 1", b"data: x", b"data: y", b""],
    [b"event: message", b"id: 1", b"", b""],
    [b"event: message", b"id: \0", b"data: x", b""],
    [b"event: message", b"id: 1", b"retry: 3", b"data: x", b""],
    [b"event: message", b"id: 1", b"data: ", b""],
]
EXAMPLES = [
    (b"data: YHOO\ndata: +2\ndata: 10\n\n", [b"YHOO\n+2\n10"]),
    (b": test stream\n\ndata: first\nid: 1\n\ndata:second\nid\n\ndata:  third\n\n",
     [b"first", b"second", b" third"]),
    (b"data\n\ndata\ndata\n\ndata:", [b"", b"\n"]),
    (b"data:test\n\ndata: test\n\n", [b"test", b"test"]),
    (b"\xef\xbb\xbfdata: x\n\n", [b"x"]),
    (b"data: \xef\xbb\xbfx\n\n", [b"\xef\xbb\xbfx"]),
    (b"data: half", []),
    (b"data: half\n", []),
    (b":ok\n\n", []),
]  # fmt: skip


def parsed(*pieces: bytes, largest: int = LARGEST) -> list[Event]:
    parser = Parser(largest)
    return [event for piece in pieces for event in parser.feed(piece)]


def slowly(body: bytes) -> list[Event]:
    """The rules one after the other, as the standard has them, over the whole body at once."""
    text = body.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    events, data, kind, last_id = [], b"", b"", b""
    for line in text.split(b"\n")[:-1]:
        field, _colon, value = line.partition(b":")
        value = value[1:] if value[:1] == b" " else value
        if not line:
            if data:
                whole = data[:-1]
                events.append(Event(whole, last_id, kind or b"message", len(whole)))
            data, kind = b"", b""
        elif field == b"data":
            data += value + b"\n"
        elif field == b"event":
            kind = value
        elif field == b"id" and b"\0" not in value:
            last_id = value
    return events


@pytest.mark.parametrize(("body", "expected"), EXAMPLES)
def test_the_standards_examples(body: bytes, expected: list[bytes]) -> None:
    assert [event.data for event in parsed(body)] == expected


@given(
    st.lists(
        st.tuples(
            st.sampled_from([USUAL, *ODD, *([line] for line in LINES)]) | st.just(USUAL),
            st.sampled_from([b"\n", b"\n", b"\r", b"\r\n"]),
        )
    ),
    st.booleans(),
    st.lists(st.integers(0, 400), max_size=8),
)
def test_however_it_is_cut_it_is_what_the_rules_say(
    blocks: list[tuple[list[bytes], bytes]], mark: bool, cuts: list[int]
) -> None:
    body = b"\xef\xbb\xbf" * mark + b"".join(line + end for lines, end in blocks for line in lines)
    # What is behind a CR may be the LF of the same end: only with the next byte is it known.
    places = sorted({0, *(cut for cut in cuts if cut < len(body)), len(body)})
    pieces = [body[a:b] for a, b in itertools.pairwise(places)]
    assert parsed(*pieces) == parsed(body) == slowly(body)


@given(st.binary(max_size=300), st.integers(1, 7))
def test_any_bytes_are_read_alike_in_any_pieces(body: bytes, step: int) -> None:
    pieces = [body[at : at + step] for at in range(0, len(body), step)]
    assert parsed(*pieces) == parsed(body) == slowly(body)


def test_what_the_service_has_sent_at_every_split(recordings: Path) -> None:
    found = 0
    for capture in sorted((recordings / "eventstreams").glob("*")):
        raw = capture.read_bytes()
        start = raw.find(b":ok\n\n")
        if start < 0:
            continue
        body = raw[start:]
        whole = parsed(body)
        assert whole == slowly(body), capture.name
        assert parsed(*(body[at : at + 1] for at in range(len(body)))) == whole, capture.name
        step = max(1, len(body) // 500)
        assert all(parsed(body[:at], body[at:]) == whole for at in range(0, len(body), step)), (
            capture.name
        )
        found += len(whole)
    assert found > 20


def test_a_retry_is_kept_in_seconds_and_nothing_else_is_one() -> None:
    parser = Parser(LARGEST)
    parser.feed(b"retry: 2s\nretry: -1\nretry: \nretry: 99999999999\nretry: 1e3\n\n")
    assert parser.retry is None
    parser.feed(b"retry: 2500\n")
    assert parser.retry == 2.5


@given(st.integers(0, 60), st.integers(1, 50), st.integers(1, 40))
def test_a_large_event_is_cut_and_the_stream_goes_on(size: int, largest: int, step: int) -> None:
    body = b"id: 7\ndata: " + b"x" * size + b"\n\ndata: after\n\n"
    pieces = [body[at : at + step] for at in range(0, len(body), step)]
    first, second = parsed(*pieces, largest=max(5, largest))
    assert first == Event(b"x" * min(size, max(5, largest) + 1), b"7", b"message", size)
    assert second.data == b"after"


def test_a_large_event_of_many_lines_is_cut_too() -> None:
    body = b"data: abc\n" * 10 + b"\n"
    (event,) = parsed(body, largest=9)
    assert event.size == 39
    assert event.data == b"abc\nabc\nab"


def test_memory_stays_bounded_while_a_line_never_ends() -> None:
    parser = Parser(1000)
    for _ in range(2_000):
        assert parser.feed(b"x" * 1000) == []
    held = sum(len(piece) for piece in parser._line)
    assert held < 100_000
    assert parser.feed(b"\n\ndata: on\n\n")[0].data == b"on"
