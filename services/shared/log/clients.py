"""The clients of a Kafka cluster, set up as the log needs them.

aiokafka's defaults suit a demonstration: it commits by itself, skips to the end when a position is gone, shows
what was never committed, and may store a batch twice. Each of them is named here with the value that is safe
for us (tests/unit/log/test_kafka.py compares the two lists), and no client of the log is made anywhere else.

There is no consumer group: readers know their positions, which are kept with what they have made of them, and
a position that is gone is told to the reader instead of mended.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import InvalidProducerEpoch, KafkaConnectionError, KafkaError, ProducerFenced

from services.shared.runtime.exits import Exit, Refused
from services.shared.runtime.unavailable import Unavailable

PATIENCE: Final = 10.0
"""Seconds after which a server that does not answer is called away; of a transaction too."""
BATCH_BYTES: Final = 512 * 1024
"""Raw bytes of a batch: compressed well, and packed or unpacked in a few milliseconds, which is so long the
event loop stands still.
"""

_WAIT_MS: Final = round(PATIENCE * 1000)
COMMON: Final[dict[str, Any]] = {"request_timeout_ms": _WAIT_MS, "retry_backoff_ms": 50}
CONSUMER: Final[dict[str, Any]] = COMMON | {
    "group_id": None,
    "enable_auto_commit": False,
    "auto_offset_reset": "none",
    "isolation_level": "read_committed",
    "check_crcs": True,
    "max_partition_fetch_bytes": BATCH_BYTES,
}
PRODUCER: Final[dict[str, Any]] = COMMON | {
    "acks": "all",
    "enable_idempotence": True,
    "compression_type": "zstd",
    "max_batch_size": BATCH_BYTES,
    # Whole batches are handed over, so there is nothing to wait for.
    "linger_ms": 0,
    "transaction_timeout_ms": _WAIT_MS,
}

# What the driver has to say of a server that is away it says fifty times a second. What matters of it is raised.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)

Fenced = (ProducerFenced, InvalidProducerEpoch)
"""Another producer has the transactional id. Nothing of ours is stored from then on."""
Trouble = (KafkaError, TimeoutError)
"""A server that is away, slow or busy with itself, or an answer that was lost."""


@dataclass(frozen=True, slots=True)
class Access:
    """Where the cluster is, and how to get in: `security` are aiokafka's own names (security_protocol,
    ssl_context, sasl_mechanism, …).
    """

    servers: str
    security: Mapping[str, Any] = field(default_factory=dict, repr=False)

    async def consumer(
        self, partitions: Sequence[TopicPartition] = (), *, wait_ms: int = 0
    ) -> AIOKafkaConsumer:
        """Started, with these partitions, not fetching yet (see `resume`); a fetch that finds nothing is
        answered after `wait_ms`.
        """
        made = AIOKafkaConsumer(
            bootstrap_servers=self.servers, fetch_max_wait_ms=wait_ms, **CONSUMER, **self.security
        )
        await _started(made)
        if partitions:
            made.assign(list(partitions))
            made.pause(*partitions)
        return made

    async def producer(self, transactional_id: str | None = None) -> AIOKafkaProducer:
        """Started, which fences another one with the same id and ends its transaction."""
        made = AIOKafkaProducer(
            bootstrap_servers=self.servers,
            transactional_id=transactional_id,
            **PRODUCER,
            **self.security,
        )
        await _started(made)
        return made

    @asynccontextmanager
    async def administering(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.servers, **COMMON, **self.security)
        try:
            await admin.start()
            if admin._client.cluster.controller is None:  # noqa: SLF001 - it would be asked all the same
                raise KafkaConnectionError("the cluster names no controller yet")
            yield admin
        finally:
            await admin.close()


async def _started(client: AIOKafkaConsumer | AIOKafkaProducer) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            await client.start()
    except AssertionError as error:
        # A broker that comes back names nobody, itself included, until its controller knows of it.
        await client.stop()
        raise KafkaConnectionError("the cluster names no broker yet") from error
    except BaseException:
        await client.stop()
        raise


async def abandon(producer: AIOKafkaProducer) -> None:
    """Ends it without waiting for a server: what it has not sent is lost, what it has in a transaction is undone
    by the next one with its id, or by the broker in time.
    """
    # Its stop() would wait for what it still wants to send, for ever if the server is away.
    sending = producer._message_accumulator  # noqa: SLF001
    batches = [*chain.from_iterable(sending._batches.values()), *sending._pending_batches]  # noqa: SLF001
    sending.fail_all(KafkaError("abandoned"))
    answers = [answer for one in batches for answer in (one.future, one._drain_waiter)]  # noqa: SLF001
    for answer in [*answers, producer._txn_manager._transaction_waiter]:  # noqa: SLF001
        if answer is not None and answer.done() and not answer.cancelled():
            answer.exception()  # heard: the event loop need not tell of it
    try:
        async with asyncio.timeout(1):
            await producer.stop()
    except (TimeoutError, KafkaError):
        await producer.client.close()


def fenced() -> Refused:
    return Refused(
        "another collector has taken over this log, or a transaction took longer than"
        f" {PATIENCE:.0f} s; this one has stored nothing since and ends",
        Exit.TEMPORARY,
    )


@contextmanager
def told(doing: str) -> Iterator[None]:
    """Turns what the driver raises into what the port promises."""
    try:
        yield
    except Fenced:
        raise fenced() from None
    except Trouble as error:
        reason = str(error) or type(error).__name__
        raise Unavailable(f"kafka: {doing}: {reason}") from error
