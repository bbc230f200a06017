"""MongoDB as the batch view uses it: the one module that names Motor.

Every write is acknowledged by a majority and in its journal, every read is of the primary and of what
a majority has; each request has a time of its own, which the driver also tells the server
(`maxTimeMS`). What keeps the server from serving is `Unavailable`: whether a write whose reply was lost
has been carried out is then for the caller to find out.

Only what a standalone server has: no transactions, no TTL, no change streams.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, Self, TypeAlias

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    CursorNotFound,
    DuplicateKeyError,
    ExecutionTimeout,
    OperationFailure,
    WriteConcernError,
)

from services.shared.runtime.unavailable import Unavailable

Document: TypeAlias = dict[str, Any]

REQUEST_WITHIN_MS: Final = 30_000
FOUND_WITHIN_MS: Final = 5_000
BATCH: Final = 1_000
"""Documents of one reply or write."""

_CONCERNS: Final[dict[str, Any]] = {
    "w": "majority",
    "journal": True,
    "readPreference": "primary",
    "readConcernLevel": "majority",
}
# The driver would ask a server that is away again and again for all of a request's time.
_TIMES: Final[dict[str, Any]] = {
    "retryReads": False,
    "timeoutMS": REQUEST_WITHIN_MS,
    "connectTimeoutMS": FOUND_WITHIN_MS,
    "serverSelectionTimeoutMS": FOUND_WITHIN_MS,
}
# Codes of what passes: NetworkTimeout within a cluster, ExceededTimeLimit, OutOfDiskSpace.
_PASSING: Final = frozenset({89, 262, 14031})


class Server:
    """One database; a collection comes into being with its first document."""

    def __init__(self, client: "AsyncIOMotorClient[Document]", name: str) -> None:
        self._client = client
        self._database: AsyncIOMotorDatabase[Document] = client[name]

    @classmethod
    async def open(cls, url: str) -> Self:
        """`mongodb://host:port/database`. Raises ValueError if it is no such URL."""
        loop = asyncio.get_running_loop()
        made = partial(AsyncIOMotorClient[Document], url, io_loop=loop, **_CONCERNS, **_TIMES)
        try:
            client = await asyncio.to_thread(made)  # may read certificates and ask the DNS
            return cls(client, client.get_default_database().name)
        except (ConfigurationError, ValueError) as error:
            raise ValueError(f"mongodb://host:port/database is expected: {error}") from error

    async def close(self) -> None:
        self._client.close()

    async def index(self, collection: str, *columns: str) -> None:
        with _served():
            await self._database[collection].create_index([(column, 1) for column in columns])

    # Reading

    async def one(
        self, collection: str, where: Document, fields: Mapping[str, Any] | None = None
    ) -> Document | None:
        with _served():
            return await self._database[collection].find_one(where, fields)

    async def find(
        self,
        collection: str,
        where: Document,
        *columns: str,
        sort: Sequence[tuple[str, int]] = (),
        skip: int = 0,
        limit: int = 0,
    ) -> AsyncGenerator[list[Document], None]:
        """The columns of what meets the conditions, batch by batch; all columns if none is named."""
        cursor = self._database[collection].find(
            where, columns or None, sort=sort or None, skip=skip, limit=limit, batch_size=BATCH
        )
        async for batch in _batches(cursor):
            yield batch

    async def aggregate(
        self, collection: str, pipeline: list[Document]
    ) -> AsyncGenerator[list[Document], None]:
        """What the pipeline gives, batch by batch."""
        cursor = self._database[collection].aggregate(pipeline, allowDiskUse=True, batchSize=BATCH)
        async for batch in _batches(cursor):
            yield batch

    async def count(self, collection: str, where: Document) -> int:
        with _served():
            return await self._database[collection].count_documents(where)

    async def size(self) -> int:
        """Bytes of all documents and indexes, before the server compresses them."""
        with _served():
            stats = await self._database.command("dbStats")
        return int(stats["dataSize"]) + int(stats["indexSize"])

    # Writing

    async def insert(self, collection: str, documents: Sequence[Document]) -> None:
        """All of them; after an error some may be there."""
        with _served():
            for first in range(0, len(documents), BATCH):
                piece = documents[first : first + BATCH]
                await self._database[collection].insert_many(piece, ordered=False)

    async def create(self, collection: str, document: Document) -> bool:
        """False if there is one with that `_id`."""
        with _served():
            try:
                await self._database[collection].insert_one(document)
            except DuplicateKeyError:
                return False
        return True

    async def update(self, collection: str, where: Document, change: Document) -> bool:
        """Change one document; False if none meets the conditions."""
        with _served():
            result = await self._database[collection].update_one(where, change)
        return result.matched_count > 0

    async def put(self, collection: str, document: Document) -> None:
        """In place of the one with that `_id`, if there is one."""
        with _served():
            where = {"_id": document["_id"]}
            await self._database[collection].replace_one(where, document, upsert=True)

    async def delete(self, collection: str, where: Document) -> None:
        with _served():
            await self._database[collection].delete_many(where)


async def _batches(cursor: Any) -> AsyncGenerator[list[Document], None]:
    try:
        while True:
            with _served():
                batch: list[Document] = await cursor.to_list(BATCH)
            if not batch:
                return
            yield batch
    finally:
        with _served():
            await cursor.close()


@contextmanager
def _served() -> Iterator[None]:
    try:
        yield
    except (ConnectionFailure, ExecutionTimeout, WriteConcernError, CursorNotFound) as error:
        raise Unavailable(f"MongoDB: {error}") from error
    except OperationFailure as error:
        if _passes(error):
            raise Unavailable(f"MongoDB: {error}") from error
        raise


def _passes(error: OperationFailure) -> bool:
    """Of a bulk write, all its errors; one without any was only not acknowledged by a majority in time."""
    if isinstance(error, BulkWriteError):
        return all(one["code"] in _PASSING for one in (error.details or {}).get("writeErrors", ()))
    return error.code in _PASSING
