"""The event logs that the contract runs over; a new adapter adds itself to `BACKENDS`.

As a program it appends like another process would:

    python -m tests.contract.logs BACKEND PLACE NAME COUNT SIZE

makes COUNT appends of SIZE entries `NAME-i`, each with a cursor and a tally that count the entries,
and prints a line for each append that was acknowledged. It begins once it reads a line.
With the NAME `maintain` it does the housekeeping afterwards. Where the log refuses an append it ends with the
code that goes with that.
"""

import asyncio
import secrets
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

import msgspec

from services.shared.log import topics
from services.shared.log.clients import Access
from services.shared.log.embedded import SqliteLog
from services.shared.log.kafka import KafkaLog
from services.shared.log.port import Cursor, Entry, EventLog
from services.shared.runtime import crash
from services.shared.runtime.clock import Clock, SystemClock
from services.shared.runtime.exits import Refused
from tests.contract.backends import chosen, url
from tests.launchers import kafka


class Backend(Protocol):
    """Where a log of one kind is: `place` names it to other processes."""

    place: str
    shared: ClassVar[bool]
    """Whether processes take turns in appending; otherwise the last one to begin is the only one."""

    async def open(self, clock: Clock, partitions: int = 4) -> EventLog: ...

    async def make_hole(self, partition: int, offsets: int) -> None:
        """The partition's next offsets are never used."""
        ...

    async def drop(self) -> None:
        """Nothing of it is left."""
        ...


@dataclass
class Embedded:
    place: str
    shared: ClassVar[bool] = True

    async def open(self, clock: Clock, partitions: int = 4) -> EventLog:
        return await SqliteLog.open(Path(self.place), partitions=partitions, clock=clock)

    async def make_hole(self, partition: int, offsets: int) -> None:
        await asyncio.to_thread(self._skip, partition, offsets)

    def _skip(self, partition: int, offsets: int) -> None:
        connection = sqlite3.connect(self.place, isolation_level=None)
        sql = "UPDATE partitions SET next = next + ? WHERE partition = ?"
        connection.execute(sql, (offsets, partition))
        connection.close()

    async def drop(self) -> None:
        """Its folder goes by itself."""


@dataclass
class Kafka:
    place: str
    opened: list[KafkaLog] = field(default_factory=list)
    shared: ClassVar[bool] = False

    async def open(self, clock: Clock, partitions: int = 4) -> KafkaLog:
        log = await KafkaLog.open(self.place, partitions=partitions, clock=clock)
        self.opened.append(log)
        return log

    async def make_hole(self, partition: int, offsets: int) -> None:
        """An aborted transaction of the writer, after which an append says where the log ends."""
        log = next(log for log in self.opened if log._writer is not None or len(self.opened) == 1)
        producer = (await log._writing()).producer
        topic = topics.place_of(self.place, "").events
        await producer.begin_transaction()
        for _ in range(offsets):
            sent = await producer.send(topic, b"lost", partition=partition)
        last = (await sent).offset
        await producer.abort_transaction()
        end = list(log._ledger.state.end)
        end[partition] = last + 1
        log._ledger.state = msgspec.structs.replace(log._ledger.state, end=tuple(end))
        await log.append([])

    async def drop(self) -> None:
        place = topics.place_of(self.place, "")
        async with Access(place.servers).administering() as admin:
            await admin.delete_topics([place.events, place.deadletters, place.cursors])


def _kafka(_: Path) -> Kafka:
    return Kafka(f"{url(kafka.VARIABLE)}/test-{secrets.token_hex(6)}")


MADE: dict[str, Callable[[Path], Backend]] = {
    "embedded": lambda folder: Embedded(str(folder / "log.db")),
    "real": _kafka,
}
OPENED: dict[str, Callable[[str], Backend]] = {"embedded": Embedded, "real": Kafka}


def backend_of(name: str, folder: Path) -> Backend:
    """A new log's place."""
    return chosen("event log", name, MADE)(folder)


async def _append(backend: Backend, name: str, count: int, size: int) -> None:
    log = await backend.open(SystemClock())
    sys.stdout.write("open\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    for number in range(0, count * size, size):
        entries = [
            Entry(f"{name}-{i}", f"{name} {i}".encode()) for i in range(number, number + size)
        ]
        cursor = Cursor(name, str(number + size))
        await log.append(entries, cursor=cursor, tally={name: size})
        sys.stdout.write(f"{number + size}\n")
        sys.stdout.flush()
    if name == "maintain":
        await log.maintain()
    await log.close()


if __name__ == "__main__":
    _, kind, place, name, count, size, *armed = sys.argv
    crash.arm(*armed or [""])
    try:
        asyncio.run(_append(OPENED[kind](place), name, int(count), int(size)))
    except Refused as refused:
        sys.exit(refused.code)
