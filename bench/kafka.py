"""The event log on a real Kafka, beside the least that aiokafka needs for the same events.

The peer sends each event by itself, in large batches, without transactions, ledger or positions, and counts
what comes back. It is given the same topic settings, compression and durability. Both are measured in turns.
"""

import asyncio
import secrets
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import NewTopic

from bench.figures import Figure
from bench.log import entries
from services.shared.domain.positions import zero
from services.shared.log.clients import Access
from services.shared.log.kafka import KafkaLog
from services.shared.log.port import Entry
from services.shared.runtime.clock import SystemClock
from tests.launchers import kafka
from tests.launchers.__main__ import running

BULK = 5000
PARTITIONS = 12
ROUNDS = 3
LIVE = 100


async def timed(work: Awaitable[object]) -> float:
    start = time.perf_counter()
    await work
    return time.perf_counter() - start


async def append(log: KafkaLog, some: Sequence[Entry], size: int) -> None:
    for begin in range(0, len(some), size):
        await log.append(some[begin : begin + size])


async def read(log: KafkaLog) -> None:
    since = zero(PARTITIONS)
    while (batch := await log.read(since, limit=2000)).until != since:
        since = batch.until


async def send(producer: Any, topic: str, some: Sequence[Entry]) -> None:
    for begin in range(0, len(some), BULK):
        piece = some[begin : begin + BULK]
        sent = [await producer.send(topic, entry.raw, entry.key.encode()) for entry in piece]
        await asyncio.gather(*sent)


async def receive(access: Access, topic: str, count: int) -> None:
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    consumer = await access.consumer(partitions, wait_ms=500)
    for partition in partitions:
        consumer.seek(partition, 0)
    consumer.resume(*partitions)
    while count > 0:
        found = await consumer.getmany(timeout_ms=1000)
        count -= sum(map(len, found.values()))
    await consumer.stop()


async def ours(url: str, some: Sequence[Entry]) -> tuple[float, float]:
    """Events a second, appended and read."""
    log = await KafkaLog.open(f"{url}/{_name()}", partitions=PARTITIONS, clock=SystemClock())
    appending, reading = await timed(append(log, some, BULK)), await timed(read(log))
    await log.close()
    return len(some) / appending, len(some) / reading


async def theirs(url: str, some: Sequence[Entry]) -> tuple[float, float]:
    access, topic = Access(url.removeprefix("kafka://")), _name()
    async with access.administering() as admin:
        await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
    producer = await access.producer()
    await producer.partitions_for(topic)
    sending = await timed(send(producer, topic, some))
    await producer.stop()
    return len(some) / sending, len(some) / await timed(receive(access, topic, len(some)))


async def latency(url: str, some: Sequence[Entry]) -> float:
    """Milliseconds of the median append of one event."""
    log = await KafkaLog.open(f"{url}/{_name()}", partitions=PARTITIONS, clock=SystemClock())
    times = [await timed(log.append([entry])) for entry in some[:LIVE]]
    await log.close()
    return statistics.median(times) * 1000


def _name() -> str:
    return f"bench-{secrets.token_hex(4)}"


def figures() -> list[Figure]:
    """Rates of appends and reads against the bare driver's, and what one append takes."""
    some = entries()
    with running([kafka.NAME]) as (urls, _):
        url = urls[kafka.VARIABLE]

        def rates(way: Callable[[str, Sequence[Entry]], Any]) -> tuple[float, float]:
            found: tuple[float, float] = asyncio.run(way(url, some))
            return found

        rates(ours)  # the broker's own code is compiled by then
        rounds = [(rates(ours), rates(theirs)) for _ in range(ROUNDS)]
        single = asyncio.run(latency(url, some))
    names = (f"append, {BULK:,} at a time", "read, 2,000 at a time")
    found = [_figure(name, [(a[n], b[n]) for a, b in rounds]) for n, name in enumerate(names)]
    return [*found, Figure("append of one event, median", single, "ms")]


def _figure(name: str, rounds: Sequence[tuple[float, float]]) -> Figure:
    ratios = sorted(a / b for a, b in rounds)
    return Figure(
        name,
        statistics.median(a for a, _ in rounds),
        "events/s",
        "aiokafka alone",
        statistics.median(ratios),
        ratios[0],
        ratios[-1],
        ">= 0.7",
    )
