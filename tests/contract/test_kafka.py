"""What the log on Kafka promises beyond the contract: its topics, its one writer, what a death leaves."""

import asyncio
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka.admin import NewPartitions
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from services.shared.domain.positions import zero
from services.shared.log import clients, topics
from services.shared.log.kafka import KafkaLog
from services.shared.log.port import Cursor, DeadLetter, Entry, Record
from services.shared.runtime.clock import ManualClock, SystemClock
from services.shared.runtime.exits import Exit, Refused
from services.shared.runtime.unavailable import Unavailable
from tests.contract import logs
from tests.contract.logs import Kafka, backend_of
from tests.launchers import kafka, place
from tests.launchers.place import Server

START = zero(4)


@pytest.fixture
async def there(backend: str, tmp_path: Path) -> AsyncIterator[Kafka]:
    if backend != "real":
        pytest.skip("of the log on Kafka")
    found = backend_of(backend, tmp_path)
    assert isinstance(found, Kafka)
    yield found
    await found.drop()


def entries(*names: object) -> list[Entry]:
    return [Entry(str(name), f"{name}".encode()) for name in names]


async def all_of(log: KafkaLog) -> list[Record]:
    return list((await log.read(START, limit=10_000)).records)


def topics_of(there: Kafka) -> topics.Place:
    return topics.place_of(there.place, "")


async def altered(there: Kafka, topic: str, setting: str, value: str) -> None:
    place = topics_of(there)
    settings = topics._wanted(place, 1)[topic] | {setting: value}
    resource = ConfigResource(ConfigResourceType.TOPIC, topic, settings)
    async with clients.Access(place.servers).administering() as admin:
        await admin.alter_configs([resource])


async def test_a_topic_that_is_set_otherwise_is_refused(there: Kafka) -> None:
    await (await there.open(SystemClock())).close()
    topic = topics_of(there).events
    await altered(there, topic, "retention.ms", "1000")
    with pytest.raises(Refused) as refusal:
        await there.open(SystemClock())
    assert refusal.value.message == f"kafka topic {topic}: retention.ms is 1000; accepted: -1"


async def test_more_partitions_than_the_log_was_made_with_are_refused(there: Kafka) -> None:
    await (await there.open(SystemClock())).close()
    place = topics_of(there)
    async with clients.Access(place.servers).administering() as admin:
        await admin.create_partitions({place.events: NewPartitions(5)})
    with pytest.raises(Refused, match="it has 5 partitions; accepted: 4"):
        await there.open(SystemClock())


