"""Small events, and a source and a log that tests hold in their hands."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from services.collector.source.port import Frame
from services.shared.decode import parse
from services.shared.domain.change import Change
from services.shared.domain.positions import Position
from services.shared.log.embedded import SqliteLog
from services.shared.log.port import Cursor, DeadLetter, Entry, EventLog, Gap
from services.shared.runtime.unavailable import Unavailable

CANARY = b'{"meta":{"id":"canary-1","domain":"canary"}}'


def event(number: int, **fields: Any) -> bytes:
    return json.dumps(
        {
            "meta": {"id": f"id-{number}", "domain": "pt.wikipedia.org"},
            "type": "edit",
            "title": f"Page {number}",
            "namespace": 0,
            "user": "Someone",
            "timestamp": 1_500_000_000 + number,
            **fields,
        }
    ).encode()


def parsed(number: int) -> Change:
    change = parse(event(number))
    assert isinstance(change, Change)
    return change


def events(count: int) -> list[bytes]:
    return [event(number) for number in range(count)]


class Listed:
    """A source of given payloads, `size` a frame; the cursor is the number of those before.

    `handed` counts the payloads handed out; `error` comes after the last; `endless` waits there.
    """

    name = "listed"
    description = "a list"

    def __init__(
        self,
        payloads: Sequence[bytes],
        *,
        size: int = 3,
        gaps: tuple[Gap, ...] = (),
        error: Exception | None = None,
        endless: bool = False,
    ) -> None:
        self._payloads = payloads
        self._size = size
        self._gaps = gaps
        self._error = error
        self._endless = endless
        self.handed = 0
        self.closed = False

    async def frames(self, cursor: str | None) -> AsyncIterator[Frame]:
        try:
            for start in range(int(cursor or 0), len(self._payloads), self._size):
                end = min(start + self._size, len(self._payloads))
                self.handed = end
                yield Frame(tuple(self._payloads[start:end]), str(end), self._gaps)
            if self._error:
                raise self._error
            if self._endless:
                await asyncio.Event().wait()
        finally:
            self.closed = True


class Watched:
    """A log whose appends the test sees, holds up (`open`) and lets fail (`failing`)."""

    def __init__(self, log: SqliteLog) -> None:
        self._log = log
        self.open = asyncio.Event()
        self.open.set()
        self.failing = 0
        self.tried = asyncio.Event()
        self.failed = asyncio.Event()
        self.asked = False
        self.sizes: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def cursor(self, source: str) -> str | None:
        self.asked = True
        return await self._log.cursor(source)

    async def append(
        self,
        entries: Sequence[Entry],
        *,
        cursor: Cursor | None = None,
        deadletters: Sequence[DeadLetter] = (),
        gaps: Sequence[Gap] = (),
        tally: Mapping[str, int] | None = None,
    ) -> list[Position]:
        self.tried.set()
        await self.open.wait()
        if self.failing:
            self.failing -= 1
            self.failed.set()
            raise Unavailable("no space left on device", 0.05)
        self.sizes.append(len(entries))
        return await self._log.append(
            entries, cursor=cursor, deadletters=deadletters, gaps=gaps, tally=tally
        )


async def raws(log: EventLog) -> list[bytes]:
    batch = await log.read(await log.start(), limit=1_000_000)
    return [record.raw for record in batch.records]


async def until(holds: Callable[[], bool]) -> None:
    """Waits for what another task or thread brings about."""
    async with asyncio.timeout(10):
        while not await asyncio.to_thread(holds):  # noqa: ASYNC110 - some of it is on disk
            await asyncio.sleep(0.005)
