"""The batch views that the contract runs over; a new adapter adds itself to `backend_of`."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol
from urllib.parse import urlsplit

from pymongo import AsyncMongoClient

from services.shared.batchview.embedded import SqliteBatchView
from services.shared.batchview.mongo import MongoBatchView
from services.shared.batchview.port import BatchView
from services.shared.runtime.clock import Clock
from tests.contract.backends import chosen, url
from tests.launchers import mongo

MANY = {"embedded": 110_000, "real": 12_000}
"""More than an adapter takes in or looks up at once. The server of the tests compares each row with each value."""


class Backend(Protocol):
    """A batch view of one kind, which a folder stands for."""

    async def open(self, clock: Clock) -> BatchView: ...

    async def drop(self) -> None:
        """Nothing of it is left."""
        ...


class Embedded:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "batch.db"

    async def open(self, clock: Clock) -> BatchView:
        return await SqliteBatchView.open(self._path, clock)

    async def drop(self) -> None:
        """Its folder goes by itself."""


class Mongo:
    """A database of its own on the server."""

    def __init__(self, folder: Path) -> None:
        self.name = "test-" + hashlib.sha256(str(folder).encode()).hexdigest()[:16]
        self.url = urlsplit(url(mongo.VARIABLE))._replace(path=f"/{self.name}").geturl()

    async def open(self, clock: Clock) -> BatchView:
        return await MongoBatchView.open(self.url, clock)

    async def drop(self) -> None:
        async with AsyncMongoClient[dict[str, Any]](self.url) as client:
            await client.drop_database(self.name)


BACKENDS: dict[str, Callable[[Path], Backend]] = {"embedded": Embedded, "real": Mongo}


def backend_of(name: str, folder: Path) -> Backend:
    return chosen("batch view", name, BACKENDS)(folder)


@asynccontextmanager
async def fresh(backend: str, clock: Clock) -> AsyncIterator[BatchView]:
    """An empty view for a while."""
    with TemporaryDirectory() as folder:
        place = backend_of(backend, Path(folder))
        view = await place.open(clock)
        yield view
        await view.close()
        await place.drop()
