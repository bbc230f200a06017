"""A recording as a source: files of recentchange events, one JSON object a line.

It is replayed at a multiple of its own speed, or as fast as it is taken. A thread of its own reads
and decompresses, a block at a time and never ahead of the consumer. The cursor is a place in the
recording (see `recording.Place`); the source's name stands for the content, so that a cursor is
never applied to another recording.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import msgspec

from services.collector.source import recording
from services.collector.source.lines import Line
from services.collector.source.pace import Pace, event_time
from services.collector.source.port import Frame, Measured, Progress, Source
from services.collector.source.recording import Block, Place, Recording
from services.shared.runtime.clock import Clock

FASTEST: Final = "max"


class Recorded:
    """Create it with `open`, which looks at the files."""

    def __init__(self, found: Recording, speed: str, clock: Clock) -> None:
        self._recording = found
        self._speed = speed
        self._clock = clock
        self._done = 0

    @classmethod
    async def open(
        cls, path: Path, *, speed: str = FASTEST, largest: int = 1 << 20, clock: Clock
    ) -> Self:
        """The recording at a path; `speed` is a number of times its own, or `max`."""
        return cls(await asyncio.to_thread(recording.find, path, largest), speed, clock)

    @property
    def name(self) -> str:
        return f"recorded:{self._recording.identity}"

    @property
    def description(self) -> str:
        return self._recording.description

    @property
    def progress(self) -> Progress:
        """Bytes of the files as they are on disk."""
        return Progress(self._done, sum(self._recording.sizes))

    async def frames(self, cursor: str | None) -> AsyncIterator[Frame]:
        place = None if cursor is None else msgspec.json.decode(cursor, type=Place)
        blocks = recording.blocks(self._recording, place)
        pace = None if self._speed == FASTEST else Pace(float(self._speed))
        thread = ThreadPoolExecutor(1, thread_name_prefix="recording")
        loop = asyncio.get_running_loop()
        try:
            while block := await loop.run_in_executor(thread, next, blocks, None):
                start = 0
                for index, wait in self._waits(block.lines, pace) if pace else ():
                    if index > start:
                        yield _frame(block, block.lines[start:index])
                    await asyncio.sleep(wait)
                    start = index
                self._done = block.done
                yield _frame(block, block.lines[start:])
        finally:
            thread.submit(blocks.close)  # once it has read what it may be reading
            thread.shutdown(wait=False)

    def _waits(self, lines: list[Line], pace: Pace) -> Iterator[tuple[int, float]]:
        """The lines that are not due yet when it is their turn, by index."""
        for index, line in enumerate(lines):
            wait = pace.wait(event_time(line.payload), self._clock.monotonic())
            if wait > 0:
                yield index, wait


def _frame(block: Block, lines: list[Line]) -> Frame:
    last = lines[-1]
    place = Place(block.file, last.number, last.end, block.number)
    cursor = msgspec.json.encode(place).decode()
    cut = {n: line.size for n, line in enumerate(lines) if line.size > len(line.payload)}
    return Frame(tuple(line.payload for line in lines), cursor, cut=cut)


if TYPE_CHECKING:
    _source: type[Source] = Recorded
    _measured: type[Measured] = Recorded
