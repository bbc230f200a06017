"""A lake at another place than the one that it was written for: moved, copied, restored.

Iceberg names every file by its full path: a table its manifests, a manifest its data files. A data file
names nothing. So a lake settles at a place by being registered anew there: each table gets metadata that is
the old one (schemas, partition specs, id, properties and with them the horizon) but for the place, and one
snapshot that names the data files where they are now. Other tools read it like any table, which a notation
of our own for places would take from them. Older snapshots, some minutes' worth, stay behind.

All of it is written beside what is there; then one transaction of the catalogue points every table to it.
Before that the lake stands where it stood, after it here, and what a crash leaves is swept like any orphan.

Nothing is read but below the place that is given, whatever the paths say: the original of a copy may still be
there, and alive.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pyiceberg.catalog.noop import NoopCatalog
from pyiceberg.manifest import DataFile
from pyiceberg.serializers import FromInputFile, ToOutputFile
from pyiceberg.table import Table

from services.shared.lake import storage, sweep, tables
from services.shared.lake.storage import LocalFileIO
from services.shared.lake.tables import Tables
from services.shared.runtime import crash, durable
from services.shared.runtime.exits import Exit, Refused

if TYPE_CHECKING:
    from pyiceberg.io import InputFile

Bring = Callable[[Path, Path], None]
"""Makes sure that a data file (first) is at its new place (second)."""

_TRIES: Final = 10
_NOTHING: Final[dict[str, object]] = {
    "snapshots": [], "snapshot_log": [], "metadata_log": [], "refs": {}, "current_snapshot_id": None,
    "statistics": [], "partition_statistics": [],
}  # fmt: skip
"""What a table's metadata says of its past; it names files."""


def settle(root: Path) -> list[str]:
    """Lets a lake stand where its files are; the names of the tables that stood elsewhere."""
    if not (root / tables.CATALOGUE).exists():
        return []
    with _opened(root) as home:
        away = {
            name: file
            for name, file in home.pointers().items()
            if _home_of(file) != home.directory(name)
        }
        try:
            moved = {
                name: _anew(home, name, file, home.root, bring=_is_there)
                for name, file in away.items()
            }
        except FileNotFoundError as error:
            raise _missing(error) from None
        crash.point("lake.settling")
        home.point(moved)
    return sorted(moved)


def copy(
    source: Path, target: Path, *, earlier: Path | None = None, log: str | None = None
) -> None:
    """A lake at `target` that is the one at `source` at one moment, whatever commits meanwhile.

    Data files never change: where the file system can, they get a second name instead of a second copy,
    of the lake `earlier` or of the source. `log` lets the copy belong to another log. What an earlier
    attempt has left at `target` is gone on with.
    """
    if not (source / tables.CATALOGUE).exists():
        return
    for attempt in range(_TRIES):
        for left in target.glob(f"{tables.CATALOGUE}*"):
            left.unlink()
        try:
            with _opened(source) as here, _opened(target) as there:
                _copy(here, there, earlier, log)
            return
        except FileNotFoundError as error:
            # Old metadata goes with the commits that follow it. What is at the target stays, so the next
            # attempt is quicker.
            if attempt == _TRIES - 1:
                raise _missing(error) from None


def _copy(here: Tables, there: Tables, earlier: Path | None, log: str | None) -> None:
    def bring(file: Path, place: Path) -> None:
        _bring(file, place, earlier and earlier / place.relative_to(there.root))

    for name, file in here.pointers().items():
        there.register(name, _anew(there, name, file, here.root, bring=bring, log=log))
    used = {path for name in there.pointers() for path in tables.referenced(there.load(name))}
    for path in set(sweep.files(there.root)) - used:
        Path(path).unlink()
    for folder, _, _ in os.walk(there.root):
        durable.sync(Path(folder))


def _anew(
    home: Tables, name: str, file: str, at: Path, *, bring: Bring, log: str | None = None
) -> str:
    """Metadata for the table at its home, and its data files there. `at` is where all can be read."""
    origin = _home_of(file).parents[name.count(".")]
    old = _read(name, file, _Moved(origin, at))
    added = [_at_home(each, origin, at, home.root, bring) for each in tables.live(old)]
    place = home.directory(name)
    bare = old.metadata.model_copy(update=_NOTHING | {"location": str(place)})
    start = str(place / "metadata" / f"00000-{uuid.uuid4()}.metadata.json")
    ToOutputFile.table_metadata(bare, LocalFileIO().new_output(start))
    with contextlib.closing(Tables(home.root, in_memory=True)) as scratch:
        table = scratch.register(name, start)
        tables.commit(table, added=added, properties=tables.owned_by(old, log))
        return table.metadata_location


def _at_home(file: DataFile, origin: Path, at: Path, home: Path, bring: Bring) -> DataFile:
    """The data file as the new place names it."""
    place = Path(file.file_path).relative_to(origin)
    if (size := (at / place).stat().st_size) != file.file_size_in_bytes:
        raise Refused(
            f"lake: the data file {at / place} has {size} bytes, it was written with"
            f" {file.file_size_in_bytes}; take another copy of it"
        )
    bring(at / place, home / place)
    moved = DataFile(*(file[field] for field in range(len(file))))
    moved[1] = str(home / place)  # its path
    return moved


def _is_there(_file: Path, _place: Path) -> None:
    pass  # both are one, and have been looked at


def _bring(file: Path, place: Path, earlier: Path | None) -> None:
    if place.exists():  # only whole files ever get their name
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    size = file.stat().st_size
    for same in (earlier, file):
        if same is not None and same.exists() and same.stat().st_size == size:
            with contextlib.suppress(OSError):  # of another file system, or of one without links
                place.hardlink_to(same)
                return
    part = place.with_suffix(".part")
    shutil.copyfile(file, part)
    storage.sync(part)
    part.rename(place)


def _read(name: str, file: str, io: LocalFileIO) -> Table:
    metadata = FromInputFile.table_metadata(io.new_input(file))
    return Table(tuple(name.split(".")), metadata, file, io, NoopCatalog("read-only"))


def _home_of(metadata_file: str) -> Path:
    """The directory of a table: its metadata is in a folder of it."""
    return Path(metadata_file).parents[1]


def _missing(error: FileNotFoundError) -> Refused:
    return Refused(
        f"lake: {error.filename} is missing, so this is no whole lake; take another copy of it, or, if"
        " it is in use and changes quickly, try again",
        Exit.TEMPORARY,
    )


@contextlib.contextmanager
def _opened(root: Path) -> Iterator[Tables]:
    with contextlib.closing(Tables(root)) as opened:
        yield opened


class _Moved(LocalFileIO):
    """Reads below `at` what was written below `origin`, and nothing else."""

    def __init__(self, origin: Path, at: Path) -> None:
        super().__init__()
        self._origin = origin
        self._at = at

    def new_input(self, location: str) -> InputFile:
        return super().new_input(str(self._at / Path(location).relative_to(self._origin)))
