"""EventLog on Apache Kafka.

Three topics hold it (see `topics`): events, dead letters, and a ledger in which every append leaves what the
log has come to. Appending is one transaction over all three (see `producing`), reading goes up to where the
ledger says that the log ends (see `consuming`).

**One appender.** The first append makes this process the log's only writer; one that wrote before is fenced
and ends with exit code 75. A writer that has read a cursor goes on only if nobody has appended since, so two
collectors never append from the same place, however they were started.

**Log time** is the writer's, not a broker's: the largest of its clock and of the last append's, kept in the
ledger. There is one writer, and the next one begins with what the last one left, so it never goes back along
the log, in no partition and across all of them, whatever clocks and leaders do. What a reader has not reached
was appended after the state that it stands on, hence at its time or later: that is `Batch.times`.

**An append of unknown outcome** is settled: a new producer ends what is open, and then the ledger says whether
the append is in it. `Unavailable` is raised for one that is not; only where the server stays away the caller
does not learn it.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, Self

from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.errors import OffsetOutOfRangeError

from services.shared.domain.positions import Position, Vector, lower, reaches, upper
from services.shared.log import clients, logdirs, topics
from services.shared.log.clients import Access
from services.shared.log.consuming import Reader
from services.shared.log.ledger import Ledger, State
from services.shared.log.letters import Letters
from services.shared.log.port import (
    Batch,
    Cursor,
    DeadLetter,
    Entry,
    EventLog,
    Gap,
    OutOfRange,
)
from services.shared.log.producing import Note, Packed, Writer
from services.shared.log.topics import Place
from services.shared.runtime.clock import Clock
from services.shared.runtime.exits import Exit, Refused
from services.shared.runtime.unavailable import Unavailable

# A follower looks by itself this often (seconds), should the ledger be mute.
_LOOK: Final = 5.0
_LOOKS: Final = 100


class KafkaLog:
    """Create it with `open`, end it with `close`."""

    def __init__(
        self,
        access: Access,
        place: Place,
        *,
        clock: Clock,
        ledger: Ledger,
        asking: Any,
    ) -> None:
        self._access = access
        self._place = place
        self._clock = clock
        self._ledger = ledger
        self._asking = asking
        self._closing = AsyncExitStack()
        self._token = uuid.uuid4().hex
        self._identity = ""
        self._partitions: list[TopicPartition] = []
        self._writer: Writer | None = None
        self._appending = asyncio.Lock()
        self._stands_at: int | None = None
        self._reader: Reader | None = None
        self._reading = asyncio.Lock()
        self._letters: Letters | None = None

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        partitions: int = 12,
        clock: Clock,
        replication: int = 1,
        prefix: str = "bvw",
        security: Mapping[str, Any] | None = None,
    ) -> Self:
        """Open or create the log at kafka://host:port[,host:port…][/prefix].

        `partitions` is for a new one, an old one keeps its own. `security` are aiokafka's own names.
        """
        place = topics.place_of(url, prefix)
        access = Access(place.servers, security or {})
        async with AsyncExitStack() as stack:
            with clients.told(f"{place.servers} does not answer"):
                found = await topics.prepare(access, place, partitions, replication)
                asking = await access.consumer()
                stack.push_async_callback(asking.stop)
                ledger = await Ledger.open(access, place.cursors, asking)
                stack.push_async_callback(ledger.close)
                log = cls(access, place, clock=clock, ledger=ledger, asking=asking)
                await log._begin(found)
            log._closing = stack.pop_all()
        return log

    @property
    def identity(self) -> str:
        return self._identity

    @property
    def partitions(self) -> int:
        return len(self._partitions)

    async def append(
        self,
        entries: Sequence[Entry],
        *,
        cursor: Cursor | None = None,
        deadletters: Sequence[DeadLetter] = (),
        gaps: Sequence[Gap] = (),
        tally: Mapping[str, int] | None = None,
    ) -> list[Position]:
        async with self._appending:
            new = await self._new(deadletters)
            return await self._store(entries, Note(cursor, new, (), gaps, tally or {}))

    async def read(self, since: Vector, *, limit: int, until: Vector | None = None) -> Batch:
        state = await self._ledger.fresh()
        async with self._reading:
            self._reader = self._reader or await self._new_reader()
            return await self._read(self._reader, state, since, limit=limit, until=until)

    async def follow(self, since: Vector, *, limit: int) -> AsyncIterator[Batch]:
        reader = await self._new_reader()
        try:
            state = await self._ledger.fresh()
            while True:
                batch = await self._read(reader, state, since, limit=limit)
                if batch.until != since:
                    yield batch
                    since = batch.until
                else:
                    await self._ledger.wait(state.serial, _LOOK)
                state = self._ledger.state
        finally:
            await reader.close()

    async def start(self) -> Vector:
        with clients.told("the log's start cannot be read"):
            found = await self._asking.beginning_offsets(self._partitions)
        return tuple(found[partition] for partition in self._partitions)

    async def stable_end(self) -> Vector:
        return (await self._ledger.fresh()).end

    async def time(self) -> int:
        return (await self._ledger.fresh()).time

    async def positions_at(self, time: int) -> Vector:
        """The broker knows times of what was aborted and of transactions' ends as well: the first record
        that counts is looked for from there on.
        """
        end = (await self._ledger.fresh()).end
        with clients.told("the log cannot be searched by time"):
            asked = dict.fromkeys(self._partitions, max(0, time))
            found = await self._asking.offsets_for_times(asked)
            hits = (found[partition] for partition in self._partitions)
            places = [hit.offset if hit else bound for hit, bound in zip(hits, end, strict=True)]
            async with self._reading:
                self._reader = self._reader or await self._new_reader()
                return await self._reader.first_at(time, lower(tuple(places), end), end)

    async def trim(self, before: Vector) -> None:
        end, start = await asyncio.gather(self.stable_end(), self.start())
        wanted = upper(lower(before, end), start)
        moved = {
            partition: RecordsToDelete(offset)
            for partition, offset, first in zip(self._partitions, wanted, start, strict=True)
            if offset > first
        }
        if not moved:
            return
        with clients.told("the log cannot be trimmed"):
            async with self._access.administering() as admin:
                await admin.delete_records(moved)

    async def maintain(self) -> None:
        """Nothing: the broker keeps house by itself."""

    async def size(self) -> int:
        kept = {(self._place.deadletters, 0), (self._place.cursors, 0), *self._partitions}
        with clients.told("the size of the log cannot be read"):
            async with self._access.administering() as admin:
                return await logdirs.size(admin, kept)

    async def cursor(self, source: str) -> str | None:
        state = await self._ledger.fresh()
        if self._stands_at is None:
            self._stands_at = state.serial
        return self._ledger.cursors.get(source)

    async def gaps(self) -> list[Gap]:
        await self._ledger.fresh()
        return sorted(self._ledger.gaps, key=lambda gap: (gap.since, gap.until))

    async def tallies(self) -> dict[str, int]:
        return dict((await self._ledger.fresh()).tallies)

    async def deadletters(self, *, after: str = "", limit: int = 100) -> list[DeadLetter]:
        state = await self._ledger.fresh()
        return await (await self._all_letters()).page(state.letters, after, limit)

    async def deadletter(self, hash_prefix: str) -> DeadLetter | None:
        state = await self._ledger.fresh()
        letters = await self._all_letters()
        found = await letters.beginning_with(state.letters, hash_prefix)
        return found[0] if len(found) == 1 else None

    async def count_deadletters(self) -> int:
        state = await self._ledger.fresh()
        return len(await (await self._all_letters()).known(state.letters))

    async def remove_deadletters(self, hashes: Sequence[str]) -> None:
        async with self._appending:
            await self._store([], Note(removed=hashes))

    async def close(self) -> None:
        async with self._appending:
            if self._writer is not None:
                await self._writer.close()
        for opened in (self._reader, self._letters):
            if opened is not None:
                await opened.close()
        await self._closing.aclose()

    async def _begin(self, found: int) -> None:
        """Finds out what log this is, and refuses one whose topics have been changed or made anew."""
        named = await self._ledger.begin(self._access, found)
        self._identity = named.identity
        events = self._place.events
        if named.partitions != found:
            raise Refused(
                f"kafka topic {events}: it has {found} partitions;"
                f" accepted: {named.partitions}, with which the log was made"
            )
        self._partitions = [TopicPartition(events, number) for number in range(found)]
        end = self._ledger.state.end
        # What the ledger has as committed is so in every partition within a moment.
        for _ in range(_LOOKS):
            if reaches(await self._ends(), end):
                return
            await asyncio.sleep(clients.PATIENCE / _LOOKS)
        raise Refused(
            f"kafka topic {events}: it ends before {end}, where {self._place.cursors} says that the log ends:"
            " it is another topic of that name; restore it, or give this log another prefix"
        )

    async def _ends(self) -> Vector:
        found = await self._asking.end_offsets(self._partitions)
        return tuple(found[partition] for partition in self._partitions)

    async def _new_reader(self) -> Reader:
        with clients.told("the log cannot be read"):
            return await Reader.open(self._access, self._partitions)

    async def _all_letters(self) -> Letters:
        if self._letters is None:
            with clients.told("the dead letters cannot be read"):
                self._letters = await Letters.open(self._access, self._place.deadletters)
        return self._letters

    async def _read(
        self,
        reader: Reader,
        state: State,
        since: Vector,
        *,
        limit: int,
        until: Vector | None = None,
    ) -> Batch:
        start = await self.start()
        if not reaches(since, start):
            raise OutOfRange(since, start)
        if not reaches(state.end, since):
            raise ValueError(f"{since} is beyond the end of this log, {state.end}")
        with clients.told("the log cannot be read"):
            try:
                return await reader.read(since, limit, until, state.end, state.time)
            except OffsetOutOfRangeError:
                raise OutOfRange(since, await self.start()) from None

    async def _new(self, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
        """Those that the log does not have yet, each once."""
        if not letters:
            return []
        await self._writing()
        known = await (await self._all_letters()).known(self._ledger.state.letters)
        return list({one.hash: one for one in reversed(letters) if one.hash not in known}.values())

    async def _writing(self) -> Writer:
        if self._writer is None:
            with clients.told("the log cannot be written"):
                self._writer = await Writer.open(
                    self._access, self._place, self._ledger, self._token
                )
            await self._compare(self._ledger.state)
        return self._writer

    async def _compare(self, state: State) -> None:
        """What was read of the cursor must still be so, now that nobody else can append."""
        stale = self._stands_at is not None and self._stands_at != state.serial
        if stale and state.writer != self._token:
            await self._give_up()
            raise Refused(
                "another collector has appended to this log since the cursor was read",
                Exit.TEMPORARY,
            )

    async def _store(self, entries: Sequence[Entry], note: Note) -> list[Position]:
        writer = await self._writing()
        now = int(self._clock.now() * 1000)
        packed = await asyncio.to_thread(writer.pack, entries, note, now)
        try:
            await writer.store(packed)
        except clients.Fenced:
            await self._give_up()
            raise clients.fenced() from None
        except clients.Trouble as error:
            await self._give_up()
            return await self._settle(packed, error)
        except BaseException:
            await self._give_up()
            raise
        return packed.positions()

    async def _give_up(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            await clients.abandon(writer.producer)

    async def _settle(self, packed: Packed, error: BaseException) -> list[Position]:
        """Whether an append whose answer was lost has been stored after all."""
        state = await self._ledger.fresh()
        if state.writer not in {self._token, packed.before.writer}:
            raise clients.fenced()
        await self._writing()
        state = self._ledger.state
        if (state.serial, state.writer) == (packed.state.serial, self._token):
            return packed.positions()
        reason = str(error) or type(error).__name__
        raise Unavailable(f"kafka: the append was not stored: {reason}") from error


if TYPE_CHECKING:
    _: type[EventLog] = KafkaLog
