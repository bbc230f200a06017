"""The bytes of the feed: `text/event-stream` as the WHATWG defines it.

An `id:` line goes with every change, and alone where a stretch had nothing for the reader: a block
without data moves a client's last id and calls nobody. Frames that are no change never carry one, or a
client would take itself to be further than it has been given.

HTTP/1.1 sends a stream in chunks. What many readers get is framed once.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

RETRY: Final = b"retry: 3000\n\n"
HEARTBEAT: Final = b":\n\n"
_encoder: Final = msgspec.json.Encoder()


class Block(NamedTuple):
    """Whole frames, and the same as one chunk of HTTP/1.1; `events` of them are changes."""

    raw: bytes
    chunk: bytes
    events: int


def data(row: msgspec.Struct) -> bytes:
    """JSON has no line breaks of its own, so one line is enough for anything."""
    return b"data: %b\n\n" % _encoder.encode(row)


def event(id_: bytes, line: bytes) -> bytes:
    return b"id: %b\n%b" % (id_, line)


def moved(id_: bytes) -> bytes:
    return b"id: %b\n\n" % id_


def notice(name: bytes, told: msgspec.Struct) -> bytes:
    return b"event: %b\n%b" % (name, data(told))


def block(frames: Sequence[bytes], events: int = 0) -> Block:
    raw = b"".join(frames)
    return Block(raw, b"%x\r\n%b\r\n" % (len(raw), raw), events)
