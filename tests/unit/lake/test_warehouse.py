from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from services.shared.domain.positions import Span
from services.shared.lake import sweep
from services.shared.lake.port import CLEANED, RAW
from services.shared.lake.warehouse import Warehouse
from services.shared.runtime.exits import Refused
from tests.unit.lake.rows import DAY, LOG, at, rows, step

MINUTE = 60_000


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    warehouse = Warehouse(tmp_path)
    warehouse.begin(LOG, at(0, 0))
    yield warehouse
    warehouse.close()


def put(warehouse: Warehouse, table: str, n: int) -> None:
    taken = rows(table, step((n, n), (n + 1, n + 1)))
    warehouse.append(table, taken, (n, n), at(n + 1, n + 1))


def data_files(root: Path) -> list[Path]:
    """The data files, oldest first."""
    return sorted(root.rglob("*.parquet"), key=lambda path: path.stat().st_mtime_ns)


def count(pieces: Iterator[pa.Table]) -> int:
    return sum(len(piece) for piece in pieces)


def test_a_new_range_is_read_without_opening_old_files(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    for n in range(5):
        put(warehouse, RAW, n)
    for old in data_files(tmp_path)[:4]:
        old.unlink()
    new = Span((4, 4), (5, 5))
    assert count(warehouse.scan(RAW, ["title"], new, None)) == 2
    with pytest.raises(Refused, match="missing"):
        count(warehouse.scan(RAW, ["title"], Span((3, 4), (5, 5)), None))


def test_a_torn_file_is_refused_by_name(warehouse: Warehouse, tmp_path: Path) -> None:
    put(warehouse, RAW, 0)
    (file,) = data_files(tmp_path)
    content = file.read_bytes()
    file.write_bytes(content[:-100])
    with pytest.raises(Refused, match=file.name):
        count(warehouse.scan(RAW, ["title"], None, None))
    with pytest.raises(Refused, match=file.name):
        warehouse.known([DAY], pa.array([bytes(16)], pa.binary(16)))
    file.write_bytes(b"PAR1" + bytes(len(content) - 4))
    with pytest.raises(Refused, match=file.name):
        count(warehouse.scan(RAW, ["title"], None, None))


def test_a_refused_append_leaves_no_data_file(warehouse: Warehouse, tmp_path: Path) -> None:
    put(warehouse, RAW, 0)
    before = data_files(tmp_path)
    wrong = rows(RAW, [(0, 1)]).set_column(3, pa.field("day", pa.string()), pa.array(["no day"]))
    with pytest.raises(pa.ArrowInvalid):
        warehouse.append(RAW, wrong, (1, 1), at(2, 2))
    assert data_files(tmp_path) == before


def test_files_stay_few_over_five_hundred_runs(warehouse: Warehouse, tmp_path: Path) -> None:
    peak = 0
    for n in range(500):
        put(warehouse, CLEANED, n)
        if n % 5 == 4:
            warehouse.maintain(n * MINUTE)
            peak = max(peak, len(sweep.files(tmp_path)))
    assert peak < 250
    assert count(warehouse.scan(CLEANED, ["offset"], None, None)) == 1000
    warehouse.maintain(600 * MINUTE)
    warehouse.maintain(700 * MINUTE)
    assert len(data_files(tmp_path)) < 4 * 8
    assert len(sweep.files(tmp_path)) < 100
