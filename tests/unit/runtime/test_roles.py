from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.shared.runtime import roles
from services.shared.runtime.exits import Exit, Refused

HOLDER = """
import asyncio, pathlib, sys
from services.shared.runtime import roles

async def main():
    async with roles.hold(pathlib.Path(sys.argv[1]), "speed"):
        print("held", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_second_process_is_refused_by_name_of_the_first(tmp_path: Path) -> None:
    async with roles.hold(tmp_path, "collector"):
        with pytest.raises(Refused, match=f"another collector .*process {os.getpid()}: ") as caught:
            async with roles.hold(tmp_path, "collector"):
                pass
    assert caught.value.code == Exit.TEMPORARY
    assert "\n" not in caught.value.message


async def test_a_role_is_free_again_after_its_holder(tmp_path: Path) -> None:
    for _ in range(2):
        async with roles.hold(tmp_path, "batch"):
            pass


async def test_roles_and_directories_do_not_disturb_each_other(tmp_path: Path) -> None:
    async with (
        roles.hold(tmp_path / "a", "batch"),
        roles.hold(tmp_path / "a", "speed"),
        roles.hold(tmp_path / "b", "batch"),
    ):
        pass


async def test_who_waits_gets_it_next(tmp_path: Path) -> None:
    order = []

    async def waiter() -> None:
        async with roles.hold(tmp_path, "batch", wait=True):
            order.append("second")

    async with roles.hold(tmp_path, "batch"):
        task = asyncio.create_task(waiter())
        await asyncio.sleep(0.2)
        order.append("first")
    await task
    assert order == ["first", "second"]


async def test_a_dead_holders_lock_is_free(tmp_path: Path) -> None:
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, tmp_path, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"held\n"
    with pytest.raises(Refused, match=str(holder.pid)):
        async with roles.hold(tmp_path, "speed"):
            pass
    holder.kill()
    await holder.wait()
    async with roles.hold(tmp_path, "speed"):
        pass
