"""What every test stands on: a clean environment, a guarded event loop, and what may be absent.

Recordings and a browser are not part of the project. A test that needs one asks for the fixture
and is skipped with the reason where it is missing; where `BVW_REQUIRE` names it, it fails.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
import structlog
from blockbuster import blockbuster_ctx
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent

# No test depends on how quick the machine is.
settings.register_profile(
    "any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any-machine")

_OURS = ("BVW_RECORDINGS", "BVW_REQUIRE", "BVW_TEST_")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--backends",
        default="embedded",
        help="what the contract tests run over, by commas: embedded, real",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Whatever asks for `backend` runs once for each that was asked for on the command line."""
    if "backend" in metafunc.fixturenames:
        metafunc.parametrize("backend", metafunc.config.getoption("--backends").split(","))


@pytest.fixture(autouse=True, scope="session")
def _clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No setting of the caller's shell leaks in, and nothing is written to the caller's home."""
    with pytest.MonkeyPatch.context() as patch:
        for variable in list(os.environ):
            if variable.startswith("BVW_") and not variable.startswith(_OURS):
                patch.delenv(variable)
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data-home")))
        # Whatever the caller's shell says: compiling all libraries takes a process longer than its work.
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        patch.setenv("PYTHONPYCACHEPREFIX", str(ROOT / ".pytest_cache" / "bytecode"))
        patch.setenv("COLUMNS", "100")
        patch.setenv("NO_COLOR", "1")
        yield


@pytest.fixture(autouse=True, scope="session")
def _unblocked_loop() -> Iterator[None]:
    """Whatever of ours blocks a running event loop (files, locks, sleep) raises there."""
    with blockbuster_ctx("services") as guard:
        # A trace quotes lines of source; those few reads are the price of a readable failure.
        for name in ("os.stat", "io.TextIOWrapper.read", "io.BufferedReader.read"):
            if name in guard.functions:
                guard.functions[name].can_block_in("linecache.py", {"checkcache", "updatecache"})
        yield


@pytest.fixture(autouse=True, scope="session")
def _logs_for_pytest() -> None:
    """Lines go to the standard library's logging, so that a failing test shows its own."""
    structlog.configure(
        processors=[
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["event"]),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of recorded events."""
    folder = Path(os.environ.get("BVW_RECORDINGS") or ROOT.parent / "shared" / "data")
    if not any(folder.glob("events-*.jsonl.gz")):
        absent("recordings", f"no events-*.jsonl.gz in {folder}; BVW_RECORDINGS names another")
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium that Playwright can drive."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        absent("chromium", "no chromium on the PATH; Debian: apt-get install chromium")
    return found


def absent(name: str, reason: str) -> NoReturn:
    """Skips the test, or fails it where the caller requires `name`."""
    if name in os.environ.get("BVW_REQUIRE", "").split(","):
        pytest.fail(f"{name} is required by BVW_REQUIRE but absent: {reason}")
    pytest.skip(reason)
