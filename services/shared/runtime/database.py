"""SQLite for asyncio: one thread that writes, a few that read, and nothing on the event loop.

Every embedded adapter keeps its tables in one `Database`. `write` runs a function in one immediate
transaction, durable when it returns (WAL, `synchronous=FULL`); `read` runs a function in one
snapshot. A function gets the connection and must not keep it. Writers of other processes are
waited for (`busy_timeout`). What the disk refuses is `Unavailable`, with nothing half done.
`copy` takes a file as it is at one moment, while others write.
"""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Self, TypeAlias, TypeVar

from services.shared.runtime import durable
from services.shared.runtime.unavailable import Unavailable

T = TypeVar("T")
Connection: TypeAlias = sqlite3.Connection

_BUSY_MS: Final = 30_000
_PRAGMAS: Final = (
    f"PRAGMA busy_timeout = {_BUSY_MS}",
    # Only while a file is new; lets `PRAGMA incremental_vacuum` give space back to the disk.
    "PRAGMA auto_vacuum = INCREMENTAL",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA foreign_keys = ON",
    "PRAGMA journal_size_limit = 67108864",
)
_VACUUM_PAGES: Final = 1024
_COPIED_PAGES: Final = 4096
# Freed pages are used again by the next writes; only much more than those need goes back.
_VACUUM_SHARE: Final = 8
# Everything else is a defect of ours.
_PASSING: Final = frozenset(
    {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN}
)


class Database:
    """One SQLite file. Create it with `open`, end it with `close`."""

    def __init__(
        self, path: Path, *, readers: int, prepare: Callable[[sqlite3.Connection], None]
    ) -> None:
        self.path = path
        self._prepare = prepare
        self._writer = ThreadPoolExecutor(1, thread_name_prefix=f"{path.stem}-write")
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix=f"{path.stem}-read")
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._lock = threading.Lock()

    @classmethod
    async def open(
        cls,
        path: Path,
        schema: str,
        *,
        readers: int = 2,
        prepare: Callable[[sqlite3.Connection], None] = lambda _: None,
    ) -> Self:
        """Open or create the file and make sure of its schema (idempotent statements).

        `prepare` runs on each new connection, for functions and aggregates of an adapter.
        """
        database = cls(path, readers=readers, prepare=prepare)
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(database._writer, database._create, schema)
        except BaseException:
            await database.close()
            raise
        return database

    def _create(self, schema: str) -> None:
        with _unavailable(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection().executescript(schema)

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in one transaction: all of it is durable on return, or none after an error."""
        loop = asyncio.get_running_loop()
        written = loop.run_in_executor(self._writer, self._transact, work)
        try:
            return await asyncio.shield(written)
        except asyncio.CancelledError:
            # A write cannot be called off. Whoever is cancelled goes on once it has ended, so
            # that nothing is written behind the back of what follows.
            await asyncio.wait([written])
            raise

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in one snapshot."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._snapshot, work)

    async def size(self) -> int:
        """Bytes on disk, with what is still in the journal."""
        return await asyncio.to_thread(self._size)

    async def give_back(self) -> None:
        """Give freed pages back to the disk, if there are many."""
        while await self.write(_vacuum):
            pass

    async def close(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._shutdown)

    def _transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return self._within("BEGIN IMMEDIATE", work)

    def _snapshot(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return self._within("BEGIN", work)

    def _within(self, begin: str, work: Callable[[sqlite3.Connection], T]) -> T:
        with _unavailable(self.path):
            connection = self._connection()
            connection.execute(begin)
            try:
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                # SQLite may have rolled back by itself, after a full disk for instance.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return result

    def _size(self) -> int:
        files = (self.path, Path(f"{self.path}-wal"), Path(f"{self.path}-shm"))
        return sum(file.stat().st_size for file in files if file.exists())

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(
                self.path, isolation_level=None, check_same_thread=False, cached_statements=256
            )
            for pragma in _PRAGMAS:
                connection.execute(pragma)
            self._prepare(connection)
            self._local.connection = connection
            with self._lock:
                self._connections.append(connection)
        return connection

    def _shutdown(self) -> None:
        self._readers.shutdown()
        self._writer.shutdown()
        for connection in self._connections:
            connection.close()


def _vacuum(connection: sqlite3.Connection) -> bool:
    """Gives back some pages; False once there are not many more."""
    [(free,)] = connection.execute("PRAGMA freelist_count").fetchall()
    [(pages,)] = connection.execute("PRAGMA page_count").fetchall()
    if free < _VACUUM_PAGES or free * _VACUUM_SHARE < pages:
        return False
    connection.execute(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})").fetchall()
    return True


def copy(source: Path, target: Path, *amendments: tuple[str, tuple[str, ...]]) -> None:
    """A copy of one snapshot, durable on return; until then what is at `target` counts for nothing.

    `amendments` are statements with their values that are carried out on the copy.
    """
    for left in target.parent.glob(f"{target.name}*"):
        left.unlink()
    with (
        _unavailable(source),
        contextlib.closing(sqlite3.connect(source, isolation_level=None)) as here,
        contextlib.closing(sqlite3.connect(target, isolation_level=None)) as there,
    ):
        here.execute(_PRAGMAS[0])
        # From the first read on it is one snapshot, so that no write makes the copy begin again.
        here.execute("BEGIN")
        here.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        there.execute("PRAGMA synchronous = OFF")
        here.backup(there, pages=_COPIED_PAGES, sleep=0)
        for statement, values in amendments:
            there.execute(statement, values)
    durable.sync(target)


def passes(error: BaseException) -> bool:
    """Whether what SQLite says may pass by itself, or by somebody's freeing space."""
    # The low byte is the kind, what is above it the detail.
    code = getattr(error, "sqlite_errorcode", 0)
    return isinstance(error, sqlite3.Error) and code & 0xFF in _PASSING


@contextlib.contextmanager
def _unavailable(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if passes(error):
            raise Unavailable(f"{path}: {error}") from error
        raise
