"""The data directory: everything that one source has led to, and a file that says so.

Each source has its own directory, because counts of two sources in one view could never be told
apart again. `bvw.json` (see `description`) names the source; whoever opens the directory compares it
before touching anything else. It is written last and in one step, so a directory either is one of ours
or has nothing in it that we could harm.

All of it is plain file work: call it before the event loop, or from a thread.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.shared.runtime import description
from services.shared.runtime.description import NAME, UNFINISHED, Description
from services.shared.runtime.exits import Refused

LIVE: Final = "live"
DEMO: Final = "demo"
_STREAM = re.compile(r"https?://([^/?#]+)", re.IGNORECASE)
PARTS: Final = ("log", "speed", "batch", "lake")
OTHER: Final = "other"
# A new file system has this in it.
_NOT_OURS_BUT_EMPTY: Final = frozenset({"lost+found"})
_LONGEST_NAME: Final = 40


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """A directory that has been opened. `source` is its full name, see `full_source`."""

    path: Path
    source: str


def is_stream(source: str) -> bool:
    """Whether the source is a live stream: Wikimedia's own, or one at a URL."""
    return source == LIVE or _STREAM.match(source) is not None


def full_source(source: str) -> str:
    """The source by its full name, what a directory remembers: live, demo, a URL or a full path."""
    if source == DEMO or is_stream(source):
        return source
    return str(Path(source).expanduser().resolve())


def of_source(base: Path, source: str) -> Path:
    """Where the data of a source is by default."""
    source = full_source(source)
    if source in {LIVE, DEMO}:
        return base / source
    stream = _STREAM.match(source)
    kind, stem = ("live", stream[1]) if stream else ("recorded", Path(source).name)
    name = re.sub(r"\.jsonl(\.gz|\.zst)?$", "", stem)
    name = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:_LONGEST_NAME]
    digest = hashlib.sha256(os.fsencode(source)).hexdigest()[:8]
    return base / "-".join(filter(None, (kind, name, digest)))


def source_at(path: Path) -> str | None:
    """The full name of the source of a directory; None where there is none, or none that we know."""
    try:
        return description.read(path).source
    except (OSError, Refused):
        return None


def described(path: Path) -> Description:
    """What a directory says of itself, in whatever format; refuses what is no data directory."""
    try:
        return description.read(path)
    except FileNotFoundError:
        raise _missing(path) from None
    except OSError as error:
        raise _unusable(path, error) from None


def open_directory(
    path: Path, *, source: str | None = None, content: str = "", create: bool
) -> DataDirectory:
    """Opens the directory of a source (of whichever, if None), or makes it where `create` says so.

    Refuses what is not a data directory, is of another source or another `content` (any, if empty),
    or of a format we don't know.
    """
    try:
        if source is not None and create and not (path / NAME).exists():
            _create(path, full_source(source), content)
        return _opened(path, source, content)
    except OSError as error:
        raise _unusable(path, error) from None


def claim(path: Path, described: Description) -> None:
    """Makes a directory to be filled with what another one holds, or goes on with one that was begun.

    `description.finish` makes it one of ours.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        if (path / NAME).exists():
            raise Refused(f"{path}: has data already; choose a new or an empty directory")
        if not (path / UNFINISHED).exists():
            _refuse_strangers(path)
        description.write(path, described, UNFINISHED)
    except OSError as error:
        raise _unusable(path, error) from None


def free_bytes(path: Path) -> int:
    """What the file system of the path, which need not be there yet, still takes."""
    there = next(place for place in (path, *path.absolute().parents) if place.exists())
    return shutil.disk_usage(there).free


def used_bytes(path: Path) -> int:
    """How long the files below the path are, or the file itself is."""
    files = (
        os.path.join(folder, file)  # noqa: PTH118 - many files, no object for each
        for folder, _, files in os.walk(path)
        for file in files
    )
    return sum(map(_bytes_of, [path] if path.is_file() else files))


def used_by_part(path: Path) -> dict[str, int]:
    """The same for each part of a data directory; together that is all of it."""
    used = dict.fromkeys((*PARTS, OTHER), 0)
    for entry in path.iterdir():
        part = entry.name.partition(".")[0]
        used[part if part in PARTS else OTHER] += used_bytes(entry)
    return used


def _create(path: Path, source: str, content: str) -> None:
    path.mkdir(parents=True, exist_ok=True)
    _refuse_strangers(path)
    description.write(path, Description(source, content))


def _refuse_strangers(path: Path) -> None:
    strangers = {entry.name for entry in path.iterdir()} - _NOT_OURS_BUT_EMPTY
    if any(not name.startswith(f".{NAME}.") and name != NAME for name in strangers):
        raise _missing(path)


def _opened(path: Path, source: str | None, content: str) -> DataDirectory:
    told = described(path)
    description.check(path, told)
    known = told.source
    if source is not None and full_source(source) != known:
        raise Refused(
            f"{path}: holds the changes of {known}, not of {full_source(source)};"
            f" bvw up --data {_quoted(path)} --source {_quoted(known)} continues it,"
            " another --data begins anew"
        )
    if content and told.content not in {"", content}:
        raise Refused(
            f"{path}: was made from another recording than the one that is at {known} now;"
            " put that back, or give another --data for this one"
        )
    return DataDirectory(path, known)


def _missing(path: Path) -> Refused:
    if (path / UNFINISHED).exists():
        return Refused(
            f"{path}: is being filled by bvw backup or bvw restore, or that was cut off; the same command"
            " again goes on with it"
        )
    if path.is_dir() and any(path.iterdir()):
        return Refused(
            f"{path}: has files but no {NAME}, so it is no data directory;"
            " choose an empty or a new one"
        )
    return Refused(f"{path}: there is no data here; bvw up --data {_quoted(path)} begins some")


def _unusable(path: Path, error: OSError) -> Refused:
    return Refused(
        f"{path}: cannot use this data directory ({error.strerror}); choose another with --data"
    )


def _quoted(text: Path | str) -> str:
    return shlex.quote(str(text))


def _bytes_of(file: Path | str) -> int:
    try:
        return os.lstat(file).st_size
    except FileNotFoundError:  # files come and go while a source runs
        return 0
