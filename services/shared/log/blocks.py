"""Blocks: how the embedded log keeps its records, many at a time and compressed.

A block holds consecutive records of one partition as four columns: offsets and append times as
differences from the one before (almost always 1 and 0, so they compress to nothing), keys, and raw
bytes. An event alone compresses to about half, among its like to a fifth; so an append writes the
blocks it has, however small, and `runs` finds neighbours that are worth joining later.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, repeat
from operator import sub
from typing import Final

import msgspec
import zstandard

from services.shared.log.port import Record

BLOCK_BYTES: Final = 512 * 1024
"""Raw bytes of a full block; the record that fills it may go beyond."""
_SMALL_BYTES: Final = BLOCK_BYTES // 2
# The end of the log grows: joining its small blocks every time would write the same bytes often.
_OPEN_RUN: Final = 16

FAST: Final = 3
DENSE: Final = 9

_Columns = tuple[list[int], list[int], list[str], list[bytes]]
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Columns)


class _Zstandard(threading.local):
    """Costs more to make than to use for a small block; each thread needs its own."""

    def __init__(self) -> None:
        self.compressors = {level: zstandard.ZstdCompressor(level=level) for level in (FAST, DENSE)}
        self.decompressor = zstandard.ZstdDecompressor()


_zstandard = _Zstandard()


@dataclass(frozen=True, slots=True)
class Block:
    """Records with offsets in [first, until); no other record of the partition has one of these."""

    partition: int
    first: int
    until: int
    first_at: int
    last_at: int
    bytes: int


def block_of(records: Sequence[Record]) -> Block:
    first, last = records[0], records[-1]
    return Block(
        first.partition,
        first.offset,
        last.offset + 1,
        first.appended_at,
        last.appended_at,
        sum(len(record.raw) for record in records),
    )


def encode(records: Sequence[Record], level: int) -> bytes:
    offsets = [record.offset for record in records]
    times = [record.appended_at for record in records]
    columns: _Columns = (
        _differences(offsets),
        _differences(times),
        [record.key for record in records],
        [record.raw for record in records],
    )
    return _zstandard.compressors[level].compress(_encoder.encode(columns))


def decode(partition: int, blob: bytes) -> list[Record]:
    offsets, times, keys, raws = _decoder.decode(_zstandard.decompressor.decompress(blob))
    columns = (repeat(partition), accumulate(offsets), keys, accumulate(times), raws)
    return list(map(Record, *columns))


def split(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """The records in pieces for a block each, about equally big, in order."""
    total = sum(len(record.raw) for record in records)
    enough = total / max(1, -(-total // BLOCK_BYTES))
    begin, size = 0, 0
    for end, record in enumerate(records, 1):
        size += len(record.raw)
        if size >= enough or end == len(records):
            yield records[begin:end]
            begin, size = end, 0


def runs(blocks: Iterable[Block]) -> Iterator[list[Block]]:
    """Neighbouring small blocks that fit into one, from the blocks of a partition in order."""
    run: list[Block] = []
    size = 0
    for block in blocks:
        small = block.bytes < _SMALL_BYTES
        if not small or size + block.bytes > BLOCK_BYTES:
            if len(run) > 1:
                yield run
            run, size = [], 0
        if small:
            run.append(block)
            size += block.bytes
    if len(run) >= _OPEN_RUN:
        yield run


def _differences(numbers: list[int]) -> list[int]:
    return [*numbers[:1], *map(sub, numbers[1:], numbers)]
