"""Bytes of a `text/event-stream` -> events, however the network cuts them. Pure and incremental.

The rules are those of the WHATWG (HTML standard, 9.2.6 "Interpreting an event stream"): a line ends with
LF, CR or CRLF; a byte order mark may come first; `data` lines of one event are joined by line feeds; an
`id` stays until the next one; a blank line gives the event out; a line that starts with a colon is a
comment. Text stays bytes here: whether it is UTF-8 is for `decode.parse` to say, which keeps what is not.

Nearly every event looks the same and lies whole within a piece: those are cut out at once, which takes an
eighth of the time of going through the lines. `Parser` falls back on the lines for all others.

Memory is bounded. Of an event larger than `largest` one byte more than that is kept, so that it is
rejected as too large with its true size, and the stream goes on behind it.
"""

import re
from typing import Final

import msgspec

_BOM: Final = b"\xef\xbb\xbf"
_LONGEST_FIELD: Final = 64 * 1024  # of any other field than data: ours are below 1 kB
_LONGEST_NUMBER: Final = 9
_DATA: Final = b"data: "
_MESSAGE: Final = b"message"
_USUAL = re.compile(rb"event: message\nid: ([^\n]*)\ndata: ")
_BLANK: Final = b"\n\n"  # the end of an event and an empty line


class Event(msgspec.Struct, frozen=True, gc=False):
    """`size` is that of the whole data, of which `data` is cut where it is too large."""

    data: bytes
    id: bytes
    type: bytes
    size: int


class Parser:
    """Feed it the body of one response, in pieces of any size."""

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._usual_size = min(largest, _LONGEST_FIELD)
        self._begun = False
        self._after_cr = False
        self._line: list[bytes] = []  # of a line that has not ended
        self._kept = 0  # bytes in it
        self._skipped = 0  # bytes of it that are not kept
        self._data: list[bytes] = []
        self._size = -1  # of the data so far: every line of it adds a line feed, but the first
        self._type = b""
        self._id = b""
        self.retry: float | None = None
        """Seconds that the server wants a client to wait before it connects again."""

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that end in this piece."""
        if not self._begun:
            chunk = self._without_mark(chunk)
        if not chunk:
            return []
        if self._after_cr or b"\r" in chunk:
            chunk = self._unified(chunk)
        events: list[Event] = []
        at = 0
        while at < len(chunk):
            at = self._usual(chunk, at, events) if self._is_between else at
            end = chunk.find(_BLANK, at) + len(_BLANK)
            if end < len(_BLANK):
                end = len(chunk)
            self._by_lines(chunk[at:end], events)
            at = end
        return events

    @property
    def _is_between(self) -> bool:
        """Whether nothing of an event has been taken."""
        return self._size < 0 and not (self._line or self._skipped or self._type)

    def _usual(self, chunk: bytes, at: int, events: list[Event]) -> int:
        """Takes whole events of three lines in the upstream's order; returns where others begin."""
        while start := _USUAL.match(chunk, at):
            name, begin = start[1], start.end()
            end = chunk.find(b"\n", begin)
            is_whole = end > begin and chunk.startswith(b"\n", end + 1)
            if not is_whole or b"\0" in name or end - at > self._usual_size:
                break
            self._id = name
            events.append(Event(chunk[begin:end], name, _MESSAGE, end - begin))
            at = end + len(_BLANK)
        return at

    def _by_lines(self, text: bytes, events: list[Event]) -> None:
        first, *others = text.split(b"\n")
        self._longer(first)
        if not others:
            return
        self._take(b"".join(self._line), self._skipped, events)
        self._line.clear()
        self._kept = self._skipped = 0
        last = others.pop()
        for line in others:
            self._take(line, 0, events)
        self._longer(last)

    def _without_mark(self, chunk: bytes) -> bytes:
        """The first bytes wait until it is clear whether they are a byte order mark."""
        start = b"".join(self._line) + chunk
        self._line.clear()
        if len(start) < len(_BOM) and _BOM.startswith(start):
            self._line.append(start)
            return b""
        self._begun = True
        return start.removeprefix(_BOM)

    def _unified(self, chunk: bytes) -> bytes:
        """With LF for every line's end; a CR at the end of a piece may be half of one."""
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        self._after_cr = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _longer(self, piece: bytes) -> None:
        room = self._largest + 1 + len(_DATA) + _LONGEST_FIELD - self._kept
        if len(piece) > room:
            self._skipped += len(piece) - max(0, room)
            piece = piece[: max(0, room)]
        if piece:
            self._line.append(piece)
            self._kept += len(piece)

    def _take(self, line: bytes, skipped: int, events: list[Event]) -> None:
        if not line:
            self._give_out(events)
            return
        if line.startswith(_DATA):  # all but a few bytes of a stream: copied once only
            self._add(line[len(_DATA) :], len(line) - len(_DATA) + skipped)
            return
        name, _, value = line.partition(b":")
        if value.startswith(b" "):
            value = value[1:]
        if name == b"data":
            self._add(value, len(value) + skipped)
        elif len(value) > _LONGEST_FIELD:
            return
        elif name == b"id":
            if b"\0" not in value:
                self._id = value
        elif name == b"event":
            self._type = value
        elif name == b"retry" and value.isdigit() and len(value) <= _LONGEST_NUMBER:
            self.retry = int(value) / 1000

    def _add(self, value: bytes, size: int) -> None:
        room = self._largest + 1 - max(0, self._size)
        self._size += 1 + size
        if room > 0:
            self._data.append(value[:room])

    def _give_out(self, events: list[Event]) -> None:
        if self._size >= 0:
            data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
            events.append(
                Event(data[: self._largest + 1], self._id, self._type or _MESSAGE, self._size)
            )
        self._data.clear()
        self._size = -1
        self._type = b""
