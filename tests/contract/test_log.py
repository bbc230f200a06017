"""What every event log promises (services/shared/log/port.py), over every adapter."""

import asyncio
import hashlib
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.shared.domain import identity
from services.shared.domain.positions import Position, Vector, reaches, zero
from services.shared.log import embedded
from services.shared.log.port import (
    MOST_BYTES,
    Cursor,
    DeadLetter,
    Entry,
    EventLog,
    Gap,
    OutOfRange,
    Record,
)
from services.shared.runtime.clock import ManualClock, SystemClock
from services.shared.runtime.exits import Exit
from tests.contract.logs import Backend, backend_of

START = zero(4)
PATIENCE = 30


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_700_000_000)


@pytest.fixture
async def place(backend: str, tmp_path: Path) -> AsyncIterator[Backend]:
    place = backend_of(backend, tmp_path)
    yield place
    await place.drop()


@pytest.fixture
async def log(place: Backend, clock: ManualClock) -> AsyncIterator[EventLog]:
    log = await place.open(clock)
    yield log
    await log.close()


def entries(*names: object) -> list[Entry]:
    return [Entry(f"20260101:{name}", f'{{"id": "{name}"}}'.encode()) for name in names]


def in_partition(partition: int, count: int) -> list[Entry]:
    names = (name for name in range(100 * count) if _partition_of(name) == partition)
    return entries(*(next(names) for _ in range(count)))


def _partition_of(name: int) -> int:
    return identity.partition(entries(name)[0].key, 4)


def letter(raw: bytes, reason: str = "not-json") -> DeadLetter:
    digest = hashlib.sha256(raw).hexdigest()
    return DeadLetter(digest, raw, reason, "line 1", "recorded", "17", at=5)


async def all_of(log: EventLog, since: Vector | None = None, limit: int = 10_000) -> list[Record]:
    """Everything from `since` on, as a reader meets it that goes from `until` to `until`."""
    since = await log.start() if since is None else since
    records: list[Record] = []
    while True:
        batch = await log.read(since, limit=limit)
        assert reaches(batch.until, since)
        if batch.until == since:
            return records
        records += batch.records
        since = batch.until


def position(record: Record) -> Position:
    return Position(record.partition, record.offset)


async def test_what_was_appended_is_read_back_at_the_positions_returned(log: EventLog) -> None:
    given = entries(*range(100))
    positions = await log.append(given)
    records = {position(record): record for record in await all_of(log)}
    assert [Entry(records[p].key, records[p].raw) for p in positions] == given
    assert len(records) == 100
    for (partition, _), entry in zip(positions, given, strict=True):
        assert partition == identity.partition(entry.key, log.partitions)


async def test_entries_of_one_partition_keep_their_order(log: EventLog) -> None:
    first, second = in_partition(2, 20)[:10], in_partition(2, 20)[10:]
    await log.append(first)
    await log.append(second)
    records = await all_of(log)
    assert [record.key for record in records] == [entry.key for entry in first + second]
    assert all(a.offset < b.offset for a, b in pairwise(records))


async def test_the_identity_and_the_partitions_are_for_life(
    place: Backend, log: EventLog, clock: ManualClock, tmp_path: Path, backend: str
) -> None:
    again = await place.open(clock, partitions=7)
    assert (again.identity, again.partitions) == (log.identity, 4)
    await again.close()
    (tmp_path / "other").mkdir()
    elsewhere = backend_of(backend, tmp_path / "other")
    other = await elsewhere.open(clock, partitions=2)
    assert other.identity != log.identity
    assert await other.stable_end() == (0, 0)
    await other.close()
    await elsewhere.drop()


async def test_an_empty_log(log: EventLog) -> None:
    assert await log.start() == await log.stable_end() == START
    assert await log.time() == 0
    batch = await log.read(START, limit=10)
    assert (batch.records, batch.until, batch.times) == ((), START, START)
    assert await log.positions_at(0) == START
    assert await log.cursor("any") is None
    assert await log.gaps() == []
    assert await log.tallies() == {}
    assert await log.deadletters() == []


