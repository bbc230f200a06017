"""Appending to a log on Kafka: one producer, one transaction after the other.

All collectors of a log have the same transactional id. Whoever starts a producer with it ends what another has
left open and fences the other, so there is one at a time, and it alone knows the log's state and makes the
next one of it: log time that never goes back, tallies that add up, dead letters kept once.

An append is one transaction over three topics. First the events, in whole batches, for their offsets; then what
could not be understood; last the ledger, which says what the log has come to. It is acknowledged once the
ledger shows it, so whoever reads afterwards, anywhere, finds it there.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import add
from typing import Any, Self

import msgspec
from aiokafka.errors import KafkaError

from services.shared.domain import identity
from services.shared.domain.positions import Position
from services.shared.log import clients, ledger, letters
from services.shared.log.clients import Access
from services.shared.log.ledger import Ledger, State
from services.shared.log.port import Cursor, DeadLetter, Entry, Gap
from services.shared.log.topics import LARGEST, Place
from services.shared.runtime import crash


@dataclass(frozen=True, slots=True)
class Note:
    """What goes with the entries of an append: the dead letters among it are new ones."""

    cursor: Cursor | None = None
    deadletters: Sequence[DeadLetter] = ()
    removed: Sequence[str] = ()
    gaps: Sequence[Gap] = ()
    tally: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Packed:
    """An append ready to be sent: `columns` has for each partition the entries' numbers and the batches that
    hold them. `state` is the log's after it, but for the offsets: the broker gives them, and they go to `firsts`,
    the first one of each batch.
    """

    columns: dict[int, tuple[list[int], list[Any]]]
    count: int
    letters: list[Any]
    note: Note
    before: State
    state: State
    firsts: dict[int, list[int]] = field(default_factory=dict)

    def positions(self) -> list[Position]:
        """In the order of the entries, once they have been sent."""
        positions = [Position(0, 0)] * self.count
        for where, (numbers, batches) in self.columns.items():
            counts = [batch.record_count() for batch in batches]
            runs = map(range, self.firsts[where], map(add, self.firsts[where], counts))
            for number, offset in zip(numbers, chain.from_iterable(runs), strict=True):
                positions[number] = Position(where, offset)
        return positions


class Writer:
    """Create it with `open`, end it with `close`, or abandon its producer after trouble."""

    def __init__(self, place: Place, producer: Any, ledger: Ledger, token: str) -> None:
        self._place = place
        self.producer = producer
        self._ledger = ledger
        self._token = token

    @classmethod
    async def open(cls, access: Access, place: Place, ledger: Ledger, token: str) -> Self:
        """Fences whoever has written so far. What that one has left open is ended when this returns, and the
        ledger knows how.
        """
        producer = await access.producer(place.transactional_id)
        try:
            await ledger.fresh()
        except BaseException:
            await clients.abandon(producer)
            raise
        return cls(place, producer, ledger, token)

    def pack(self, entries: Sequence[Entry], note: Note, now: int) -> Packed:
        """Takes long where there is much to pack; touches nothing that the loop uses."""
        before = self._ledger.state
        at = max(before.time, now) if entries else before.time
        columns: dict[int, list[int]] = {}
        for number, entry in enumerate(entries):
            where = identity.partition(entry.key, len(before.end))
            columns.setdefault(where, []).append(number)
        tallies = dict(before.tallies)
        for name, count in note.tally.items():
            tallies[name] = tallies.get(name, 0) + count
        state = msgspec.structs.replace(
            before,
            serial=before.serial + 1,
            writer=self._token,
            time=at,
            gaps=before.gaps + len(note.gaps),
            tallies=tallies,
        )
        ledger.items(state, note.cursor, note.gaps)  # what cannot be written is refused here
        packed = {
            where: (numbers, self._batches(_records(entries[n] for n in numbers), at))
            for where, numbers in columns.items()
        }
        kept = letters.items(note.deadletters, note.removed, now)
        return Packed(packed, len(entries), self._batches(kept, at), note, before, state)

    async def store(self, packed: Packed) -> None:
        """Raises what the driver does; then nothing says whether it is stored but the ledger."""
        async with asyncio.timeout(clients.PATIENCE):
            await self.producer.begin_transaction()
            await asyncio.gather(*(self._send_column(packed, where) for where in packed.columns))
            state = await self._ended(packed)
            noted = ledger.items(state, packed.note.cursor, packed.note.gaps)
            keyed: Iterable[letters.Item] = ((key.encode(), value, []) for key, value in noted)
            await self._send(self._place.cursors, 0, self._batches(keyed, state.time))
            crash.point("log.in-append")
            await self.producer.commit_transaction()
            crash.point("log.appended")
            while self._ledger.state.serial < state.serial:
                await self._ledger.wait(state.serial - 1, clients.PATIENCE)

    async def close(self) -> None:
        await self.producer.stop()

    async def _send_column(self, packed: Packed, where: int) -> None:
        _, batches = packed.columns[where]
        packed.firsts[where] = await self._send(self._place.events, where, batches)

    async def _ended(self, packed: Packed) -> State:
        """The state with the ends that the broker has given."""
        end = list(packed.state.end)
        for where, firsts in packed.firsts.items():
            end[where] = firsts[-1] + packed.columns[where][1][-1].record_count()
        until = packed.state.letters
        if packed.letters:
            firsts = await self._send(self._place.deadletters, 0, packed.letters)
            until = firsts[-1] + packed.letters[-1].record_count()
        return msgspec.structs.replace(packed.state, end=tuple(end), letters=until)

    async def _send(self, topic: str, partition: int, batches: Sequence[Any]) -> list[int]:
        """The offset of the first record of each batch."""
        send = self.producer.send_batch
        answers = [await send(batch, topic, partition=partition) for batch in batches]
        firsts = [answer.offset for answer in await asyncio.gather(*answers)]
        if min(firsts) < 0:
            # The broker has it from an earlier try, and no longer knows where.
            raise KafkaError("a batch was stored, but its place is not known")
        return firsts

    def _batches(self, records: Iterable[letters.Item], at: int) -> list[Any]:
        batches: list[Any] = []
        for key, value, headers in records:
            if len(key) + len(value or b"") > LARGEST:
                raise ValueError(f"{key!r} has {len(value or b'')} bytes, more than {LARGEST}")
            record = {"timestamp": at, "key": key, "value": value, "headers": headers}
            if not batches or batches[-1].append(**record) is None:
                batches.append(self.producer.create_batch())
                batches[-1].append(**record)
        for batch in batches:
            batch.close()
        return batches


def _records(entries: Iterable[Entry]) -> Iterable[letters.Item]:
    return ((entry.key.encode(), entry.raw, []) for entry in entries)
