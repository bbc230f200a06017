"""A recording on disk: which files it is, what it is called, and its lines from any place on.

The identity stands for the content: a hash over names, sizes and the beginning of each file. So it
stays the same when the recording is moved, and another recording under the same path has another.
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
    """A cursor: `line` lines and `offset` bytes of the text of `file` have been read."""

    file: str
    line: int = 0
    offset: int = 0


class Block(NamedTuple):
    """Some lines of one file; `done` bytes of all files, as they are on disk, have been read."""

    file: str
    lines: list[Line]
    done: int


class Recording(NamedTuple):
    """Files in the order of reading, with their sizes."""

    path: Path
    files: tuple[Path, ...]
    sizes: tuple[int, ...]
    identity: str

    @property
    def description(self) -> str:
        several = f" ({len(self.files)} files)" if len(self.files) > 1 else ""
        return f"recording {self.path.name}{several}"


def find(path: Path) -> Recording:
    """The recording at a path; refuses what is none."""
    try:
        files = tuple(_files(path))
        sizes = tuple(file.stat().st_size for file in files)
        return Recording(path, files, sizes, _identity(files, sizes))
    except OSError as error:
        raise _unreadable(path, error) from error


def blocks(found: Recording, place: Place | None) -> Generator[Block, None, None]:
    """The lines after `place`, in blocks bounded in number and bytes; one file is open at a time."""
    names = [file.name for file in found.files]
    place = place or Place(names[0])
    if place.file not in names:
        raise Refused(f"{found.path}: was read up to {place.file!r}, which is not there any more")
    for index in range(names.index(place.file), len(names)):
        here = place if place.file == names[index] else Place(names[index])
        before = sum(found.sizes[:index])
        with _opened(found.files[index]) as file:
            following = lines(found.files[index], file, number=here.line, offset=here.offset)
            for some in _bounded(following):
                yield Block(here.file, some, before + file.tell())


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


def _identity(files: tuple[Path, ...], sizes: tuple[int, ...]) -> str:
    known = hashlib.sha256()
    for file, size in zip(files, sizes, strict=True):
        with file.open("rb") as opened:
            beginning = opened.read(_BEGINNING)
        known.update(f"{file.name}\0{size}\0{len(beginning)}\0".encode())
        known.update(beginning)
    return known.hexdigest()[:_DIGITS]
