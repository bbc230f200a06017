"""One transaction a write, one snapshot a read, and nothing half done whatever the disk says."""

import asyncio
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest

from services.shared.runtime.database import Connection, Database, copy
from services.shared.runtime.unavailable import Unavailable

SCHEMA = "CREATE TABLE IF NOT EXISTS words (word TEXT PRIMARY KEY)"


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path / "sub" / "words.db", SCHEMA)
    yield database
    await database.close()


def adding(*added: str) -> Callable[[Connection], int]:
    def work(connection: Connection) -> int:
        for word in added:
            connection.execute("INSERT INTO words VALUES (?)", (word,))
        return len(added)

    return work


def words(connection: Connection) -> list[str]:
    return [word for (word,) in connection.execute("SELECT word FROM words ORDER BY word")]


async def test_a_write_is_all_or_nothing(database: Database) -> None:
    assert await database.write(adding("a", "b")) == 2
    with pytest.raises(sqlite3.IntegrityError):
        await database.write(adding("c", "a"))
    assert await database.read(words) == ["a", "b"]
    assert await database.write(adding("c")) == 1


async def test_what_is_written_is_durable_and_shared(database: Database) -> None:
    await database.write(adding("a"))
    [(mode,)] = await database.read(lambda c: c.execute("PRAGMA journal_mode").fetchall())
    [(level,)] = await database.write(lambda c: c.execute("PRAGMA synchronous").fetchall())
    assert (mode, level) == ("wal", 2)
    other = await Database.open(database.path, SCHEMA)
    assert await other.read(words) == ["a"]
    await other.close()


async def test_a_read_is_one_snapshot(database: Database) -> None:
    begun, written = threading.Event(), threading.Event()

    def twice(connection: Connection) -> tuple[list[str], list[str]]:
        before = words(connection)
        begun.set()
        assert written.wait(30)
        return before, words(connection)

    reading = asyncio.create_task(database.read(twice))
    await asyncio.to_thread(begun.wait, 30)
    await database.write(adding("a"))
    written.set()
    assert await reading == ([], [])
    assert await database.read(words) == ["a"]


async def test_a_reader_cannot_write_by_mistake_and_keep_it(database: Database) -> None:
    def failing(connection: Connection) -> None:
        adding("a")(connection)
        raise LookupError

    with pytest.raises(LookupError):
        await database.read(failing)
    assert await database.read(words) == []


async def test_a_cancelled_writer_goes_on_when_the_write_has_ended(database: Database) -> None:
    begun, allowed = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        adding("a")(connection)
        begun.set()
        assert allowed.wait(30)

    writing = asyncio.create_task(database.write(slow))
    await asyncio.to_thread(begun.wait, 30)
    writing.cancel()
    await asyncio.sleep(0)
    assert not writing.done()
    allowed.set()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert await database.read(words) == ["a"]


async def test_a_full_disk_is_unavailable_and_passes(database: Database) -> None:
    [(pages,)] = await database.write(lambda c: c.execute("PRAGMA page_count").fetchall())
    await database.write(lambda c: c.execute(f"PRAGMA max_page_count = {pages + 1}").fetchall())
    with pytest.raises(Unavailable, match=r"words\.db: database or disk is full") as refused:
        await database.write(adding(*(str(i) * 100 for i in range(1000))))
    assert refused.value.retry_after > 0
    assert await database.read(words) == []
    await database.write(lambda c: c.execute("PRAGMA max_page_count = 1000000").fetchall())
    await database.write(adding("a"))
    assert await database.read(words) == ["a"]


async def test_a_place_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "taken.db").mkdir()
    with pytest.raises(Unavailable, match=r"taken\.db"):
        await Database.open(tmp_path / "taken.db", SCHEMA)


async def test_a_file_of_something_else_is_no_passing_trouble(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database at all " * 100)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        await Database.open(tmp_path / "text.db", SCHEMA)


async def test_processes_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys; from pathlib import Path\n"
        "from services.shared.runtime.database import Database\n"
        "print(flush=True); sys.stdin.readline()\n"
        "async def main():\n"
        f"    database = await Database.open(Path(sys.argv[1]), {SCHEMA!r})\n"
        "    await database.write(lambda c: c.execute('INSERT INTO words VALUES (?)', sys.argv[2:]))\n"
        "    await database.close()\n"
        "asyncio.run(main())"
    )
    path = tmp_path / "words.db"
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program, str(path), str(i)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for i in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        await process.stdout.readline()
    await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    assert [process.returncode for process in processes] == [0] * 4
    database = await Database.open(path, SCHEMA)
    assert await database.read(words) == ["0", "1", "2", "3"]
    await database.close()


async def test_each_connection_is_prepared(tmp_path: Path) -> None:
    def prepare(connection: Connection) -> None:
        connection.create_function("twice", 1, lambda number: 2 * number)

    database = await Database.open(tmp_path / "words.db", SCHEMA, prepare=prepare)
    for run in (database.read, database.write):
        assert await run(lambda c: c.execute("SELECT twice(21)").fetchall()) == [(42,)]
    await database.close()


async def test_the_size_counts_the_journal(database: Database) -> None:
    before = await database.size()
    await database.write(adding("x" * 100_000))
    assert await database.size() - before > 100_000


def names(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


async def test_closing_leaves_one_file(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "words.db", SCHEMA)
    await database.write(adding("a"))
    await database.read(words)
    await database.close()
    assert names(tmp_path) == ["words.db"]
    with closing(sqlite3.connect(tmp_path / "words.db")) as connection:
        assert words(connection) == ["a"]


async def test_a_copy_is_one_moment_while_others_write(database: Database, tmp_path: Path) -> None:
    """Pairs are written together, so no moment has half of one."""
    for number in range(200):
        await database.write(adding(f"a{number:06}" + "x" * 4_000, f"b{number:06}" + "x" * 4_000))
    target = tmp_path / "copy.db"
    copying = asyncio.create_task(asyncio.to_thread(copy, database.path, target))
    while not copying.done():
        number += 1
        await database.write(adding(f"a{number:06}", f"b{number:06}"))
    await copying
    with closing(sqlite3.connect(target)) as connection:
        copied = words(connection)
    assert len(copied) >= 400
    assert [w[1:] for w in copied if w[0] == "a"] == [w[1:] for w in copied if w[0] == "b"]


async def test_a_copy_takes_the_place_of_what_was_cut_off_and_can_be_amended(
    database: Database, tmp_path: Path
) -> None:
    await database.write(adding("a"))
    target = tmp_path / "copy.db"
    for left in ("copy.db", "copy.db-wal", "copy.db-shm"):
        (tmp_path / left).write_bytes(b"half of it")
    amendment = ("UPDATE words SET word = ?", ("b",))
    await asyncio.to_thread(copy, database.path, target, amendment)
    with closing(sqlite3.connect(target)) as connection:
        assert words(connection) == ["b"]
    assert await database.read(words) == ["a"]
    assert [name for name in names(tmp_path) if name.startswith("copy")] == ["copy.db"]
