"""A ring is heard by whoever listens, wherever it listens, and is never lost before a wait."""

import asyncio
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from services.shared.runtime.bell import Bell, Listener
from services.shared.runtime.exits import Refused

LONG = 30.0


@pytest.fixture
def folders(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where bells keep their sockets during a test."""
    with tempfile.TemporaryDirectory(prefix="b") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest.fixture
async def bell(folders: Path, tmp_path: Path) -> AsyncIterator[Bell]:
    bell = Bell(tmp_path / "log.db", "log")
    yield bell
    await bell.close()


def within(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def hears_nothing(listener: Listener) -> bool:
    return not await listener.wait(0.02)


async def test_every_listener_hears_every_ring(bell: Bell) -> None:
    async with bell.listen() as one, bell.listen() as two:
        for _ in range(3):
            bell.ring()
            assert all(await asyncio.gather(one.wait(LONG), two.wait(LONG)))


async def test_a_ring_before_the_wait_is_not_lost(bell: Bell) -> None:
    async with bell.listen() as listener, bell.listen() as other:
        bell.ring()
        assert await other.wait(LONG)
        assert await listener.wait(LONG)
        assert await hears_nothing(listener)


async def test_without_a_ring_a_wait_ends_by_itself(bell: Bell) -> None:
    async with bell.listen() as listener:
        assert await hears_nothing(listener)


async def test_nobody_needs_to_listen(bell: Bell) -> None:
    bell.ring()
    async with bell.listen() as listener:
        bell.ring()
        assert await listener.wait(LONG)


async def test_channels_and_stores_are_apart(bell: Bell, tmp_path: Path) -> None:
    others = [Bell(tmp_path / "log.db", "speed"), Bell(tmp_path / "other.db", "log")]
    async with AsyncExitStack() as stack:
        deaf = [await stack.enter_async_context(other.listen()) for other in others]
        listener = await stack.enter_async_context(bell.listen())
        bell.ring()
        assert await listener.wait(LONG)
        assert [await hears_nothing(other) for other in deaf] == [True, True]
    for other in others:
        await other.close()


async def test_one_store_by_two_paths(bell: Bell, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    linked = Bell(tmp_path / "link" / "log.db", "log")
    async with linked.listen() as listener:
        bell.ring()
        assert await listener.wait(LONG)
    await linked.close()


async def test_another_process_is_heard(bell: Bell, tmp_path: Path, folders: Path) -> None:
    program = (
        "import asyncio, sys; from pathlib import Path; from services.shared.runtime.bell import *\n"
        "bell = Bell(Path(sys.argv[1]), 'log'); bell.ring(); asyncio.run(bell.close())"
    )
    async with bell.listen() as listener:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program, str(tmp_path / "log.db")), env={"TMPDIR": str(folders)}
        )
        assert await listener.wait(LONG)
        assert await process.wait() == 0


async def test_a_dead_listener_is_cleared_away(bell: Bell, folders: Path) -> None:
    async with bell.listen() as listener:
        (folder,) = within(folders)
        dead = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        dead.bind(str(folder / "log.dead"))
        dead.close()
        bell.ring()
        assert await listener.wait(LONG)
        await bell.close()
        assert len(within(folder)) == 1
    assert within(folders) == [], "the last listener leaves nothing"


async def test_a_listener_that_is_not_reading_stops_nobody(bell: Bell, folders: Path) -> None:
    async with bell.listen() as listener:
        (folder,) = within(folders)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stuck:
            stuck.bind(str(folder / "log.stuck"))
            for _ in range(500):
                bell.ring()
                assert await listener.wait(LONG)


async def test_the_folder_is_ours_alone(bell: Bell, folders: Path) -> None:
    async with bell.listen():
        (folder,) = within(folders)
        assert folder.stat().st_mode & 0o777 == 0o700
        folder.chmod(0o777)
        with pytest.raises(Refused, match="TMPDIR"):
            async with bell.listen():
                pass


async def test_a_long_temporary_directory_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    bell = Bell(tmp_path / "log.db", "log")
    async with bell.listen() as listener:
        bell.ring()
        assert await listener.wait(LONG)
    await bell.close()
