"""The ledger of a log on Kafka: what every append leaves in `<prefix>.cursors`, and everybody reads along.

The last record of an append is the log's new *state*: its number, the log time, the end of the log in each
partition, the tallies. It is in the same transaction as the events, in one partition, so it is committed or
not at one moment, for everybody. That is why it is the ledger, not the broker's last stable offset, which says
where the log ends: a transaction's end reaches one partition after the other, and a reader that went by the
partitions' own ends would at times see half an append. What precedes the state's end is decided everywhere, or
is so within a moment, because the next transaction of one producer begins after the last one has ended.

Keys: `log:<identity>` (the first one counts, for ever), `state`, `cursor:<source>`, `gap:<number>`. Compaction
keeps the last of each, so a ledger stays short, and reading it from its start gives the whole of it.
"""

import asyncio
import contextlib
import uuid
from collections.abc import Sequence
from typing import Any, Final, Self

import msgspec
import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from services.shared.domain.positions import Vector
from services.shared.log import clients
from services.shared.log.clients import Access
from services.shared.log.port import Cursor, Gap
from services.shared.runtime.unavailable import Unavailable

Item = tuple[str, bytes]
"""Key and value of a record."""

_LOG: Final = "log:"
_STATE: Final = "state"
_CURSOR: Final = "cursor:"
_GAP: Final = "gap:"
# How long a fetch that finds nothing stays with the broker, and how often the end is looked at without one.
_LONG_MS: Final = 500
_LOOK_MS: Final = 100

_log = structlog.get_logger(__name__)


class Named(msgspec.Struct, frozen=True):
    """What a log is for life."""

    identity: str
    partitions: int


class State(msgspec.Struct, frozen=True):
    """What the appends so far have come to.

    `serial` counts them, `writer` made the last one; `time` is log time in ms, `end` the log's end,
    `letters` that of the dead letters.
    """

    serial: int
    writer: str
    time: int
    end: Vector
    letters: int
    gaps: int
    tallies: dict[str, int]


_named = msgspec.json.Decoder(Named)
_stated = msgspec.json.Decoder(State)
_gap = msgspec.json.Decoder(Gap)


class Ledger:
    """Create it with `open`, end it with `close`. What it holds follows the topic by itself."""

    def __init__(self, partition: TopicPartition, tail: Any, asking: Any) -> None:
        self._partition = partition
        self._tail = tail
        self._asking = asking
        self._reached = 0
        self._news = asyncio.Condition()
        self._open: list[Item] = []
        self._following: asyncio.Task[None] | None = None
        self._broken: Exception | None = None
        self.named: Named | None = None
        self.state = State(0, "", 0, (), 0, 0, {})
        self.cursors: dict[str, str] = {}
        self.gaps: list[Gap] = []

    @classmethod
    async def open(cls, access: Access, topic: str, asking: Any) -> Self:
        """`asking` is a consumer that does nothing but ask for offsets: the answer to
        another one's would wait behind its fetch.
        """
        partition = TopicPartition(topic, 0)
        tail = await access.consumer([partition], wait_ms=_LONG_MS)
        ledger = cls(partition, tail, asking)
        tail.seek(partition, 0)
        tail.resume(partition)
        ledger._following = asyncio.create_task(ledger._follow(), name=f"follow {topic}")
        return ledger

    async def begin(self, access: Access, partitions: int) -> Named:
        """What the log is; a new one is given an identity now.

        Of two that do this at once the first one's record counts for both.
        """
        await self.fresh()
        if self.named is None:
            await self._name(access, Named(str(uuid.uuid4()), partitions))
            await self.fresh()
        if self.named is None:
            raise Unavailable("kafka: the log's identity is not to be read yet")
        if not self.state.end:
            self.state = msgspec.structs.replace(self.state, end=(0,) * self.named.partitions)
        return self.named

    async def fresh(self) -> State:
        """The state, with every append in it that has been acknowledged before this call."""
        with clients.told("the ledger cannot be read"):
            ends = await self._asking.end_offsets([self._partition])
            async with asyncio.timeout(clients.PATIENCE), self._news:
                until = ends[self._partition]
                await self._news.wait_for(lambda: self._reached >= until or self._broken)
        if self._broken is not None:
            raise self._broken
        return self.state

    async def wait(self, beyond: int, within: float) -> None:
        """Until there is a later state than number `beyond`, at most so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within), self._news:
                await self._news.wait_for(lambda: self.state.serial > beyond)

    async def close(self) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        await self._tail.stop()

    async def _name(self, access: Access, new: Named) -> None:
        producer = await access.producer()
        key, value = f"{_LOG}{new.identity}".encode(), msgspec.json.encode(new)
        try:
            async with asyncio.timeout(clients.PATIENCE):
                await producer.send_and_wait(self._partition.topic, value, key=key, partition=0)
        finally:
            await clients.abandon(producer)

    async def _follow(self) -> None:
        while self._broken is None:
            try:
                await self._read_on()
            except KafkaError as error:
                _log.warning("ledger_not_read", reason=str(error))
                await asyncio.sleep(1)
            except Exception as error:  # noqa: BLE001 - whoever asks for the state gets it
                self._broken = error
            async with self._news:
                self._news.notify_all()

    async def _read_on(self) -> None:
        found = await self._tail.getmany(timeout_ms=_LOOK_MS)
        for record in found.get(self._partition, []):
            self._take(record.key.decode(), record.value)
        self._reached = await self._tail.position(self._partition)

    def _take(self, key: str, value: bytes) -> None:
        """Nothing of an append counts before its last record."""
        if key.startswith(_LOG):
            self.named = self.named or _named.decode(value)
            return
        self._open.append((key, value))
        if key == _STATE:
            for item in self._open:
                self._put(*item)
            self._open.clear()

    def _put(self, key: str, value: bytes) -> None:
        if key == _STATE:
            self.state = _stated.decode(value)
        elif key.startswith(_CURSOR):
            self.cursors[key.removeprefix(_CURSOR)] = value.decode()
        elif key.startswith(_GAP):
            self.gaps.append(_gap.decode(value))


def items(state: State, cursor: Cursor | None, gaps: Sequence[Gap]) -> list[Item]:
    """What an append leaves in the ledger: the state is last."""
    first = state.gaps - len(gaps)
    noted = [(f"{_GAP}{first + n}", msgspec.json.encode(gap)) for n, gap in enumerate(gaps)]
    if cursor is not None:
        noted.append((f"{_CURSOR}{cursor.source}", cursor.value.encode()))
    return [*noted, (_STATE, msgspec.json.encode(state))]
