"""Data files are written and read in pieces that fit into memory, whatever the rows weigh."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.shared.lake import files, tables
from services.shared.lake.port import RAW
from services.shared.lake.tables import Tables
from tests.unit.lake.rows import DAY, rows


def heavy(count: int, weight: int) -> pa.Table:
    """Rows of the raw table with so many bytes of JSON each."""
    made = rows(RAW, [(0, offset) for offset in range(count)])
    place = made.schema.get_field_index("json")
    return made.set_column(place, made.schema.field("json"), [[bytes(weight)] * count])


@pytest.mark.parametrize(("count", "weight"), [(45, 2_000_000), (2, 40_000_000), (50_000, 10)])
def test_pieces_are_bounded_in_rows_and_bytes(tmp_path: Path, count: int, weight: int) -> None:
    catalogue = Tables(tmp_path)
    catalogue.create(RAW)
    table = catalogue.load(RAW)
    directory = tables.data_directory(table, DAY)
    whole = heavy(count, weight)
    path = files.write(directory, tables.file_schema(table), [whole])
    assert path is not None
    held = pq.ParquetFile(path)
    groups = [held.metadata.row_group(n).num_rows for n in range(held.num_row_groups)]
    described = [tables.described(table, path)]
    pieces = list(files.read(described, whole.schema, ["offset", "json"]))
    for sizes in (groups, [len(piece) for piece in pieces]):
        assert sum(sizes) == count
        assert all(size <= 20_000 for size in sizes)
        assert all(size == 1 or size * weight <= files.BYTES_AT_ONCE for size in sizes)
        assert len(sizes) <= 2 + count // 20_000 + 3 * count * weight // files.BYTES_AT_ONCE
    offsets = [offset for piece in pieces for offset in piece["offset"].to_pylist()]
    assert offsets == list(range(count))
    catalogue.close()