async def test_what_goes_with_an_append_survives_the_process(
    place: Backend, clock: ManualClock
) -> None:
    log = await place.open(clock)
    kept = letter(b"\xff{", "not-utf8")
    await log.append(
        entries(1, 2),
        cursor=Cursor("recorded", "17"),
        deadletters=[kept],
        gaps=[Gap(10, 20, "expired")],
        tally={"received": 3, "rejected.not-utf8": 1},
    )
    await log.append([], cursor=Cursor("recorded", "18"), tally={"received": 1})
    await log.close()
    log = await place.open(clock)
    assert len(await all_of(log)) == 2
    assert await log.cursor("recorded") == "18"
    assert await log.deadletters() == [kept]
    assert await log.gaps() == [Gap(10, 20, "expired")]
    assert await log.tallies() == {"received": 4, "rejected.not-utf8": 1}
    await log.close()


async def test_an_append_that_fails_leaves_nothing(log: EventLog) -> None:
    await log.append(entries(1), cursor=Cursor("s", "1"), tally={"received": 1})
    before = (await all_of(log), await log.stable_end(), await log.time())
    with pytest.raises(UnicodeEncodeError):
        await log.append(
            entries(2, 3),
            cursor=Cursor("s", "2"),
            deadletters=[letter(b"good"), letter(b"bad", reason="half a pair: \ud800")],
            gaps=[Gap(1, 2, "expired")],
            tally={"received": 4},
        )
    assert (await all_of(log), await log.stable_end(), await log.time()) == before
    assert await log.cursor("s") == "1"
    assert await log.tallies() == {"received": 1}
    assert await log.deadletters() == []
    assert await log.gaps() == []
    positions = await log.append(entries(2, 3))
    assert not {position(record) for record in before[0]} & set(positions)


async def test_an_offset_is_never_used_twice(place: Backend, clock: ManualClock) -> None:
    log = await place.open(clock)
    used = set(await log.append(entries(*range(50))))
    await log.trim(await log.stable_end())
    await log.maintain()
    await log.close()
    log = await place.open(clock)
    assert await log.start() == await log.stable_end()
    assert not used & set(await log.append(entries(*range(50))))
    await log.close()


async def test_offsets_may_have_holes(place: Backend, log: EventLog) -> None:
    first, second = in_partition(1, 10)[:5], in_partition(1, 10)[5:]
    await log.append(first)
    before = await log.stable_end()
    await place.make_hole(1, 1000)
    at_the_end = await log.read(before, limit=10)
    assert at_the_end.records == ()
    assert at_the_end.until == await log.stable_end() != before
    await log.append(second)
    for inside in (before[1], before[1] + 500, before[1] + 1000):
        batch = await log.read((0, inside, 0, 0), limit=100)
        assert [record.key for record in batch.records] == [entry.key for entry in second]
    bounded = await log.read(START, limit=100, until=(0, before[1] + 500, 0, 0))
    assert [record.key for record in bounded.records] == [entry.key for entry in first]
    assert len(await all_of(log, limit=3)) == 10
    assert await log.positions_at(0) == START


@pytest.mark.parametrize("limit", [1, 4, 7, 1000])
async def test_reading_in_steps_gives_everything_once(log: EventLog, limit: int) -> None:
    for number in range(30):
        await log.append(entries(*range(number * 5, number * 5 + 5)))
    records = await all_of(log, limit=limit)
    assert Counter(record.key for record in records) == Counter(
        entry.key for entry in entries(*range(150))
    )


@pytest.mark.parametrize("limit", [1, 5, 50])
async def test_no_partition_starves(log: EventLog, limit: int) -> None:
    for partition in range(4):
        await log.append(in_partition(partition, 100 if partition else 500))
    batch = await log.read(START, limit=limit)
    assert all(reached > 0 for reached in batch.until)
    assert len(batch.records) <= max(limit, 4)
    busy_last = await log.read(await _after_first_three(log), limit=limit)
    assert len(busy_last.records) == limit


async def test_a_read_of_large_events_ends_by_their_bytes(log: EventLog) -> None:
    large = [Entry(entry.key, bytes(1_000_000)) for entry in entries(*range(60))]
    await log.append(large)
    batch = await log.read(START, limit=10_000)
    assert sum(len(record.raw) for record in batch.records) <= MOST_BYTES
    assert len(batch.records) > 20
    assert len(await all_of(log)) == 60, "and the next reads give the rest"
    await log.append([Entry(large[0].key, bytes(MOST_BYTES))])
    assert len(await all_of(log)) == 61, "one that is larger than all of them comes alone"


