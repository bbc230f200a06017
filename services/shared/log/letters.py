"""The dead letters of a log on Kafka: a compacted topic by content hash, and an index of it in memory.

The broker cannot find a key, so whoever asks for dead letters reads the topic once and remembers where each
one is (about 150 bytes a letter); from then on only what is new is read. A removed letter is a record without a
value. The log's state says how far the topic is committed, so an answer holds every append that was
acknowledged before it.
"""

import asyncio
import heapq
from collections.abc import Iterable, Sequence
from typing import Any, Final, Self

from aiokafka import TopicPartition

from services.shared.log import clients
from services.shared.log.clients import Access
from services.shared.log.port import DeadLetter

_WAIT_MS: Final = 100
_POLL_MS: Final = 20
_RECORDS: Final = 500

Item = tuple[bytes, bytes | None, list[tuple[str, bytes]]]
"""Key, value and headers of a record."""


class Letters:
    """Create it with `open`, end it with `close`."""

    def __init__(self, partition: TopicPartition, consumer: Any) -> None:
        self._partition = partition
        self._consumer = consumer
        self._reached = 0
        self._places: dict[str, int] = {}
        self._turn = asyncio.Lock()

    @classmethod
    async def open(cls, access: Access, topic: str) -> Self:
        partition = TopicPartition(topic, 0)
        return cls(partition, await access.consumer([partition], wait_ms=_WAIT_MS))

    async def known(self, until: int) -> dict[str, int]:
        """The offset of each letter by hash, once everything before `until` is read."""
        async with self._turn:
            if self._reached < until:
                await self._read(until)
            return self._places

    async def page(self, until: int, after: str, limit: int) -> list[DeadLetter]:
        known = await self.known(until)
        later = (digest for digest in known if digest > after)
        return await self._fetch([known[one] for one in heapq.nsmallest(limit, later)])

    async def beginning_with(self, until: int, prefix: str) -> list[DeadLetter]:
        """At most two, which is one too many."""
        known = await self.known(until)
        found = [place for digest, place in known.items() if digest.startswith(prefix)]
        return await self._fetch(found[:2])

    async def close(self) -> None:
        await self._consumer.stop()

    async def _read(self, until: int) -> None:
        self._consumer.seek(self._partition, self._reached)
        with clients.told("the dead letters cannot be read"):
            async with asyncio.timeout(clients.PATIENCE):
                while self._reached < until:
                    await self._take()

    async def _take(self) -> None:
        self._consumer.resume(self._partition)
        found = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=_RECORDS)
        self._consumer.pause(self._partition)
        for record in found.get(self._partition, []):
            digest = record.key.decode()
            if record.value is None:
                self._places.pop(digest, None)
            else:
                self._places[digest] = record.offset
        self._reached = await self._consumer.position(self._partition)

    async def _fetch(self, places: Sequence[int]) -> list[DeadLetter]:
        async with self._turn:
            with clients.told("the dead letters cannot be read"):
                async with asyncio.timeout(clients.PATIENCE):
                    found = [await self._one(place) for place in places]
        return [letter for letter in found if letter is not None]

    async def _one(self, offset: int) -> DeadLetter | None:
        """None if it has been removed meanwhile."""
        self._consumer.seek(self._partition, offset)
        self._consumer.resume(self._partition)
        record = await self._consumer.getone()
        self._consumer.pause(self._partition)
        return _letter(record) if record.offset == offset else None


def items(letters: Iterable[DeadLetter], removed: Iterable[str], now: int) -> list[Item]:
    """The records of new letters and of removed ones."""
    kept: list[Item] = [(one.hash.encode(), one.raw, _headers(one, now)) for one in letters]
    return [*kept, *((digest.encode(), None, []) for digest in removed)]


def _headers(letter: DeadLetter, now: int) -> list[tuple[str, bytes]]:
    texts = {
        "reason": letter.reason,
        "detail": letter.detail,
        "source": letter.source,
        "cursor": letter.cursor,
        "at": str(letter.at or now),
    }
    return [(name, text.encode()) for name, text in texts.items()]


def _letter(record: Any) -> DeadLetter:
    texts = {name: value.decode() for name, value in record.headers}
    at = int(texts.pop("at"))
    return DeadLetter(record.key.decode(), record.value, **texts, at=at)
