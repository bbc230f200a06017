"""The topics of a log on Kafka: their names and settings, made where they are missing, checked where they are
there.

    <prefix>.recentchange   the events: key = event id, value = its raw bytes, time = log time
    <prefix>.deadletters    what could not be understood: key = hash, value = raw bytes, why in the headers
    <prefix>.cursors        the ledger (see `ledger`): one partition, compacted

The broker removes nothing by itself: not by age, because only the readers' positions tell what is not needed
any more (`trim` removes it), and not by size. Times are the producer's (CreateTime), because log time must
never go back, whatever a broker's clock does or whichever broker leads; so the broker must take them however
far they are from its own.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code

from services.shared.log import clients
from services.shared.log.clients import Access
from services.shared.log.port import MOST_BYTES
from services.shared.runtime.exits import Refused

LARGEST: Final = MOST_BYTES + 64 * 1024
"""Bytes of the largest record that the topics take, compressed or not."""
_ANY_TIME: Final = str(2**63 - 1)
# The ledger is read from its start at each opening, and only closed segments are compacted. Of use, not checked.
_SHORT: Final = {"segment.bytes": str(16 * 1024 * 1024), "min.cleanable.dirty.ratio": "0.1"}
_AT_LEAST: Final = {"max.message.bytes", "min.insync.replicas"}
_LEGAL: Final = re.compile(r"[A-Za-z0-9._-]{1,200}")


@dataclass(frozen=True, slots=True)
class Place:
    """The names of one log in one cluster."""

    servers: str
    prefix: str

    @property
    def events(self) -> str:
        return f"{self.prefix}.recentchange"

    @property
    def deadletters(self) -> str:
        return f"{self.prefix}.deadletters"

    @property
    def cursors(self) -> str:
        return f"{self.prefix}.cursors"

    @property
    def transactional_id(self) -> str:
        """The same for every collector of this log, so that there is one at a time."""
        return f"{self.prefix}.collector"


def place_of(url: str, prefix: str) -> Place:
    """Of kafka://host:port[,host:port…][/prefix]; `prefix` is for a URL without one."""
    parts = urlsplit(url)
    named = parts.path.strip("/") or prefix
    odd = parts.query or parts.fragment or "@" in parts.netloc
    if parts.scheme != "kafka" or not parts.netloc or odd or not _LEGAL.fullmatch(named):
        raise Refused(f"{url}: accepted is kafka://host:port[,host:port…][/prefix]")
    return Place(parts.netloc, named)


async def prepare(access: Access, place: Place, partitions: int, replication: int) -> int:
    """Makes what is missing and checks the rest; the number of partitions that the events have."""
    wanted = _wanted(place, replication)
    async with access.administering() as admin:
        found = await _described(admin, wanted)
        missing = [topic for topic in wanted if topic not in found]
        if missing:
            made = {topic: wanted[topic] for topic in missing}
            made[place.cursors] = wanted[place.cursors] | _SHORT
            await _create(
                admin,
                [
                    NewTopic(
                        topic,
                        partitions if topic == place.events else 1,
                        replication,
                        topic_configs=made[topic],
                    )
                    for topic in missing
                ],
            )
            found = await _led(admin, wanted)
        await _check(admin, wanted, found, replication)
    return len(found[place.events])


def _wanted(place: Place, replication: int) -> dict[str, dict[str, str]]:
    common = {
        "max.message.bytes": str(LARGEST),
        "message.timestamp.type": "CreateTime",
        "message.timestamp.before.max.ms": _ANY_TIME,
        "message.timestamp.after.max.ms": _ANY_TIME,
        "min.insync.replicas": str(max(1, replication - 1)),
        "unclean.leader.election.enable": "false",
    }
    kept = common | {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
    compacted = common | {"cleanup.policy": "compact"}
    return {place.events: kept, place.deadletters: compacted, place.cursors: compacted}


_Found = Mapping[str, list[dict[str, Any]]]


async def _described(admin: AIOKafkaAdminClient, wanted: Mapping[str, Any]) -> _Found:
    """The partitions of those topics that are there.

    All topics are asked for, because a broker may create a topic, its own way, that is asked for by name.
    """
    topics = [one for one in await admin.describe_topics() if one["topic"] in wanted]
    return {one["topic"]: one["partitions"] for one in topics if not one["error_code"]}


async def _create(admin: AIOKafkaAdminClient, new: list[NewTopic]) -> None:
    answer = await admin.create_topics(new)
    for topic, code, message, *_ in answer.topic_errors:
        if code and for_code(code) is not TopicAlreadyExistsError:
            raise Refused(f"kafka topic {topic} cannot be created: {message or for_code(code)}")


async def _led(admin: AIOKafkaAdminClient, wanted: Mapping[str, Any]) -> _Found:
    """The topics, once each partition has a leader."""
    async with asyncio.timeout(clients.PATIENCE):
        while True:
            found = await _described(admin, wanted)
            partitions = [partition for topic in found.values() for partition in topic]
            if len(found) == len(wanted) and all(one["leader"] >= 0 for one in partitions):
                return found
            await asyncio.sleep(0.05)


async def _check(
    admin: AIOKafkaAdminClient,
    wanted: Mapping[str, dict[str, str]],
    found: _Found,
    replication: int,
) -> None:
    for topic, partitions in found.items():
        copies = min(len(partition["replicas"]) for partition in partitions)
        if copies < replication:
            raise Refused(_odd(topic, "replication.factor", copies, f"at least {replication}"))
    asked = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in wanted]
    for answer in await admin.describe_configs(asked):
        for code, message, _, topic, entries in answer.resources:
            if code:
                raise Refused(f"kafka topic {topic}: its settings cannot be read: {message}")
            have = {name: value for name, value, *_ in entries}
            _compare(topic, wanted[topic], have)


def _compare(topic: str, wanted: Mapping[str, str], have: Mapping[str, str | None]) -> None:
    for name, value in wanted.items():
        is_there = have.get(name)
        if name in _AT_LEAST:
            if int(is_there or 0) < int(value):
                raise Refused(_odd(topic, name, is_there, f"at least {value}"))
        elif is_there != value:
            raise Refused(_odd(topic, name, is_there, value))


def _odd(topic: str, setting: str, value: object, accepted: str) -> str:
    return f"kafka topic {topic}: {setting} is {value}; accepted: {accepted}"
