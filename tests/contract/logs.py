"""The event logs that the contract runs over; a new adapter adds itself to `backend_of`.

As a program it appends like another process would:

    python -m tests.contract.logs BACKEND PLACE NAME COUNT SIZE

makes COUNT appends of SIZE entries `NAME-i`, each with a cursor and a tally that count the entries,
and prints a line for each append that was acknowledged. It begins once it reads a line.
With the NAME `maintain` it does the housekeeping afterwards.
"""

import asyncio
import sqlite3
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from services.shared.log.embedded import SqliteLog
from services.shared.log.port import Cursor, Entry, EventLog
from services.shared.runtime import crash
from services.shared.runtime.clock import Clock, SystemClock
from tests.contract.backends import chosen


class Backend(Protocol):
    """Where a log of one kind is: `place` names it to other processes."""

    place: str

    async def open(self, clock: Clock, partitions: int = 4) -> EventLog: ...

    async def make_hole(self, partition: int, offsets: int) -> None:
        """The partition's next offsets are never used."""
        ...


@dataclass
class Embedded:
    place: str

    async def open(self, clock: Clock, partitions: int = 4) -> EventLog:
        return await SqliteLog.open(Path(self.place), partitions=partitions, clock=clock)

    async def make_hole(self, partition: int, offsets: int) -> None:
        await asyncio.to_thread(self._skip, partition, offsets)

    def _skip(self, partition: int, offsets: int) -> None:
        connection = sqlite3.connect(self.place, isolation_level=None)
        sql = "UPDATE partitions SET next = next + ? WHERE partition = ?"
        connection.execute(sql, (offsets, partition))
        connection.close()


def backend_of(name: str, folder: Path) -> Backend:
    return chosen("event log", name, {"embedded": Embedded})(str(folder / "log.db"))


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
    asyncio.run(_append({"embedded": Embedded}[kind](place), name, int(count), int(size)))
