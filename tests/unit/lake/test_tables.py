"""What the commits rely on: the library, this version of it, with the tables' properties."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyiceberg.table import Table

from services.shared.lake import files, sweep, tables
from services.shared.lake.port import RAW, Horizon, Stale
from services.shared.lake.tables import Tables
from services.shared.runtime.exits import Refused
from tests.unit.lake.rows import DAY, LOG, at, rows


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Tables]:
    catalogue = Tables(tmp_path / "lake")
    catalogue.create(RAW)
    tables.commit(catalogue.load(RAW), properties=tables.origin(LOG, at(0)))
    yield catalogue
    catalogue.close()


def commit(table: Table, offset: int, until: Horizon) -> None:
    written = files.write(
        tables.data_directory(table, DAY), tables.file_schema(table), [rows(RAW, [(0, offset)])]
    )
    assert written is not None
    added = [tables.described(table, written)]
    tables.commit(table, added=added, properties=tables.moved(until))


def offsets(table: Table) -> list[int]:
    return [tables.least(table, "offset", file) for file in tables.live(table)]


def test_of_two_that_loaded_before_both_commit_the_second_is_refused(catalogue: Tables) -> None:
    first, second = catalogue.load(RAW), catalogue.load(RAW)
    commit(first, 1, at(1))
    before = sweep.files(catalogue.root)
    with pytest.raises(Stale):
        commit(second, 2, at(2))
    assert tables.horizon(catalogue.load(RAW)) == at(1)
    assert offsets(catalogue.load(RAW)) == [1]
    left = set(sweep.files(catalogue.root)).difference(before)
    assert all(path.endswith(".parquet") for path in left)  # the caller's, who knows its name


def test_a_range_without_rows_is_compared_too(catalogue: Tables) -> None:
    first, second = catalogue.load(RAW), catalogue.load(RAW)
    tables.commit(first, properties=tables.moved(at(5)))
    with pytest.raises(Stale):
        tables.commit(second, properties=tables.moved(at(7)))
    assert tables.horizon(catalogue.load(RAW)) == at(5)


def test_a_rewrite_is_refused_after_an_append(catalogue: Tables) -> None:
    commit(catalogue.load(RAW), 0, at(1))
    stale = catalogue.load(RAW)
    commit(catalogue.load(RAW), 1, at(2))
    with pytest.raises(Stale):
        tables.commit(stale, removed=tables.live(stale))
    assert offsets(catalogue.load(RAW)) == [0, 1]


def test_a_rewrite_keeps_the_horizon(catalogue: Tables) -> None:
    commit(catalogue.load(RAW), 0, at(1))
    table = catalogue.load(RAW)
    tables.commit(table, removed=tables.live(table))
    assert offsets(catalogue.load(RAW)) == []
    assert tables.horizon(catalogue.load(RAW)) == at(1)
    assert tables.identity(catalogue.load(RAW)) == LOG


def test_many_handles_at_once_make_one_chain(catalogue: Tables) -> None:
    def contend(number: int, handle: Tables) -> None:
        for _ in range(5):
            table = handle.load(RAW)
            (reached,) = tables.horizon(table).positions
            try:
                commit(table, reached, at(reached + 1))
            except Stale:
                lost.append(number)
            else:
                won.append(reached)

    won: list[int] = []
    lost: list[int] = []
    handles = [Tables(catalogue.root) for _ in range(3)]
    threads = [threading.Thread(target=contend, args=each) for each in enumerate(handles)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for handle in handles:
        handle.close()
    assert len(won) + len(lost) == 15
    assert sorted(won) == list(range(len(won)))
    assert tables.horizon(catalogue.load(RAW)) == at(len(won))
    assert offsets(catalogue.load(RAW)) == list(range(len(won)))


def test_metadata_stays_small(catalogue: Tables) -> None:
    for offset in range(12):
        commit(catalogue.load(RAW), offset, at(offset + 1))
    table = catalogue.load(RAW)
    assert len(table.metadata.snapshots) == tables.SNAPSHOTS_KEPT
    metadata = [path for path in sweep.files(catalogue.root) if path.endswith("metadata.json")]
    assert len(metadata) <= tables.SNAPSHOTS_KEPT + 2
    assert set(tables.referenced(table)) <= set(sweep.files(catalogue.root))


def test_columns_carry_their_comments(catalogue: Tables) -> None:
    schema = catalogue.load(RAW).schema()
    assert [column.name for column in schema.fields if not column.doc] == []
    assert schema.find_field("offset").required
    assert not schema.find_field("user").required


def test_a_moved_directory_is_refused_with_the_way_out(catalogue: Tables, tmp_path: Path) -> None:
    catalogue.close()
    moved = (tmp_path / "lake").rename(tmp_path / "elsewhere")
    with pytest.raises(Refused, match=f"bvw migrate --data {tmp_path}"):
        Tables(moved).load(RAW)
