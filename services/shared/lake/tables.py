"""The Iceberg tables of the lake and the one way in which they change.

Every change is one snapshot commit that names the data files added and removed and, for an append,
the horizon as table properties; it also lets go of all snapshots but the last few, so that a
table's metadata stays small without a commit of its own. The catalogue takes a commit only if the
table's newest snapshot is still the one that the commit was made on (`AssertRefSnapshotId`).

Two traps of the library are closed here. Its retry repeats a refused append on top of the commit
that came first, and succeeds: retries are off. And properties alone are not compared with
anything: the horizon goes only with a snapshot, which for a range without rows is empty.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from pyiceberg.catalog.sql import IcebergTables, SqlCatalog
from pyiceberg.conversions import from_bytes
from pyiceberg.exceptions import (
    CommitFailedException,
    NoSuchTableError,
    TableAlreadyExistsError,
    ValidationException,
)
from pyiceberg.expressions import AlwaysTrue, In
from pyiceberg.io.pyarrow import parquet_file_to_data_file, schema_to_pyarrow
from pyiceberg.table import Transaction
from pyiceberg.table.update.snapshot import ExpireSnapshots
from pyiceberg.transforms import IdentityTransform
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from services.shared.domain.positions import Span
from services.shared.lake import schemas
from services.shared.lake.port import Horizon, Stale
from services.shared.runtime import crash
from services.shared.runtime.exits import Refused

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.manifest import DataFile, ManifestFile
    from pyiceberg.table import Table
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.update import TableUpdate
    from pyiceberg.types import PrimitiveType

CATALOGUE: Final = "catalog.db"
SNAPSHOTS_KEPT: Final = 4

_LOG: Final = "bvw.log"
_HORIZON: Final = "bvw.horizon"
_TIMES: Final = "bvw.times"

_PROPERTIES: Final = {
    "format-version": "2",
    "commit.retry.num-retries": "0",
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": "16",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": str(SNAPSHOTS_KEPT),
    # Statistics only where they let a file be skipped: the rest would fill the manifests.
    "write.metadata.metrics.default": "none",
    "write.metadata.metrics.column.partition": "full",
    "write.metadata.metrics.column.offset": "full",
    "write.metadata.metrics.column.appended_at": "full",
    "write.metadata.metrics.column.day": "full",
}


class Tables:
    """The catalogue in one directory: `catalog.db`, and a directory for every table.

    One `in_memory` names nothing to anybody: metadata is made with it before it counts.
    """

    def __init__(self, root: Path, *, in_memory: bool = False) -> None:
        self.root = root.resolve()
        self.root.mkdir(parents=True, exist_ok=True)
        file = ":memory:" if in_memory else f"{self.root}/{CATALOGUE}?timeout=30"
        self._catalog = SqlCatalog(
            "bvw",
            **{
                "uri": f"sqlite:///{file}",
                "py-io-impl": "services.shared.lake.storage.LocalFileIO",
            },
        )

    def close(self) -> None:
        self._catalog.close()

    def create(self, name: str) -> None:
        """Create a table, unless it is there."""
        self._catalog.create_namespace_if_not_exists(name.partition(".")[0])
        if self.find(name) is not None:
            return
        columns, location = schemas.ARROW[name], str(self.directory(name))
        try:
            with (
                self._catalog.create_table_transaction(
                    name, columns, location, properties=_PROPERTIES
                ) as creation,
                creation.update_spec() as spec,
            ):
                spec.add_field("day", IdentityTransform(), "day")
        except TableAlreadyExistsError:
            pass  # created by another process a moment ago

    def load(self, name: str) -> Table:
        """The table as it is now."""
        table = self.find(name)
        if table is None:
            raise ValueError(f"lake: {self.root} has no table {name}; call begin first")
        return table

    def find(self, name: str) -> Table | None:
        """The same; None in a lake that has not begun."""
        try:
            table = self._catalog.load_table(name)
        except NoSuchTableError:
            return None
        except FileNotFoundError as error:
            raise self._unreadable(name, Path(error.filename)) from None
        if table.location() != str(self.directory(name)):
            raise self._unreadable(name, Path(table.location()))
        return table

    def _unreadable(self, name: str, where: Path) -> Refused:
        if where.is_relative_to(self.directory(name)):
            return Refused(
                f"lake: {where} is missing; bvw restore DIR --data NEW begins again from a backup"
            )
        return Refused(
            f"lake: {self.root} has been moved or copied here, its files were written for {where};"
            f" bvw migrate --data {shlex.quote(str(self.root.parent))} lets it stand here"
        )

    def directory(self, name: str) -> Path:
        return self.root.joinpath(*name.split("."))

    def pointers(self) -> dict[str, str]:
        """The metadata file of every table that the catalogue names, all as of one moment."""
        columns = (IcebergTables.table_namespace, IcebergTables.table_name)
        with Session(self._catalog.engine) as session:
            rows = session.execute(select(*columns, IcebergTables.metadata_location)).all()
        return {f"{space}.{table}": str(file) for space, table, file in rows}

    def point(self, files: Mapping[str, str]) -> None:
        """Let tables have other metadata files, all of them in one transaction.

        Compared with nothing: the caller knows that nobody commits.
        """
        with Session(self._catalog.engine) as session:
            for name, file in files.items():
                space, _, table = name.rpartition(".")
                here = (IcebergTables.table_namespace == space, IcebergTables.table_name == table)
                values = {"metadata_location": file, "previous_metadata_location": None}
                session.execute(update(IcebergTables).where(*here).values(values))
            session.commit()

    def register(self, name: str, file: str) -> Table:
        """A table by its metadata file, into a catalogue that has none of this name."""
        self._catalog.create_namespace_if_not_exists(name.rpartition(".")[0])
        return self._catalog.register_table(name, file)


def identity(table: Table) -> str | None:
    """The log that the table's positions belong to, once it has begun."""
    return table.properties.get(_LOG)


