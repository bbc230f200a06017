"""Removal of files that no table refers to: left by crashes, compaction and expired snapshots.

A file is first condemned, and removed at a later sweep when it has been so for the grace time: a
reader that has started keeps reading what it found, and a file whose commit is still under way
is not taken from it. What is condemned since when is kept in a file beside the catalogue, so that
short-lived processes get there too; if that file is lost, the grace time starts anew. It names files by
their place in the lake, so that a lake that has been moved still knows them.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from services.shared.runtime import crash

GRACE_MS: Final = 15 * 60 * 1000
EVERY_MS: Final = 5 * 60 * 1000
"""A process need not sweep more often than this."""

CONDEMNED: Final = "condemned.json"
_TABLE_DEPTH: Final = 2  # namespace, table


def files(root: Path) -> dict[str, int]:
    """Every file of the tables on the disk, with its size."""
    found: dict[str, int] = {}
    for directory, _, names in os.walk(root):
        if len(Path(directory).relative_to(root).parts) < _TABLE_DEPTH:
            continue  # the catalogue, and the list of the condemned
        for path in (Path(directory, name) for name in names):
            with contextlib.suppress(FileNotFoundError):  # removed by somebody else meanwhile
                found[str(path)] = path.stat().st_size
    return found


def condemned(root: Path) -> dict[str, int]:
    """Path of every condemned file, with the time (ms since 1970) since when it is."""
    try:
        kept = dict(json.loads((root / CONDEMNED).read_bytes()))
    except (FileNotFoundError, ValueError):
        return {}
    return {str(root / place): since for place, since in kept.items()}


def waiting(root: Path) -> int:
    """Bytes of the condemned files: given back already, though readers still have them."""
    sizes = files(root)
    return sum(sizes.get(path, 0) for path in condemned(root))


def sweep(root: Path, found: Collection[str], referenced: Collection[str], now: int) -> None:
    """Condemn what is unreferenced; remove what has been condemned for the grace time.

    `found` must have been listed before `referenced`: a file committed in between is then kept.
    """
    before = condemned(root)
    since = {path: before.get(path, now) for path in set(found).difference(referenced)}
    for path in _due(since, now):
        Path(path).unlink(missing_ok=True)
        del since[path]
        crash.point("lake.in-sweep")
    if since != before:
        _keep(root, since)


def _due(since: dict[str, int], now: int) -> Iterator[str]:
    yield from [path for path, time in since.items() if now - time >= GRACE_MS]


def _keep(root: Path, since: dict[str, int]) -> None:
    places = {str(Path(path).relative_to(root)): time for path, time in since.items()}
    fresh = root / f"{CONDEMNED}.new"
    fresh.write_text(json.dumps(places))
    fresh.replace(root / CONDEMNED)
