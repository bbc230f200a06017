"""Durable requests of a tool to whoever holds a role: files in the data directory.

A tool that finds the role taken leaves one; the process that holds the role looks for it every second or
so, carries it out and then removes it. So a request outlives both, and one that was under way when the
process died is carried out once more: what is asked for must bear that.
"""

import uuid
from pathlib import Path
from typing import Final

from services.shared.runtime import durable

BATCH_RUN: Final = "batch-run"
"""The one request that one service leaves to another."""


def leave(directory: Path, name: str, content: bytes = b"{}\n") -> Path:
    """Ask for `name`; durable on return."""
    folder = directory / "requests"
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{uuid.uuid4().hex}.json"
    durable.write(path, content, by=path.with_suffix(".tmp"))
    return path


def left(directory: Path, name: str) -> list[Path]:
    """The requests for `name` that wait, in no order."""
    return sorted((directory / "requests").glob(f"{name}-*.json"))


def done(requests: list[Path]) -> None:
    for path in requests:
        path.unlink(missing_ok=True)
