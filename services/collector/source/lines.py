r"""The lines of a recording's file, plain or compressed, in bounded memory.

A file is read in chunks. A line is handed on with the offset (in the decompressed text) and the
number that reading continues at after it. Of a line longer than the largest event one byte more than
that is kept, so that it is rejected as too large instead of filling the memory. Blank lines are skipped,
`\r\n` is a line's end too, and the last line needs none. A file that is damaged or cut off gives
all whole lines before the damage, then refuses.
"""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import zstandard

from services.shared.runtime.exits import Refused

SUFFIXES: Final = (".jsonl", ".jsonl.gz", ".jsonl.zst")

_CHUNK: Final = 1 << 16
# A zstd block of a few bytes may hold 128 KiB of text: so much input can't become gigabytes.
_ZSTD_CHUNK: Final = 1 << 10


class Line(NamedTuple):
    """A payload; `number` and `end` are the lines and bytes of text up to and with this one. `size`
    is larger than the payload's where that is cut.
    """

    payload: bytes
    size: int
    number: int
    end: int


def lines(
    path: Path, file: BinaryIO, *, largest: int, number: int = 0, offset: int = 0
) -> Iterator[Line]:
    """The lines after `offset`, which is a line's end; `number` lines precede it."""
    kept, skipped, end = b"", 0, offset
    for chunk in _text(path, file, offset):
        first, *others = chunk.split(b"\n")
        kept, skipped = _longer(kept, skipped, first, largest)
        for other in others:
            number, end = number + 1, end + len(kept) + skipped + 1
            if payload := _payload(kept):
                yield Line(payload, len(payload) + skipped, number, end)
            kept, skipped = _longer(b"", 0, other, largest)
    if payload := _payload(kept):
        size = len(payload) + skipped
        yield Line(payload, size, number + 1, end + len(kept) + skipped)


def _longer(kept: bytes, skipped: int, more: bytes, largest: int) -> tuple[bytes, int]:
    """A line goes on: no more of it is kept than shows that it is too long."""
    room = largest + 1 - len(kept)
    return kept + more[:room], skipped + max(0, len(more) - room)


def _payload(line: bytes) -> bytes:
    return b"" if line.isspace() else line.removesuffix(b"\r")


def _text(path: Path, file: BinaryIO, offset: int) -> Iterator[bytes]:
    """The text from `offset` on in chunks; what goes wrong is a refusal that says where."""
    plain = path.name.endswith(".jsonl")
    at = file.seek(offset) if plain else 0
    try:
        for chunk in _plain(file) if plain else _decompressed(path, file):
            at += len(chunk)
            if at > offset:
                yield chunk[max(0, len(chunk) - (at - offset)) :]
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise Refused(
            f"{path}: damaged or cut off after byte {at} of its text ({error});"
            " everything before has been taken in; give a whole copy to read on"
        ) from error


def _decompressed(path: Path, file: BinaryIO) -> Iterator[bytes]:
    return _gzip(file) if path.name.endswith(".gz") else _zstd(file)


def _plain(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk


def _gzip(file: BinaryIO) -> Iterator[bytes]:
    # read1, not read: what precedes the damage comes out before the error.
    with gzip.GzipFile(fileobj=file, mode="rb") as text:
        while chunk := text.read1(_CHUNK):
            yield chunk


def _zstd(file: BinaryIO) -> Iterator[bytes]:
    # Frame by frame: the library's own reader takes a file that is cut off for a whole one.
    decompressor = zstandard.ZstdDecompressor()
    frame = None
    while compressed := file.read(_ZSTD_CHUNK):
        while compressed:
            frame = frame or decompressor.decompressobj()
            if text := frame.decompress(compressed):
                yield text
            compressed = frame.unused_data if frame.eof else b""
            frame = None if frame.eof else frame
    if frame is not None:
        raise EOFError("the last frame has no end")
