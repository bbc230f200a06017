"""How many bytes topics take on the brokers' disks: a request that aiokafka does not have (DescribeLogDirs)."""

from collections.abc import Collection
from typing import Any

from aiokafka.errors import for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Int64, Schema, String

_TEXT = String("utf-8")


class _Response(Response):  # type: ignore[misc]
    API_KEY = 35
    API_VERSION = 1
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "log_dirs",
            Array(
                ("error_code", Int16),
                ("log_dir", _TEXT),
                (
                    "topics",
                    Array(
                        ("name", _TEXT),
                        (
                            "partitions",
                            Array(
                                ("partition", Int32),
                                ("size", Int64),
                                ("offset_lag", Int64),
                                ("is_future", Boolean),
                            ),
                        ),
                    ),
                ),
            ),
        ),
    )


class _Struct(RequestStruct):  # type: ignore[misc]
    API_KEY = 35
    API_VERSION = 1
    RESPONSE_TYPE = _Response
    SCHEMA = Schema(("topics", Array(("topic", _TEXT), ("partitions", Array(Int32)))))


class _Request(Request[_Struct]):  # type: ignore[misc]
    API_KEY = 35

    def __init__(self, topics: list[tuple[str, list[int]]]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_Struct]) -> _Struct:
        return request_struct_class(self._topics)


async def size(admin: Any, partitions: Collection[tuple[str, int]]) -> int:
    """Bytes of all replicas of these partitions; `admin` is a started admin client."""
    topics: dict[str, list[int]] = {}
    for topic, partition in partitions:
        topics.setdefault(topic, []).append(partition)
    total = 0
    for broker in (await admin.describe_cluster())["brokers"]:
        answer = await admin._send_request(_Request(list(topics.items())), broker["node_id"])  # noqa: SLF001
        for code, _, found in answer.log_dirs:
            if code:
                raise for_code(code)
            total += sum(one[1] for _, places in found for one in places)
    return total
