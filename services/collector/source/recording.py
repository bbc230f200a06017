"""A recording on disk: which files it is, what it is called, and its lines from any place on.

The identity stands for the content: a hash of the first line. So it stays the same when the recording is
moved or grows, and another recording under the same path has another.
"""

import hashlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import msgspec

from services.collector.source.lines import SUFFIXES, Line, lines
from services.shared.runtime.exits import Refused

BLOCK_LINES: Final = 500
BLOCK_BYTES: Final = 512 * 1024

_BEGINNING: Final = 64 * 1024
_DIGITS: Final = 16
_ACCEPTED: Final = f"accepted: a file {', '.join(SUFFIXES)}, or a folder of such files"


class Place(msgspec.Struct, frozen=True):
    """A cursor: `line` lines and `offset` bytes of the text of `file` have been read, and all of the
    `preceding` files.
    """

    file: str
    line: int = 0
    offset: int = 0
    preceding: int = 0


class Block(NamedTuple):
    """Some lines of the `number`th file; `done` bytes of all, as they are on disk, have been read."""

    file: str
    number: int
    lines: list[Line]
    done: int


class Recording(NamedTuple):
    """Files in the order of reading, with their sizes."""

    path: Path
    files: tuple[Path, ...]
    sizes: tuple[int, ...]
    identity: str
    largest: int

    @property
    def description(self) -> str:
        several = f" ({len(self.files)} files)" if len(self.files) > 1 else ""
        return f"recording {self.path.name}{several}"


def find(path: Path, largest: int) -> Recording:
    """The recording at a path; refuses what is none. `largest` is the largest event in bytes."""
    try:
        files = tuple(_files(path))
        sizes = tuple(file.stat().st_size for file in files)
        return Recording(path, files, sizes, _identity(files[0]), largest)
    except OSError as error:
        raise _unreadable(path, error) from error


def blocks(found: Recording, place: Place | None) -> Generator[Block, None, None]:
    """The lines after `place`, in blocks bounded in number and bytes; one file is open at a time."""
    names = [file.name for file in found.files]
    place = place or Place(names[0])
    if place.file not in names:
        raise Refused(f"{found.path}: was read up to {place.file!r}, which is not there any more")
    start = names.index(place.file)
    if start != place.preceding:
        raise Refused(
            f"{found.path}: {start} files now precede {place.file!r}, up to which it was read, and"
            f" {place.preceding} did then; what is to follow must be named so that it sorts behind"
        )
    for index in range(start, len(names)):
        here = place if index == start else Place(names[index], preceding=index)
        before = sum(found.sizes[:index])
        with _opened(found.files[index]) as file:
            following = lines(
                found.files[index],
                file,
                largest=found.largest,
                number=here.line,
                offset=here.offset,
            )
            for some in _bounded(following):
                yield Block(here.file, index, some, before + file.tell())


def _bounded(following: Iterator[Line]) -> Iterator[list[Line]]:
    """What precedes a damage comes out before the refusal."""
    some: list[Line] = []
    size = 0
    try:
        for line in following:
            some.append(line)
            size += len(line.payload)
            if len(some) == BLOCK_LINES or size >= BLOCK_BYTES:
                yield some
                some, size = [], 0
    except Refused:
        if some:
            yield some
        raise
    if some:
        yield some


def _opened(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except OSError as error:
        raise _unreadable(file, error) from error


def _unreadable(path: Path, error: OSError) -> Refused:
    return Refused(f"{error.filename or path}: cannot be read ({error.strerror})")


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if _fits(file))
        if not files:
            raise Refused(f"{path}: no recording in this folder; {_ACCEPTED}")
        yield from files
    elif not path.exists():
        raise Refused(f"{path}: no such file or folder; {_ACCEPTED}")
    elif not _fits(path):
        raise Refused(f"{path}: not a recording by its name; {_ACCEPTED}")
    else:
        yield path


def _fits(file: Path) -> bool:
    return file.name.endswith(SUFFIXES) and file.is_file()


def _identity(first: Path) -> str:
    """Of the first line: it stays while files grow, are packed, moved or followed by others."""
    with _opened(first) as file:
        line = next(lines(first, file, largest=_BEGINNING), None)
    return hashlib.sha256(line.payload if line else b"").hexdigest()[:_DIGITS]
