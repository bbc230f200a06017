"""Data files of the lake: Parquet, written whole and read in pieces.

A file is written under its final name and synced; it counts from the commit that names it. Columns
that repeat are dictionary-encoded and numbers that climb are stored as differences; the rest is left
to zstd. Reading looks at the columns asked for and at the row groups whose statistics admit the
condition, and never holds more than a few row groups.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from services.shared.lake import storage
from services.shared.runtime.exits import Refused

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile

ROWS_A_GROUP: Final = 20_000
"""Rows of a row group: small enough that rewriting a file takes little memory."""
ROWS_A_PIECE: Final = 20_000
"""Rows that a reader has in memory at once."""
BYTES_AT_ONCE: Final = 32 * 1024 * 1024
"""Bytes of a row group, and of what a reader has in memory: rows may have up to a megabyte each."""

_ZSTD_LEVEL: Final = 5
_DIFFERENCES: Final = frozenset(
    {"offset", "appended_at", "timestamp", "received_at", "id", "meta_offset", "revision",
     "revision_old", "revision_new"}
)  # fmt: skip
_ONCE: Final = frozenset(
    {"json", "digest", "event_id", "meta_id", "meta_request_id", "meta_uri", "title_url",
     "comment", "parsedcomment", "notify_url", "log_params", "title"}
)  # fmt: skip
"""Columns with too many values for a dictionary."""
_STATISTICS: Final = frozenset({"partition", "offset", "appended_at", "day", "timestamp"})
"""Columns whose bounds let a row group be skipped; bounds of long texts only fill the footer."""


def write(directory: Path, schema: pa.Schema, pieces: Iterable[pa.Table]) -> Path | None:
    """One durable file with the rows of all pieces; None if there are none.

    `schema` is the table's, with the ids of its fields.
    """
    path = directory / f"{uuid.uuid4()}.parquet"
    groups = _regroup(pieces, ROWS_A_GROUP)
    first = next(groups, None)
    if first is None:
        return None
    directory.mkdir(parents=True, exist_ok=True)
    try:
        with _writer(path, schema) as writer:
            for group in itertools.chain([first], groups):
                writer.write_table(group.cast(schema), row_group_size=len(group))
        storage.sync(path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    differences = _DIFFERENCES.intersection(schema.names)
    leaves = ["words.list.element.stem", "words.list.element.form", "hashtags.list.element"]
    dictionary = [name for name in [*schema.names, *leaves] if name not in differences | _ONCE]
    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=_ZSTD_LEVEL,
        use_dictionary=dictionary,  # type: ignore[arg-type]  # a list is fine
        column_encoding=dict.fromkeys(differences, "DELTA_BINARY_PACKED"),
        write_statistics=[name for name in schema.names if name in _STATISTICS],
        store_schema=False,  # Iceberg's schema is the one that counts
    )


def by_day(rows: pa.Table) -> Iterator[tuple[int, pa.Table]]:
    """The rows of every event day, in their order."""
    days = sorted(cast("list[int]", rows["day"].unique().to_pylist()))
    for day in days:
        yield day, rows if len(days) == 1 else rows.filter(pc.field("day") == day)


def read(
    files: Sequence[DataFile],
    schema: pa.Schema,
    columns: Sequence[str],
    condition: pc.Expression | None = None,
    *,
    rows: int = ROWS_A_PIECE,
) -> Iterator[pa.Table]:
    """The rows of the files that meet the condition, in pieces of at most `rows` (see `_regroup`)."""
    for file in files:
        _check_whole(file)
    if not files:
        return
    try:
        yield from _regroup(_groups(files, schema, columns, condition), rows)
    except (pa.ArrowException, OSError) as error:
        raise Refused(f"lake: cannot read a data file ({error}); restore it from a copy") from error


def _groups(
    files: Sequence[DataFile],
    schema: pa.Schema,
    columns: Sequence[str],
    condition: pc.Expression | None,
) -> Iterator[pa.Table]:
    """One row group after the other: Arrow's own scan of a dataset reads a gigabyte ahead."""
    data = ds.dataset([file.file_path for file in files], schema=schema, format="parquet")
    for fragment in data.get_fragments():
        for group in cast("ds.ParquetFileFragment", fragment).split_by_row_group(condition):
            yield group.to_table(schema=schema, columns=list(columns), filter=condition)


def _check_whole(file: DataFile) -> None:
    """A torn file is refused by name before anything of it is believed."""
    try:
        size = Path(file.file_path).stat().st_size
    except FileNotFoundError:
        raise Refused(
            f"lake: the data file {file.file_path} is missing; restore it from a copy"
        ) from None
    if size != file.file_size_in_bytes:
        raise Refused(
            f"lake: the data file {file.file_path} has {size} bytes,"
            f" it was written with {file.file_size_in_bytes}; restore it from a copy"
        )


def _regroup(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """The same rows in pieces of `rows`, or of fewer where those are too many bytes; none is empty."""
    held: list[pa.Table] = []
    count = size = 0
    for table in itertools.chain.from_iterable(map(_light, tables)):
        at = 0
        while at < len(table):
            part = table.slice(at, rows - count)
            if held and size + part.nbytes > BYTES_AT_ONCE:
                yield pa.concat_tables(held)
                held, count, size = [], 0, 0
                continue
            at += len(part)
            count += len(part)
            size += part.nbytes
            held.append(part)
            if count == rows:
                yield pa.concat_tables(held)
                held, count, size = [], 0, 0
    if held:
        yield pa.concat_tables(held)


def _light(table: pa.Table) -> Iterator[pa.Table]:
    """The table in halves of halves until none has too many bytes, or it is a single row."""
    if table.nbytes <= BYTES_AT_ONCE or len(table) <= 1:
        yield table
        return
    half = len(table) // 2
    yield from _light(table.slice(0, half))
    yield from _light(table.slice(half))
