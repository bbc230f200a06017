"""What is on the disk when a call returns, so that a power cut finds it."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Make a file that has been written durable, or the names in a directory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write(path: Path, content: bytes, *, by: Path) -> None:
    """A file in one step, never half there. Until then it is at `by`, in the same directory."""
    by.write_bytes(content)
    sync(by)
    by.rename(path)
    sync(path.parent)
