"""The lake in a directory: Iceberg tables of local files, their catalogue in SQLite.

Iceberg's library blocks, so all work runs in one thread, one step after the other: an append never
meets maintenance of the same process. Other processes are held off by the role lock, and, if they
come all the same, by the comparison in every commit. `scan` runs in the thread of its caller.

The library and Arrow take a second and a hundred megabytes to import: they are, when a lake is opened.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from services.shared.domain.positions import Span, Vector
from services.shared.lake.port import Day, Horizon, Lake
from services.shared.runtime import database
from services.shared.runtime.clock import Clock
from services.shared.runtime.unavailable import Unavailable

if TYPE_CHECKING:
    import pyarrow as pa

    from services.shared.lake.warehouse import Warehouse

T = TypeVar("T")
_PASSING: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE})


class IcebergLake:
    """Open it with `open`, end it with `close`."""

    def __init__(self, warehouse: Warehouse, worker: ThreadPoolExecutor, clock: Clock) -> None:
        self._warehouse = warehouse
        self._worker = worker
        self._clock = clock

    @classmethod
    async def open(cls, root: Path, clock: Clock) -> Self:
        """Open the lake in a directory, which is created if it is not there."""
        worker = ThreadPoolExecutor(1, thread_name_prefix="lake")
        loop = asyncio.get_running_loop()
        with _unavailable():
            return cls(await loop.run_in_executor(worker, _open, root), worker, clock)

    async def begin(self, identity: str, horizon: Horizon) -> None:
        await self._do(lambda: self._warehouse.begin(identity, horizon))

    async def identity(self) -> str | None:
        return await self._do(self._warehouse.identity)

    async def horizon(self, table: str) -> Horizon:
        return await self._do(lambda: self._warehouse.horizon(table))

    async def append(self, table: str, rows: pa.Table, since: Vector, until: Horizon) -> None:
        await self._do(lambda: self._warehouse.append(table, rows, since, until))

    async def known(self, days: Sequence[int], digests: pa.Array[Any]) -> pa.Array[Any]:
        return await self._do(lambda: self._warehouse.known(days, digests))

    def scan(
        self,
        table: str,
        columns: Sequence[str],
        *,
        span: Span | None = None,
        days: Sequence[int] | None = None,
    ) -> Iterator[pa.Table]:
        yield from self._warehouse.scan(table, columns, span, days)

    async def days(self) -> list[Day]:
        return await self._do(self._warehouse.days)

    async def expire(self, days: Sequence[int]) -> None:
        await self._do(lambda: self._warehouse.expire(days, self._now()))

    async def expired(self) -> list[int]:
        return await self._do(self._warehouse.expired)

    async def maintain(self) -> None:
        await self._do(lambda: self._warehouse.maintain(self._now()))

    async def size(self) -> int:
        return await self._do(self._warehouse.size)

    async def close(self) -> None:
        await self._do(self._warehouse.close)
        await asyncio.to_thread(self._worker.shutdown)

    async def _do(self, work: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        with _unavailable():
            # A cancelled caller must not learn less than the disk: what has begun is waited for.
            return await asyncio.shield(loop.run_in_executor(self._worker, work))

    def _now(self) -> int:
        return int(self._clock.now() * 1000)


@contextlib.contextmanager
def _unavailable() -> Iterator[None]:
    """A full disk for instance, whether the files or the catalogue meet it."""
    try:
        yield
    except Exception as error:
        causes = (error, error.__cause__)
        full = any(isinstance(e, OSError) and e.errno in _PASSING for e in causes)
        if full or any(database.passes(cause) for cause in causes if cause):
            raise Unavailable(f"lake: {error.__cause__ or error}") from error
        raise


def _open(root: Path) -> Warehouse:
    from services.shared.lake.warehouse import Warehouse

    return Warehouse(root)


if TYPE_CHECKING:
    _: type[Lake] = IcebergLake
