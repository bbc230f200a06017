"""Writing many documents to Elasticsearch: what each outcome means, and what is done then.

| outcome | meaning | what is done |
|---|---|---|
| 200, 201 | taken | counted |
| 409 | an earlier copy is there, or the same | nothing |
| 404 of a document | what was to be removed is gone | nothing |
| 404 of the index | the view has been emptied or is lost | `Lost` |
| 400 | a defect of ours | `Rejected`: never passed over |
| 429 with a block | the disk is full (flood stage) | an alarm, and `Busy` for long |
| other 429, 5xx of an item | it had no room, or a shard is moving | these again, after a while |
| 429 or 413 of the request | too much at once | its halves, one after the other; `Busy` if there are none |
| no answer | unknown | `Unavailable`: all of it may be repeated, versions decide |

Every line has its id and version, so repeating is harmless. The request is written once, by us.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import structlog
from elasticsearch import ApiError, AsyncElasticsearch

from services.shared.speedview.cluster import Lost, serving
from services.shared.speedview.port import Busy

T = TypeVar("T")

_LARGEST: Final = 5 << 20
_MOST: Final = 1_024
_IN_FLIGHT: Final = 3
"""Two for the server, one that is being written."""
_WAITS: Final = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds before each repetition of what had no room; the whole write is repeated after the last."""
_BUSY: Final = 1.0
_FULL: Final = 30.0
_TAKEN: Final = (200, 201)
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_TOO_MUCH: Final = (413, 429)
_NO_ROOM: Final = 429
_SERVERS: Final = 500
_HEADERS: Final = {"accept": "application/json", "content-type": "application/x-ndjson"}
_FILTER: Final = {"filter_path": "items.*.status,items.*.error.type,items.*.error.reason"}

_log = structlog.get_logger(__name__)


class Rejected(Exception):
    """The server refuses a document for good: a defect of ours, which nobody may pass over."""


async def send(
    client: AsyncElasticsearch, index: str, things: Sequence[T], lines: Callable[[T], bytes]
) -> int:
    """Writes what `lines` makes of each thing, and returns how many were taken."""
    room = asyncio.Semaphore(_IN_FLIGHT)

    async def one(part: Sequence[T]) -> int:
        async with room:
            # Off the loop, and while the server is busy with another part.
            made = await asyncio.to_thread(lambda: list(map(lines, part)))
            return sum([await _settled(client, index, chunk) for chunk in _chunks(made)])

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(one(things[at : at + _MOST]))
                for at in range(0, len(things), _MOST)
            ]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return sum(task.result() for task in tasks)


def _chunks(lines: Sequence[bytes]) -> list[list[bytes]]:
    """Requests of bounded size."""
    chunks: list[list[bytes]] = []
    size = _LARGEST
    for line in lines:
        if size + len(line) > _LARGEST:
            chunks.append([])
            size = 0
        chunks[-1].append(line)
        size += len(line)
    return chunks


async def _settled(client: AsyncElasticsearch, index: str, chunk: list[bytes]) -> int:
    taken = 0
    for wait in _WAITS:
        count, chunk = await _once(client, index, chunk)
        taken += count
        if not chunk:
            return taken
        await asyncio.sleep(wait)
    raise Busy(_BUSY)


async def _once(
    client: AsyncElasticsearch, index: str, chunk: list[bytes]
) -> tuple[int, list[bytes]]:
    """How many were taken, and what had no room."""
    with serving():
        try:
            answer = await client.perform_request(
                "POST", f"/{index}/_bulk", params=_FILTER, headers=_HEADERS, body=b"".join(chunk)
            )
        except ApiError as error:
            if error.status_code not in _TOO_MUCH:
                raise
            return await _halves(client, index, chunk)
    outcomes = [next(iter(item.values())) for item in answer["items"]]
    again = [line for line, of in zip(chunk, outcomes, strict=True) if _must_be_repeated(of)]
    return sum(of["status"] in _TAKEN for of in outcomes), again


async def _halves(
    client: AsyncElasticsearch, index: str, chunk: list[bytes]
) -> tuple[int, list[bytes]]:
    if len(chunk) == 1:
        raise Busy(_BUSY)
    middle = len(chunk) // 2
    first, left = await _once(client, index, chunk[:middle])
    second, right = await _once(client, index, chunk[middle:])
    return first + second, left + right


def _must_be_repeated(outcome: Mapping[str, Any]) -> bool:
    status, error = outcome["status"], outcome.get("error", {})
    if status in _TAKEN or status == _CONFLICT:
        return False
    if status == _NOT_FOUND and not error:
        return False
    if status == _NOT_FOUND:
        raise Lost(error["reason"])
    if error["type"] == "cluster_block_exception":
        _log.error("speed_view_blocked", reason=error["reason"], way_out="free disk space")
        raise Busy(_FULL)
    if status == _NO_ROOM or status >= _SERVERS:
        return True
    raise Rejected(f"{status} {error['type']}: {error['reason']}")
