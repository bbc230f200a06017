"""Tables as files: CSV for spreadsheets, JSON with what the rows stand on, Parquet with their types.

What strangers wrote comes out as data. A spreadsheet takes a cell that begins like a formula for one, also in
a file that somebody only looks at; in CSV such a cell gets an apostrophe before it. JSON and Parquet
carry every text as it is.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol

import msgspec

from services.serving.export import Cell, Export, Row

if TYPE_CHECKING:
    import pyarrow as pa

_FORMULA: Final = frozenset("=+-@\t\r\n")


class Writer(Protocol):
    """Begun by its constructor; the file is whole after `close`, and stays open."""

    def write(self, rows: Sequence[Row]) -> None: ...

    def close(self) -> None: ...


def defused(text: str) -> str:
    """The text as no spreadsheet takes it for a formula, not even in full-width letters."""
    first = unicodedata.normalize("NFKC", text.lstrip(" ")[:1])
    return f"'{text}" if first and first in _FORMULA else text


class Csv:
    """Has no place for `meta`; whoever writes it says it elsewhere."""

    def __init__(self, file: BinaryIO, export: Export) -> None:
        self._file = file
        self._lines([tuple(export.kinds)])

    def write(self, rows: Sequence[Row]) -> None:
        self._lines([_field(cell) for cell in row] for row in rows)

    def close(self) -> None:
        pass

    def _lines(self, rows: Iterable[Sequence[str | int]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(rows)
        self._file.write(text.getvalue().encode())


class Json:
    """One document, with a row a line: {"meta": …, "edits": [{…}, …]}."""

    def __init__(self, file: BinaryIO, export: Export) -> None:
        self._file = file
        self._names = tuple(export.kinds)
        self._encoder = msgspec.json.Encoder()
        self._before = b"\n"
        file.write(b'{"meta":%b,"%b":[' % (self._encoder.encode(export.meta), export.name.encode()))

    def write(self, rows: Sequence[Row]) -> None:
        for row in rows:
            encoded = self._encoder.encode(dict(zip(self._names, row, strict=True)))
            self._file.write(self._before + encoded)
            self._before = b",\n"

    def close(self) -> None:
        self._file.write(b"\n]}\n")


class Parquet:
    """`meta` is in the schema's metadata, as JSON under `bvw`."""

    def __init__(self, file: BinaryIO, export: Export) -> None:
        import pyarrow.parquet as pq

        self._schema = _schema(export)
        self._writer = pq.ParquetWriter(file, self._schema, compression="zstd")

    def write(self, rows: Sequence[Row]) -> None:
        import pyarrow as pa

        columns = zip(zip(*rows, strict=True), self._schema.types, strict=False)
        arrays = [pa.array(cells, kind) for cells, kind in columns]
        if arrays:
            self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))

    def close(self) -> None:
        self._writer.close()


FORMATS: Final[Mapping[str, Callable[[BinaryIO, Export], Writer]]] = {
    "csv": Csv,
    "json": Json,
    "parquet": Parquet,
}


def _field(cell: Cell) -> str | int:
    match cell:
        case bool():
            return str(cell).lower()
        case str():
            return defused(cell)
        case datetime():
            return f"{cell:%Y-%m-%dT%H:%M:%SZ}"
        case date():
            return cell.isoformat()
    return cell


def _schema(export: Export) -> pa.Schema:
    import pyarrow as pa

    types: dict[type[Cell], pa.DataType] = {
        str: pa.string(), int: pa.int64(), bool: pa.bool_(), date: pa.date32(),
        datetime: pa.timestamp("s", tz="UTC"),
    }  # fmt: skip
    columns = [(name, types[kind]) for name, kind in export.kinds.items()]
    return pa.schema(columns, {"bvw": msgspec.json.encode(export.meta)})