async def test_events_that_were_made_anew_are_refused(
    there: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = await there.open(SystemClock())
    await log.append(entries(*range(20)))
    await log.close()
    place = topics_of(there)
    async with clients.Access(place.servers).administering() as admin:
        await admin.delete_topics([place.events])
    monkeypatch.setattr(clients, "PATIENCE", 3.0)
    with pytest.raises(Refused, match="it is another topic of that name"):
        await there.open(SystemClock())


async def test_the_last_writer_is_the_only_one(there: Kafka) -> None:
    first, second = await there.open(SystemClock()), await there.open(SystemClock())
    await first.append(entries(1), tally={"n": 1})
    await second.append(entries(2), tally={"n": 1})
    with pytest.raises(Refused, match="taken over") as refusal:
        await first.append(entries(3), tally={"n": 1})
    assert refusal.value.code is Exit.TEMPORARY
    await second.append(entries(4), tally={"n": 1})
    assert {record.key for record in await all_of(first)} == {"1", "2", "4"}
    assert await first.tallies() == {"n": 3}
    await first.close()
    await second.close()


async def test_one_that_wakes_before_its_commit_finds_itself_replaced(
    there: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await there.open(SystemClock()), await there.open(SystemClock())
    await first.append(entries(1), tally={"n": 1})
    producer = (await first._writing()).producer
    commit = producer.commit_transaction

    async def late() -> None:
        await second.append(entries(3), tally={"n": 1})
        await commit()

    monkeypatch.setattr(producer, "commit_transaction", late)
    with pytest.raises(Refused, match="taken over"):
        await first.append(entries(2), tally={"n": 1})
    assert {record.key for record in await all_of(second)} == {"1", "3"}
    assert await second.tallies() == {"n": 2}
    await first.close()
    await second.close()


async def test_a_cursor_that_is_no_longer_the_last_one_is_not_gone_on_from(there: Kafka) -> None:
    first, second = await there.open(SystemClock()), await there.open(SystemClock())
    assert await first.cursor("s") is None
    await second.append(entries(1), cursor=Cursor("s", "1"))
    with pytest.raises(Refused, match="since the cursor was read") as refusal:
        await first.append(entries(1), cursor=Cursor("s", "1"))
    assert refusal.value.code is Exit.TEMPORARY
    assert len(await all_of(first)) == 1
    await first.close()
    await second.close()


async def test_log_time_goes_on_from_where_the_last_writer_left_it(there: Kafka) -> None:
    first = await there.open(ManualClock(2_000_000_000))
    await first.append(entries(1))
    second = await there.open(ManualClock(1_000_000_000))
    await second.append(entries(2, 3))
    assert {record.appended_at for record in await all_of(second)} == {2_000_000_000_000}
    await first.close()
    await second.close()


@pytest.mark.parametrize(
    ("point", "stored"), [("log.in-append:2", False), ("log.appended:2", True)]
)
async def test_a_death_around_the_commit(there: Kafka, point: str, stored: bool) -> None:
    """Produced and not committed is nowhere, at once; the next writer goes on exactly."""
    died = await asyncio.to_thread(_append_in_process, there.place, point)
    assert died.returncode == Exit.CRASHED
    assert died.stdout.split() == ["open", "3"], "the first append was acknowledged"
    log = await there.open(SystemClock())
    there_is = 6 if stored else 3
    if stored:  # the broker finishes it by itself
        await log._ledger.wait(1, clients.PATIENCE)
    before = await all_of(log)
    assert {record.key for record in before} == {f"a-{n}" for n in range(there_is)}
    assert await log.cursor("a") == str(there_is)
    assert await log.tallies() == {"a": there_is}
    positions = await log.append(entries(*range(20)), tally={"a": 1})
    records = await all_of(log)
    assert len(records) == there_is + 20
    assert len(set(positions)) == 20
    assert await log.tallies() == {"a": there_is + 1}
    assert (await log.read(START, limit=10_000)).until == await log.stable_end()
    await log.close()


def _append_in_process(where: str, point: str) -> "subprocess.CompletedProcess[str]":
    words = [logs.__name__, "real", where, "a", "1000", "3", point]
    return subprocess.run(
        [sys.executable, "-m", *words],
        input="go\n",
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("stored", [True, False])
async def test_an_answer_that_was_lost_is_settled(
    there: Kafka, monkeypatch: pytest.MonkeyPatch, stored: bool
) -> None:
    log = await there.open(SystemClock())
    await log.append(entries(1), tally={"n": 1})
    producer = (await log._writing()).producer
    commit = producer.commit_transaction

    async def lost() -> None:
        if stored:
            await commit()
        raise TimeoutError

    monkeypatch.setattr(producer, "commit_transaction", lost)
    letter = DeadLetter("a" * 64, b"?", "not-json", "", "s", "", at=1)
    if stored:
        positions = await log.append(entries(2, 3), tally={"n": 2}, deadletters=[letter])
        records = {(r.partition, r.offset): r.key for r in await all_of(log)}
        assert [records[position] for position in positions] == ["2", "3"]
    else:
        with pytest.raises(Unavailable, match="was not stored"):
            await log.append(entries(2, 3), tally={"n": 2}, deadletters=[letter])
        assert await log.count_deadletters() == 0
    await log.append(entries(4), tally={"n": 1}, deadletters=[letter])
    kept = 4 if stored else 2
    assert len(await all_of(log)) == kept
    assert await log.tallies() == {"n": kept}
    assert await log.deadletters() == [letter]
    await log.close()


async def test_a_cancelled_append_leaves_nothing(there: Kafka, monkeypatch: Any) -> None:
    log = await there.open(SystemClock())
    await log.append(entries(1))
    producer = (await log._writing()).producer
    reached = asyncio.Event()

    async def never() -> None:
        reached.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(producer, "commit_transaction", never)
    appending = asyncio.create_task(log.append(entries(2)))
    await reached.wait()
    appending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await appending
    assert len(await all_of(log)) == 1
    await log.append(entries(3))
    assert {record.key for record in await all_of(log)} == {"1", "3"}
    await log.close()


async def test_an_event_that_no_topic_takes_is_refused_before_anything_is_sent(
    there: Kafka,
) -> None:
    log = await there.open(SystemClock())
    with pytest.raises(ValueError, match="more than"):
        await log.append([*entries(1), Entry("big", bytes(topics.LARGEST))])
    await log.append(entries(2))
    assert [record.key for record in await all_of(log)] == ["2"]
    await log.close()


async def test_a_ledger_with_records_of_others_is_not_gone_on_from(there: Kafka) -> None:
    log = await there.open(SystemClock())
    place = topics_of(there)
    producer = await clients.Access(place.servers).producer()
    await producer.send_and_wait(place.cursors, b"what?", key=b"state", partition=0)
    await producer.stop()
    with pytest.raises(msgspec.DecodeError):
        await log.stable_end()
    await log.close()


async def test_its_size_is_that_of_the_brokers_files(there: Kafka) -> None:
    log = await there.open(SystemClock())
    before = await log.size()
    await log.append([Entry(str(n), secrets.token_bytes(1000)) for n in range(100)])
    assert before + 100_000 < await log.size() < before + 200_000
    await log.close()


@pytest.fixture
async def own_server(backend: str) -> AsyncIterator[Server]:
    """A broker that a test may kill."""
    if backend != "real":
        pytest.skip("of the log on Kafka")
    server = await asyncio.to_thread(kafka.start, place.cache())
    yield server
    await asyncio.to_thread(server.stop)


async def test_a_broker_that_dies_and_comes_back(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever appends hears `Unavailable` within its patience, tries again, and nothing is lost or twice."""
    monkeypatch.setattr(clients, "PATIENCE", 5.0)
    log = await KafkaLog.open(own_server.url, partitions=4, clock=SystemClock())
    await log.append(entries("before"), cursor=Cursor("s", "1"))
    own_server.kill()
    async with asyncio.timeout(20):
        with pytest.raises(Unavailable):
            await log.append(entries("during"), cursor=Cursor("s", "2"))
    async with asyncio.timeout(20):
        with pytest.raises(Unavailable):
            await log.stable_end()
    await asyncio.to_thread(kafka.restart, own_server, place.cache())
    async with asyncio.timeout(60):
        while True:
            try:
                await log.append(entries("after"), cursor=Cursor("s", "3"))
                break
            except Unavailable:
                await asyncio.sleep(0.2)
    assert [record.key for record in await all_of(log)].count("after") == 1
    assert {record.key for record in await all_of(log)} <= {"before", "during", "after"}
    assert await log.cursor("s") == "3"
    await log.close()
