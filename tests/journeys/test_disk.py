"""A disk that is full, for a while, of whatever: nothing is lost, and it goes on by itself with room."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.shared.runtime.exits import Exit
from tests.conftest import absent
from tests.journeys import harness

SIZE = 300_000_000
EVENTS = 20_000  # of which all stores together take more than is left
OFTEN = ("--set", "batch_every=1s", "--set", "first_batch_after=1s")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, a small one."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(mounted)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        absent("tmpfs", "only root can mount a small file system")
    yield mounted
    subprocess.run(["umount", "--lazy", str(mounted)], check=True)


def ballast(disk: Path, left: int, name: str = "ballast") -> Path:
    """Fills the disk but for so many bytes."""
    file = disk / name
    room = os.statvfs(disk)
    file.write_bytes(bytes(max(0, room.f_bavail * room.f_frsize - left)))
    return file


def up_to_the_end(recording: Path, data: Path) -> tuple[object, ...]:
    where = ("--source", recording, "--data", data)
    return ("--until-caught-up", *where, *OFTEN, *harness.ANY_PORT)


def full(up: harness.Running) -> bool:
    return "disk is full" in up.said() or "No space left" in up.said()


@contextmanager
def until_full(flags: tuple[object, ...]) -> Iterator[harness.Running]:
    with harness.running("up", *flags) as up:
        up.until(lambda: full(up), "it says that the disk is full")
        yield up


def test_a_full_disk_loses_nothing_and_is_said(disk: Path, tmp_path: Path) -> None:
    recording, truth = harness.simulate(tmp_path, EVENTS)
    data = disk / "data"
    filled = ballast(disk, left=6_000_000)
    flags = up_to_the_end(recording, data)
    with until_full(flags) as up:
        for event in ("service_failed", "Traceback", "batch_run_failed"):
            assert event not in up.said(), event
        up.kill()
    more = ballast(disk, left=0, name="more")
    with harness.running("up", *flags) as up:
        harness.until(lambda: full(up) or not up.alive, "it starts on a full disk, or says why not")
        if not up.alive:
            assert up.wait() == Exit.TEMPORARY
            assert "Traceback" not in up.said()
        up.kill()
    for file in (filled, more):
        file.unlink()
    harness.up(recording, data, *OFTEN)
    assert harness.audit(data)["events"] == truth["distinct"]


def test_a_disk_that_gets_room_goes_on_by_itself(disk: Path, tmp_path: Path) -> None:
    recording, truth = harness.simulate(tmp_path, EVENTS)
    data = disk / "data"
    filled = ballast(disk, left=6_000_000)
    with until_full(up_to_the_end(recording, data)) as up:
        filled.unlink()
        assert up.wait(within=2 * harness.PATIENCE) == Exit.OK, str(up)
    assert harness.audit(data)["events"] == truth["distinct"]
