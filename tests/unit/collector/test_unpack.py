"""Encoded bodies, whole and cut, honest and not."""

import gzip
import zlib
from collections.abc import Callable
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collector.source.unpack import PIECE, Broken, unpacking


def raw_deflate(text: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(text) + stream.flush()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "identity": bytes,
    "gzip": gzip.compress,
    "GZIP ": gzip.compress,
    "deflate": zlib.compress,
    " deflate": raw_deflate,
}


@pytest.mark.parametrize("encoding", PACKERS)
@given(text=st.binary(max_size=2_000), step=st.integers(1, 50))
def test_any_text_in_any_pieces(encoding: str, text: bytes, step: int) -> None:
    packed = PACKERS[encoding](text)
    unpack = unpacking(encoding)
    assert unpack is not None
    pieces = [packed[at : at + step] for at in range(0, len(packed), step)]
    assert b"".join(piece for chunk in pieces for piece in unpack(chunk)) == text


def test_what_was_flushed_is_there_at_once() -> None:
    """A stream that never ends comes in flushes, and an event must not wait for the next one."""
    unpack, stream = unpacking("gzip"), zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    assert unpack is not None
    for number in range(5):
        event = b"data: %d\n\n" % number
        flushed = stream.compress(event) + stream.flush(zlib.Z_SYNC_FLUSH)
        assert b"".join(unpack(flushed)) == event


def test_members_follow_each_other() -> None:
    unpack = unpacking("gzip")
    assert unpack is not None
    assert b"".join(unpack(gzip.compress(b"one") + gzip.compress(b"two"))) == b"onetwo"


def test_a_bomb_is_unpacked_a_piece_at_a_time() -> None:
    bomb = gzip.compress(bytes(300_000_000), 9)
    assert len(bomb) < 400_000
    unpack = unpacking("gzip")
    assert unpack is not None
    pieces = list(islice(unpack(bomb), 20))
    assert [len(piece) for piece in pieces] == [PIECE] * 20


def test_damage_is_said() -> None:
    unpack = unpacking("gzip")
    assert unpack is not None
    packed = bytearray(gzip.compress(b"text" * 100))
    packed[15] ^= 0xFF
    with pytest.raises(Broken, match="damaged"):
        list(unpack(bytes(packed)))


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, deflate", "x"])
def test_an_encoding_that_nobody_asked_for_is_none(encoding: str) -> None:
    assert unpacking(encoding) is None