def horizon(table: Table) -> Horizon:
    positions, times = (json.loads(table.properties[name]) for name in (_HORIZON, _TIMES))
    return Horizon(tuple(positions), tuple(times))


def origin(log: str, at: Horizon) -> dict[str, str]:
    """The properties that a table begins with."""
    return {_LOG: log, **moved(at)}


def owned_by(table: Table, log: str | None) -> dict[str, str]:
    """The properties that let a table that has begun belong to a log; none for None."""
    return {_LOG: log} if log is not None and identity(table) is not None else {}


def moved(at: Horizon) -> dict[str, str]:
    """The properties of a table that has come so far."""
    return {_HORIZON: json.dumps(at.positions), _TIMES: json.dumps(at.times)}


class _Transaction(Transaction):
    """The library's, which asks for its metadata twenty times and makes a deep copy each time."""

    _derived: tuple[tuple[TableUpdate, ...], TableMetadata] | None = None

    @property
    def table_metadata(self) -> TableMetadata:
        if self._derived is None or self._derived[0] is not self._updates:
            self._derived = (self._updates, super().table_metadata)
        return self._derived[1]


def commit(
    table: Table,
    *,
    added: Sequence[DataFile] = (),
    removed: Sequence[DataFile] = (),
    properties: Mapping[str, str] | None = None,
    keep: int = SNAPSHOTS_KEPT,
) -> None:
    """Change the table in one step. Raises `Stale` if it is no longer as it was loaded."""
    transaction = _Transaction(table)
    if properties:
        transaction.set_properties(dict(properties))
    update = transaction.update_snapshot()
    with update.overwrite() if removed else update.merge_append() as snapshot:
        for file in removed:
            snapshot.delete_data_file(file)
        for file in added:
            snapshot.append_data_file(file)
    snapshots = sorted(transaction.table_metadata.snapshots, key=lambda s: s.sequence_number or 0)
    if old := [snapshot.snapshot_id for snapshot in snapshots[:-keep]]:
        ExpireSnapshots(transaction).by_ids(old).commit()
    crash.point("lake.before-commit")
    try:
        transaction.commit_transaction()
    except (CommitFailedException, ValidationException) as error:
        raise Stale(f"{'.'.join(table.name())}: another commit came first ({error})") from error
    crash.point("lake.committed")


def file_schema(table: Table) -> pa.Schema:
    """The columns as they are written to a file, with the ids of Iceberg's fields."""
    return schema_to_pyarrow(table.schema())


def data_directory(table: Table, day: int) -> Path:
    return Path(table.location()) / "data" / f"day={day}"


def described(table: Table, path: Path) -> DataFile:
    """A written file as a commit names it, with the statistics of its footer."""
    return parquet_file_to_data_file(table.io, table.metadata, str(path))


def live(table: Table, days: Collection[int] | None = None) -> list[DataFile]:
    """The files of the table now, or those of some event days, by day and least offset."""
    # The library's constructors take positions; its pydantic declarations say otherwise.
    wanted = AlwaysTrue() if days is None else In("day", set(days))  # type: ignore[call-arg, arg-type]
    found = [task.file for task in table.scan(row_filter=wanted).plan_files()]
    return sorted(found, key=lambda file: (day_of(file), least(table, "offset", file)))


def meets(table: Table, file: DataFile, span: Span) -> bool:
    """True if the file can hold a position of the span."""
    low, high = least(table, "offset", file), greatest(table, "offset", file)
    held = slice(least(table, "partition", file), greatest(table, "partition", file) + 1)
    bounds = zip(span.since[held], span.until[held], strict=True)
    return any(max(since, low) < min(until, high + 1) for since, until in bounds)


def day_of(file: DataFile) -> int:
    return int(file.partition[0])


def least(table: Table, column: str, file: DataFile) -> int:
    """The least value of a column in the file; 0 where the table has no such column."""
    return _bound(table, column, file.lower_bounds)


def greatest(table: Table, column: str, file: DataFile) -> int:
    return _bound(table, column, file.upper_bounds)


def _bound(table: Table, column: str, bounds: Mapping[int, bytes]) -> int:
    if column not in table.schema().column_names:
        return 0
    field = table.schema().find_field(column)
    return int(from_bytes(cast("PrimitiveType", field.field_type), bounds[field.field_id]))


def referenced(table: Table) -> Iterator[str]:
    """Every file that the table, or a snapshot that it keeps, refers to."""
    yield table.metadata_location
    yield from (entry.metadata_file for entry in table.metadata.metadata_log)
    manifests: dict[str, ManifestFile] = {}
    for snapshot in table.metadata.snapshots:
        yield snapshot.manifest_list
        manifests |= {each.manifest_path: each for each in snapshot.manifests(table.io)}
    for path, manifest in manifests.items():
        yield path
        yield from (e.data_file.file_path for e in manifest.fetch_manifest_entry(table.io))
