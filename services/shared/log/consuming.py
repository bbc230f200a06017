"""Reading the events of a log on Kafka: any stretch from any position, in steps of a caller's size.

A reader holds what the broker sent beyond what was asked for, per partition, and hands it out when the next
read begins where the last one has ended, as it mostly does. A read of another place drops it and seeks.
Partitions are paused between reads, so nothing is fetched that nobody asks for, and no fetch of an old place
stands before one of a new place.

How far a partition has been read is the consumer's position, never the last record's offset + 1: the ends of
transactions and what was aborted leave holes, which the position passes and no record shows.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

from aiokafka import TopicPartition

from services.shared.domain.positions import Vector, lower
from services.shared.log import clients
from services.shared.log.clients import Access
from services.shared.log.port import MOST_BYTES, Batch, Record

_WAIT_MS: Final = 100
_POLL_MS: Final = 20
# Records that are unpacked in one go: a few milliseconds, then others have their turn.
_RECORDS: Final = 500


class Reader:
    """Create it with `open`, end it with `close`. One read at a time."""

    def __init__(self, partitions: Sequence[TopicPartition], consumer: Any) -> None:
        self._partitions = partitions
        self._consumer = consumer
        # Where the next read goes on (-1: nowhere yet), what is held from there, how far that goes.
        self._at = [-1] * len(partitions)
        self._held: list[deque[Record]] = [deque() for _ in partitions]
        self._reached = [-1] * len(partitions)

    @classmethod
    async def open(cls, access: Access, partitions: Sequence[TopicPartition]) -> Self:
        """`partitions` are all of a topic, in order."""
        return cls(partitions, await access.consumer(partitions, wait_ms=_WAIT_MS))

    async def read(
        self, since: Vector, limit: int, until: Vector | None, end: Vector, time: int
    ) -> Batch:
        """As the port's `read`, of a log that has this end and log time."""
        bounds = end if until is None else lower(until, end)
        self._go_to(since)
        count = len(self._partitions)
        asked = {p: limit // count + 1 for p in range(count) if since[p] < bounds[p]}
        await self._fill(asked, end)
        records: list[Record] = []
        reached: list[int] = []
        times: list[int] = []
        size = 0
        for partition, bound in enumerate(bounds):
            # What one partition leaves of its share goes to the next ones; none gets nothing.
            left = count - partition
            share = max(1, (limit - len(records)) // left)
            await self._fill({partition: share + 1}, end)
            taken = self._take(partition, bound, share, (MOST_BYTES - size) // left)
            following = self._held[partition][0] if self._held[partition] else None
            records += taken
            size += sum(len(record.raw) for record in taken)
            if following is None or following.offset >= bound:
                reached.append(max(since[partition], bound))
            else:
                reached.append(taken[-1].offset + 1)
            times.append(time if following is None else following.appended_at)
            self._at[partition] = reached[-1]
        return Batch(tuple(records), since, tuple(reached), tuple(times))

    async def first_at(self, time: int, since: Vector, end: Vector) -> Vector:
        """The first positions from `since` on with that log time or a later one; `end` where none has it."""
        self._go_to(since)
        await self._fill(dict.fromkeys(range(len(since)), 1), end)
        found = []
        for partition, held in enumerate(self._held):
            while held and held[0].appended_at < time:
                held.popleft()
                await self._fill({partition: 1}, end)
            self._at[partition] = held[0].offset if held else end[partition]
            found.append(self._at[partition])
        return tuple(found)

    async def close(self) -> None:
        await self._consumer.stop()

    def _go_to(self, since: Vector) -> None:
        for number, offset in enumerate(since):
            if self._at[number] != offset:
                self._consumer.seek(self._partitions[number], offset)
                self._held[number].clear()
                self._at[number] = self._reached[number] = offset

    def _take(self, partition: int, bound: int, share: int, room: int) -> list[Record]:
        """At most `share` records and, from the second on, `room` bytes before `bound`."""
        held = self._held[partition]
        taken: list[Record] = []
        # What is taken is gone from here: until the read says where it ends, this place is nowhere.
        self._at[partition] = -1
        while held and len(taken) < share and held[0].offset < bound:
            room -= len(held[0].raw)
            if taken and room < 0:
                break
            taken.append(held.popleft())
        return taken

    async def _fill(self, counts: Mapping[int, int], end: Vector) -> None:
        """Hold so many records of each partition, or all that there are before `end`."""
        short = self._short(counts, end)
        if not short:
            return
        self._consumer.resume(*(self._partitions[number] for number in short))
        try:
            async with asyncio.timeout(clients.PATIENCE):
                while short:
                    await self._fetch(short)
                    short = self._short(counts, end)
        finally:
            self._consumer.pause(*self._partitions)

    def _short(self, counts: Mapping[int, int], end: Vector) -> list[int]:
        return [
            number
            for number, count in counts.items()
            if len(self._held[number]) < count and self._reached[number] < end[number]
        ]

    async def _fetch(self, short: Sequence[int]) -> None:
        """Asks for these alone: what is there of a paused one would be thrown away."""
        found = await self._consumer.getmany(
            *(self._partitions[number] for number in short),
            timeout_ms=_POLL_MS,
            max_records=_RECORDS,
        )
        for partition, records in found.items():
            self._held[partition.partition].extend(map(_record, records))
        for number in short:
            self._reached[number] = await self._consumer.position(self._partitions[number])
        if found:
            await asyncio.sleep(0)


def _record(found: Any) -> Record:
    return Record(found.partition, found.offset, found.key.decode(), found.timestamp, found.value)