async def _after_first_three(log: EventLog) -> Vector:
    end = await log.stable_end()
    return (*end[:3], 0)


async def test_a_read_stays_before_its_bound(log: EventLog) -> None:
    await log.append(entries(*range(200)))
    bound = (3, 0, 17, 10_000)
    batch = await log.read(START, limit=1000, until=bound)
    assert batch.until == (3, 0, 17, (await log.stable_end())[3])
    assert {record.partition for record in batch.records} == {0, 2, 3}
    assert all(record.offset < bound[record.partition] for record in batch.records)
    beyond = await log.read((5, 5, 5, 5), limit=1000, until=(1, 1, 1, 1))
    assert (beyond.records, beyond.until) == ((), (5, 5, 5, 5))


async def test_a_position_beyond_the_end_is_refused(log: EventLog) -> None:
    await log.append(entries(1))
    with pytest.raises(ValueError, match="beyond the end"):
        await log.read((100, 0, 0, 0), limit=1)


async def test_what_was_trimmed_is_out_of_range(log: EventLog) -> None:
    for number in range(20):
        await log.append(entries(*range(number * 20, number * 20 + 20)))
    everything = await all_of(log)
    before = (30, 0, 55, 10_000)
    await log.trim(before)
    start, end = await log.start(), await log.stable_end()
    assert reaches(before, start)
    assert start[0] > 0
    assert start[1] == 0
    assert start[3] == end[3]
    left = [record for record in everything if record.offset >= start[record.partition]]
    assert sorted(await all_of(log)) == sorted(left)
    with pytest.raises(OutOfRange) as refusal:
        await log.read(START, limit=10)
    assert (refusal.value.since, refusal.value.start) == (START, start)
    await log.trim(START)
    assert await log.start() == start


async def test_a_trim_into_a_hole_leaves_who_stands_there_in_range(
    place: Backend, log: EventLog
) -> None:
    first, second = in_partition(1, 10)[:5], in_partition(1, 10)[5:]
    await log.append(first)
    (_, hole, *_) = await log.stable_end()
    await place.make_hole(1, 1000)
    await log.append(second)
    inside = (0, hole + 500, 0, 0)
    await log.trim(inside)
    batch = await log.read(inside, limit=100)
    assert [record.key for record in batch.records] == [entry.key for entry in second]


async def test_log_time_never_goes_back(log: EventLog, clock: ManualClock) -> None:
    await log.append(entries(1))
    noon = await log.time()
    assert noon == 1_700_000_000_000
    clock.set(1_600_000_000)
    await log.append(entries(2))
    assert await log.time() == noon
    clock.set(1_700_000_000.25)
    await log.append([], cursor=Cursor("s", "1"))
    assert await log.time() == noon
    await log.append(entries(3))
    assert await log.time() == noon + 250
    assert sorted(record.appended_at - noon for record in await all_of(log)) == [0, 0, 250]


Step = tuple[int, int, int, bool]
STEPS = st.lists(
    st.tuples(st.integers(0, 8), st.integers(-5, 5), st.integers(0, 3), st.booleans()), max_size=25
)


# On a server an example takes seconds; the law is the adapter's, and a few find its own holes.
EXAMPLES = {"embedded": 30, "real": 5}


def test_the_law_of_times(backend: str) -> None:
    """Whatever has a position from `until` on has an append time from `times` on, for ever."""

    @settings(max_examples=EXAMPLES[backend], deadline=None)
    @given(steps=STEPS, limit=st.integers(1, 12))
    def law(steps: list[Step], limit: int) -> None:
        with TemporaryDirectory() as folder:
            asyncio.run(_check_times(backend_of(backend, Path(folder)), steps, limit))

    law()


async def _check_times(place: Backend, steps: list[Step], limit: int) -> None:
    clock = ManualClock(1000)
    log = await place.open(clock)
    since, promises, number = START, [], 0
    for count, jump, partition, tidy in steps:
        clock.set(clock.now() + jump)
        await log.append(entries(*range(number, number + count)))
        number += count
        await place.make_hole(partition, 3)
        if tidy:
            await log.maintain()
        batch = await log.read(since, limit=limit)
        since = batch.until
        promises.append((batch.until, batch.times))
    records = await all_of(log)
    assert len(records) == number
    for until, times in promises:
        assert all(
            record.appended_at >= times[record.partition]
            for record in records
            if record.offset >= until[record.partition]
        )
    at_the_end = await log.read(await log.stable_end(), limit=1)
    assert set(at_the_end.times) == {await log.time()}
    await _check_positions_at(log, records)
    await log.close()
    await place.drop()


