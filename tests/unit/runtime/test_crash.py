from __future__ import annotations

import subprocess
import sys

import pytest

from services.shared.runtime import crash
from services.shared.runtime.exits import Exit, Refused

PROGRAM = """
import atexit
from services.shared.runtime import crash
atexit.register(print, "an exit handler ran")
crash.POINTS.update({"here": "", "there": ""})
crash.arm(%r)
for n in range(1, 4):
    crash.point("there")
    crash.point("here")
    print(n, flush=True)
"""


def _run(spec: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM % spec], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout


def test_the_process_dies_at_the_armed_pass_as_if_killed() -> None:
    assert _run("here:3") == (Exit.CRASHED, "1\n2\n")
    assert _run("here") == (Exit.CRASHED, "")


def test_nothing_happens_unless_armed() -> None:
    assert _run("") == (0, "1\n2\n3\nan exit handler ran\n")
    assert _run("here:4")[0] == 0


@pytest.fixture
def _points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crash, "POINTS", {"collector.after-append": ""})


@pytest.mark.usefixtures("_points")
def test_an_unknown_point_is_refused_with_the_nearest() -> None:
    with pytest.raises(Refused, match=r"no crash point 'collector.append' \(did you mean"):
        crash.arm("collector.append:1")


@pytest.mark.usefixtures("_points")
@pytest.mark.parametrize("passes", ["0", "-1", "x", "1.5"])
def test_a_pass_is_a_number_from_one(passes: str) -> None:
    with pytest.raises(Refused, match="NAME or NAME:N"):
        crash.arm(f"collector.after-append:{passes}")
