"""What the log on Kafka is made of, as far as it needs no server."""

import gc
import inspect
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaConnectionError, ProducerFenced

from services.shared.log import clients, ledger
from services.shared.log.kafka import KafkaLog
from services.shared.log.ledger import Ledger, State
from services.shared.log.port import Cursor, Gap
from services.shared.log.topics import place_of
from services.shared.runtime.clock import SystemClock
from services.shared.runtime.exits import Exit, Refused
from services.shared.runtime.unavailable import Unavailable

UNSAFE_CONSUMER = {
    "enable_auto_commit": (True, False),
    "auto_offset_reset": ("latest", "none"),
    "isolation_level": ("read_uncommitted", "read_committed"),
    "request_timeout_ms": (40_000, 10_000),
}
UNSAFE_PRODUCER = {
    "enable_idempotence": (False, True),
    "compression_type": (None, "zstd"),
    "max_batch_size": (16_384, 512 * 1024),
    "transaction_timeout_ms": (60_000, 10_000),
    "request_timeout_ms": (40_000, 10_000),
}


@pytest.mark.parametrize(
    ("driver", "ours", "unsafe"),
    [
        (AIOKafkaConsumer, clients.CONSUMER, UNSAFE_CONSUMER),
        (AIOKafkaProducer, clients.PRODUCER, UNSAFE_PRODUCER),
    ],
)
def test_every_default_that_is_unsafe_is_overridden(
    driver: type[Any], ours: dict[str, Any], unsafe: dict[str, tuple[object, object]]
) -> None:
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(driver.__init__).parameters.items()
    }
    assert {name: (defaults[name], ours[name]) for name in unsafe} == unsafe


def test_what_is_safe_by_default_today_is_named_all_the_same() -> None:
    assert (clients.CONSUMER["group_id"], clients.CONSUMER["check_crcs"]) == (None, True)
    assert clients.PRODUCER["acks"] == "all"


def test_no_secret_is_shown() -> None:
    access = clients.Access("127.0.0.1:1", {"sasl_plain_password": "secret"})
    assert "secret" not in repr(access)


@pytest.mark.parametrize(
    ("url", "servers", "prefix"),
    [
        ("kafka://a:9092", "a:9092", "bvw"),
        ("kafka://a:9092,b:9093/", "a:9092,b:9093", "bvw"),
        ("kafka://a:9092/one.two", "a:9092", "one.two"),
    ],
)
def test_a_url_names_servers_and_topics(url: str, servers: str, prefix: str) -> None:
    place = place_of(url, "bvw")
    assert (place.servers, place.events) == (servers, f"{prefix}.recentchange")


@pytest.mark.parametrize(
    "url", ["kafka:", "http://a:9092", "kafka://a/b/c", "kafka://a/é", "kafka://me:pw@a:1"]
)
def test_another_url_is_refused(url: str) -> None:
    with pytest.raises(Refused, match=r"accepted is kafka://host:port"):
        place_of(url, "bvw")


def test_trouble_is_told_in_the_words_of_the_port() -> None:
    with (
        pytest.raises(Unavailable, match=r"kafka: cannot be read: .*no route"),
        clients.told("cannot be read"),
    ):
        raise KafkaConnectionError("no route")
    with pytest.raises(Refused, match="taken over") as refusal, clients.told("cannot be written"):
        raise ProducerFenced
    assert refusal.value.code is Exit.TEMPORARY


async def test_nothing_of_an_append_counts_before_its_last_record() -> None:
    read = Ledger(TopicPartition("t", 0), None, None)
    state = State(1, "w", 5, (3, 4), 0, 2, {"received": 7})
    *noted, last = ledger.items(state, Cursor("s", "17"), [Gap(1, 2, "a"), Gap(3, 4, "b")])
    for item in noted:
        read._take(*item)
    assert (read.state.serial, read.cursors, read.gaps) == (0, {}, [])
    read._take(*last)
    assert (read.state, read.cursors, read.gaps) == (
        state,
        {"s": "17"},
        [Gap(1, 2, "a"), Gap(3, 4, "b")],
    )
    assert [key for key, _ in noted] == ["gap:0", "gap:1", "cursor:s"]


async def test_the_first_identity_counts() -> None:
    read = Ledger(TopicPartition("t", 0), None, None)
    read._take("log:a", b'{"identity": "a", "partitions": 4}')
    read._take("log:b", b'{"identity": "b", "partitions": 9}')
    assert read.named == ledger.Named("a", 4)


async def test_a_server_that_is_not_there_leaves_nothing_open() -> None:
    with pytest.raises(Unavailable, match=r"127.0.0.1:1 does not answer"):
        await KafkaLog.open("kafka://127.0.0.1:1", clock=SystemClock())
    access = clients.Access("127.0.0.1:1")
    for client in (access.consumer, access.producer):
        with pytest.raises(KafkaConnectionError):
            await client()
    gc.collect()  # an unclosed client would warn