async def _check_positions_at(log: EventLog, records: Sequence[Record]) -> None:
    end = await log.stable_end()
    for time in {record.appended_at + d for record in records for d in (-1, 0, 1)}:
        positions = await log.positions_at(time)
        for partition in range(log.partitions):
            own = [r for r in records if r.partition == partition]
            later = [r.offset for r in own if r.appended_at >= time]
            assert positions[partition] == min(later, default=end[partition])


async def test_housekeeping_changes_no_answer(log: EventLog, clock: ManualClock) -> None:
    for number in range(300):
        clock.advance(0.5)
        await log.append(entries(number))
    await log.trim((3, 3, 3, 3))
    everything, start = await all_of(log), await log.start()
    at = everything[len(everything) // 2].appended_at
    found = await log.positions_at(at)
    await log.maintain()
    await log.maintain()
    assert await all_of(log) == everything
    assert await all_of(log, limit=7) != []
    assert (await log.start(), await log.positions_at(at)) == (start, found)
    for since in (start, (9, 9, 9, 9), found):
        expected = {record for record in everything if record.offset >= since[record.partition]}
        assert set(await all_of(log, since)) == expected


async def test_readers_see_the_same_during_housekeeping(
    place: Backend, log: EventLog, clock: ManualClock
) -> None:
    for number in range(200):
        await log.append(entries(number))
    everything = await all_of(log)
    reader = await place.open(clock)
    tidying = asyncio.create_task(log.maintain())
    reads = 0
    while not tidying.done() or reads == 0:
        assert await all_of(reader) == everything
        reads += 1
    await tidying
    await reader.close()


async def test_readers_see_whole_appends(place: Backend, log: EventLog, clock: ManualClock) -> None:
    reader = await place.open(clock)

    async def append() -> None:
        for number in range(40):
            await log.append([Entry(f"{number}:{i}", b"x" * 100) for i in range(32)])

    appending = asyncio.create_task(append())
    while not appending.done():
        batch = await reader.read(START, limit=100_000)
        sizes = Counter(record.key.partition(":")[0] for record in batch.records)
        assert set(sizes.values()) <= {32}
    await appending
    assert len(await all_of(reader)) == 40 * 32
    await reader.close()


async def test_a_dead_letter_is_kept_once(log: EventLog, clock: ManualClock) -> None:
    first = letter(b"one")
    await log.append([], deadletters=[first, first])
    again = DeadLetter(first.hash, b"one", "other", "later", "recorded", "99", at=7)
    await log.append(entries(1), deadletters=[again])
    assert await log.deadletters() == [first]
    await log.append([], deadletters=[DeadLetter("f" * 64, b"", "empty", "", "s", "")])
    found = await log.deadletter("f" * 64)
    assert found is not None
    assert found.at == int(clock.now() * 1000)


async def test_dead_letters_are_paged_found_and_removed(log: EventLog) -> None:
    letters = sorted((letter(str(i).encode()) for i in range(25)), key=lambda one: one.hash)
    await log.append([], deadletters=letters)
    paged: list[DeadLetter] = []
    while page := await log.deadletters(after=paged[-1].hash if paged else "", limit=10):
        paged += page
    assert paged == letters
    assert await log.deadletter(letters[3].hash[:20]) == letters[3]
    assert await log.deadletter("") is None, "several begin with it"
    assert await log.deadletter("no such") is None
    await log.remove_deadletters([one.hash for one in letters[:5]])
    assert await log.deadletters() == letters[5:]
    assert await log.count_deadletters() == len(letters) - 5
    await log.append([], deadletters=[letters[0]])
    assert await log.deadletter(letters[0].hash) == letters[0], "not replayed well: it came again"


@pytest.fixture
def bell_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A follower that no bell wakes sleeps on, instead of looking by itself."""
    monkeypatch.setattr(embedded, "_LOOK", 3600.0)


async def _follow(log: EventLog, since: Vector, count: int, into: list[Record]) -> None:
    async for batch in log.follow(since, limit=10):
        assert len(batch.records) <= 10
        into.extend(batch.records)
        if len(into) >= count:
            return


@pytest.mark.usefixtures("bell_alone")
async def test_a_follower_gets_what_is_there_and_what_comes(log: EventLog) -> None:
    await log.append(entries(*range(30)))
    followed: list[Record] = []
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        group.create_task(_follow(log, START, 60, followed))
        for number in range(30, 60):
            await log.append(entries(number))
    assert sorted(followed) == sorted(await all_of(log))


@pytest.mark.usefixtures("bell_alone")
async def test_an_append_of_another_process_wakes_a_follower(
    place: Backend, backend: str, log: EventLog
) -> None:
    followed: list[Record] = []
    async with asyncio.timeout(PATIENCE), other_process(backend, place, "other", 20, 1) as other:
        following = asyncio.create_task(_follow(log, START, 20, followed))
        await _say_go(other)
        await following
    assert len(followed) == 20


async def test_a_follower_can_be_cancelled(log: EventLog) -> None:
    followed: list[Record] = []
    following = asyncio.create_task(_follow(log, START, 10**6, followed))
    await log.append(entries(1))
    async with asyncio.timeout(PATIENCE):
        await _follow(log, START, 1, [])
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await following
    seen = len(followed)
    await log.append(entries(2))
    assert len(followed) == seen


async def test_nothing_is_read_ahead_of_the_follower(log: EventLog) -> None:
    await log.append(entries(*range(100)))
    follower = log.follow(START, limit=10)
    first = await anext(follower)
    await log.trim(await log.stable_end())
    with pytest.raises(OutOfRange):
        await anext(follower)
    assert len(first.records) == 10


@asynccontextmanager
async def other_process(
    backend: str, place: Backend, *what: object, crash_at: str = ""
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.contract.logs", backend, place.place, *map(str, what), crash_at),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"open\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _say_go(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.write(b"go\n")
    await process.stdin.drain()


async def test_two_processes_may_append_at_once(place: Backend, backend: str) -> None:
    """Where they don't take turns, the last to begin is told nothing and the other that it must end."""
    async with AsyncExitStack() as stack, asyncio.timeout(PATIENCE):
        both = await asyncio.gather(
            *(
                stack.enter_async_context(other_process(backend, place, name, 40, 5))
                for name in ("a", "b")
            )
        )
        await asyncio.gather(*map(_say_go, both))
        said = await asyncio.gather(*(process.communicate() for process in both))
    codes = sorted(process.returncode or 0 for process in both)
    assert codes == [0, 0] if place.shared else codes in ([0, 0], [0, Exit.TEMPORARY])
    acknowledged = {
        name: int(out.split()[-1]) if out else 0 for name, (out, _) in zip("ab", said, strict=True)
    }
    log = await place.open(SystemClock())
    records = await all_of(log)
    assert len({position(record) for record in records}) == len(records)
    assert Counter(record.key[0] for record in records) == Counter(acknowledged)
    assert Counter(await log.tallies()) == Counter(acknowledged)
    assert 200 in acknowledged.values()
    own: dict[int, list[Record]] = defaultdict(list)
    for record in records:
        own[record.partition].append(record)
    for in_order in own.values():
        assert all(a.appended_at <= b.appended_at for a, b in pairwise(in_order))
    await log.close()


async def test_a_killed_appender_leaves_whole_appends(place: Backend, backend: str) -> None:
    """Whatever was acknowledged is there; what was not is there whole or not at all."""
    async with asyncio.timeout(PATIENCE):
        async with other_process(backend, place, "a", 1_000_000, 3) as process:
            await _say_go(process)
            assert process.stdout is not None
            for _ in range(30):
                acknowledged = int(await process.stdout.readline())
            process.kill()
            rest = (await process.stdout.read()).split()
            acknowledged = int(rest[-1]) if rest else acknowledged
            await process.wait()
        assert process.returncode == -signal.SIGKILL
        log = await place.open(SystemClock())
        records = await all_of(log)
        assert len(records) in {acknowledged, acknowledged + 3}
        assert {record.key for record in records} == {f"a-{i}" for i in range(len(records))}
        assert await log.cursor("a") == str(len(records))
        assert await log.tallies() == {"a": len(records)}
        await log.append(entries(1))
        await log.close()
