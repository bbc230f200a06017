"""The body of a response as text, in pieces of bounded size, whatever its `Content-Encoding`.

A few packed bytes can become gigabytes, so nothing is unpacked that nobody has asked for yet: a piece has
at most 64 KiB, and who reads decides when the next one is made.
"""

import zlib
from collections.abc import Callable, Iterator
from typing import Final

PIECE: Final = 64 * 1024
ENCODINGS: Final = ("gzip", "deflate")

_HEADER: Final = 2
_GZIP_MAGIC: Final = b"\x1f\x8b"
_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS
_RAW: Final = -zlib.MAX_WBITS

Unpack = Callable[[bytes], Iterator[bytes]]


class Broken(Exception):
    """The body is not what its encoding says."""


def unpacking(encoding: str) -> Unpack | None:
    """What unpacks a response's body; None for an encoding that was not asked for."""
    encoding = encoding.strip().lower()
    if encoding in {"", "identity"}:
        return _plain
    return _Inflate() if encoding in ENCODINGS else None


def _plain(chunk: bytes) -> Iterator[bytes]:
    yield chunk


class _Inflate:
    """gzip, and deflate in both ways in which servers understand it: with zlib's header and without."""

    def __init__(self) -> None:
        self._start = b""
        self._stream: zlib._Decompress | None = None

    def __call__(self, packed: bytes) -> Iterator[bytes]:
        if self._stream is None:
            self._start = packed = self._start + packed
            if len(packed) < _HEADER:
                return
            self._stream = zlib.decompressobj(_GZIP_OR_ZLIB if _has_header(packed) else _RAW)
        try:
            yield from self._pieces(self._stream, packed)
        except zlib.error as error:
            raise Broken(f"the compressed body is damaged ({error})") from None

    def _pieces(self, stream: "zlib._Decompress", packed: bytes) -> Iterator[bytes]:
        piece = b"more"
        while packed or len(piece) == PIECE:
            if stream.eof:  # several members may follow each other
                stream = self._stream = zlib.decompressobj(_GZIP_OR_ZLIB)
            piece = stream.decompress(packed, PIECE)
            packed = stream.unused_data if stream.eof else stream.unconsumed_tail
            if piece:
                yield piece


def _has_header(start: bytes) -> bool:
    first, second = start[0], start[1]
    zlibs = first & 0x0F == zlib.DEFLATED and (first << 8 | second) % 31 == 0
    return start.startswith(_GZIP_MAGIC) or zlibs
