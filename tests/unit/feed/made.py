"""A feed without a network: readers that take everything, or as told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass

from services.serving.feed import places
from services.serving.feed.beginning import Beginnings
from services.serving.feed.feed import Feed
from services.serving.feed.frames import Block
from services.serving.feed.reader import Reader
from services.shared.domain.positions import Vector
from services.shared.log.port import EventLog
from services.shared.runtime.clock import SystemClock
from services.shared.speedview.port import Indexed, Search, SpeedView
from tests.frames import Frame, position, understood

PATIENCE = 30.0
LOOK = 0.01


class Pipe:
    """A connection whose reader takes everything, or as told."""

    def __init__(self) -> None:
        self.got = b""
        self.waiting = 0
        self.closed = False

    def send(self, block: Block) -> None:
        assert block.raw, "an empty chunk is the end of a stream"
        assert block.chunk == b"%x\r\n%b\r\n" % (len(block.raw), block.raw)
        self.got += block.raw

    async def drained(self) -> None:
        if self.closed:
            raise ConnectionResetError


@dataclass
class Attached:
    """A reader of a feed. `begun` is where it began."""

    pipe: Pipe
    search: Search
    begun: Vector
    reading: asyncio.Task[None]

    @property
    def frames(self) -> list[Frame]:
        return understood(self.pipe.got)[0]

    @property
    def events(self) -> list[str]:
        return [frame.data["id"] for frame in self.frames if frame.event == "message"]

    @property
    def id(self) -> str:
        return understood(self.pipe.got)[1]

    @property
    def reached(self) -> Vector:
        """Where it goes on if it is cut off now."""
        return position(self.id) if self.id else self.begun

    async def until(self, wanted: Callable[[Attached], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not wanted(self):  # noqa: ASYNC110 - what it waits for is bytes that were sent
                await asyncio.sleep(LOOK)

    async def ended(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.reading

    async def leave(self) -> None:
        self.reading.cancel()
        await asyncio.wait({self.reading})


class Served:
    """A feed and its readers, with a beat that is quick."""

    def __init__(self, speed: SpeedView, log: EventLog, *, most: int = 99) -> None:
        self.feed = Feed(speed, log.identity, SystemClock(), most=most, beat=LOOK)
        self._beginnings = Beginnings(speed, log)
        self._log = log.identity
        self._readers: list[Attached] = []

    async def attach(
        self, search: Search | None = None, *, at: Vector | str | None = None, last: int = 0
    ) -> Attached:
        """A reader that begins now, or goes on at a position or an id."""
        begun: asyncio.Future[Attached] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._read(begun, search or Search(), at, last))
        task.add_done_callback(lambda _: begun.done() or begun.cancel())
        try:
            await begun
        except asyncio.CancelledError:
            await task  # raises what it was refused for
        self._readers.append(begun.result())
        return begun.result()

    async def close(self) -> None:
        await self.feed.close()
        for reader in self._readers:
            if not reader.reading.cancelled():
                await reader.ended()

    async def _read(
        self,
        begun: asyncio.Future[Attached],
        search: Search,
        at: Vector | str | None,
        last: int,
    ) -> None:
        async with self.feed.seat() as (fan_out, recent):
            if at is None:
                beginning = await self._beginnings.newest(
                    search, last, floor=fan_out.floor, until=recent.position
                )
            else:
                id_ = places.read(at) if isinstance(at, str) else places.Id(self._log, at)
                assert id_ is not None
                beginning = await self._beginnings.resumed(id_, floor=fan_out.floor)
            pipe = Pipe()
            reader = Reader(pipe, search, beginning.position)
            task = asyncio.current_task()
            assert task is not None
            for block in beginning.told:
                reader.push(block)
            begun.set_result(Attached(pipe, search, beginning.position, task))
            await self.feed.run(reader, fan_out, recent)


@contextlib.asynccontextmanager
async def served(speed: SpeedView, log: EventLog, *, most: int = 99) -> AsyncIterator[Served]:
    served = Served(speed, log, most=most)
    try:
        yield served
    finally:
        await served.close()


def ordered(found: Iterable[Indexed]) -> list[Indexed]:
    """In order of the feed."""
    return sorted(found, key=lambda one: (one.appended_at, one.partition, one.offset))


def within(found: Iterable[Indexed], since: Vector, until: Vector) -> list[Indexed]:
    return ordered(
        one for one in found if since[one.partition] <= one.offset < until[one.partition]
    )
