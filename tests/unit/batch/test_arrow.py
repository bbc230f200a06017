"""The views over Arrow tables are the declared ones."""

import gzip
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.batch import arrow, derive, raw
from services.batch.count import Sums
from services.shared.domain.classes import is_bot_name
from services.shared.domain.identity import day_start
from services.shared.domain.views import (
    BY_NAME,
    MINUTES,
    VIEWS,
    Document,
    Registers,
    Rows,
)
from services.shared.lake import schemas
from services.shared.lake.port import CLEANED, DEFINED
from services.shared.log.port import Record
from tests.unit.batch.conftest import recount, recounted_registers
from tests.unit.batch.made import DAYS, all_registers, all_rows, documents


def defined(of: Iterable[Document]) -> pa.Table:
    found = [
        {name: getattr(document.change, name, 0) for name in schemas.ARROW[DEFINED].names}
        | {"event_id": "", "bot_name": is_bot_name(document.change.user)}
        for document in of
    ]
    return pa.Table.from_pylist(found, schemas.ARROW[DEFINED])


def cleaned(of: Iterable[Document]) -> pa.Table:
    found = [
        {name: getattr(document.change, name, 0) for name in ("day", "project", "editor_class", "title")}
        | {"partition": 0, "offset": 0, "language": "",
           "words": [word._asdict() for word in document.words], "hashtags": document.hashtags}
        for document in of
    ]  # fmt: skip
    return pa.Table.from_pylist(found, schemas.ARROW[CLEANED])


def summed(sums: Sums) -> tuple[dict[str, Rows], Registers]:
    tables = sums.tables()
    empty: dict[str, Rows] = {view.name: {} for view in VIEWS}
    rows = {name: dict(arrow.items(BY_NAME[name], table)) for name, table in tables.items()}
    return empty | rows, arrow.all_registers(tables)


@given(pieces=st.lists(st.lists(documents(), max_size=15), max_size=3))
@settings(deadline=None, max_examples=40)
def test_sums_of_pieces_are_the_rows_of_all_documents(pieces: list[list[Document]]) -> None:
    sums = Sums(0)
    for piece in pieces:
        sums.add_defined(defined(piece))
        sums.add_cleaned(cleaned(piece))
    everything = [document for piece in pieces for document in piece]
    assert summed(sums) == (all_rows(everything), all_registers(everything))


@given(of=st.lists(documents(), max_size=15))
@settings(deadline=None, max_examples=40)
def test_minutes_that_nobody_can_ask_for_are_left_out(of: list[Document]) -> None:
    first = day_start(DAYS[1]) // 60
    sums = Sums(first)
    sums.add_defined(defined(of))
    rows = summed(sums)[0]
    assert rows["edits"] == all_rows(of)["edits"]
    kept = {key: m for key, m in all_rows(of)["minutes"].items() if int(key[2]) >= first}
    assert rows[MINUTES.name] == kept


@given(of=st.lists(documents(), max_size=15))
@settings(deadline=None, max_examples=40)
def test_rows_come_in_the_order_of_storage(of: list[Document]) -> None:
    sums = Sums(0)
    sums.add_defined(defined(of))
    for name, table in sums.tables().items():
        keys = [(key[1], key[0], *key[2:]) for key, _ in arrow.items(BY_NAME[name], table)]
        assert keys == sorted(keys)


@pytest.mark.parametrize(
    "name", ["events-wikiticker-2015", "events-dataplumbhub-2025", "events-polars-guide-2023"]
)
def test_recorded_events_count_as_the_declaration_says(recordings: Path, name: str) -> None:
    raws = gzip.decompress((recordings / f"{name}.jsonl.gz").read_bytes()).splitlines()[:6_000]
    records = [Record(0, offset, "", 0, each) for offset, each in enumerate(raws)]
    rows = derive.defined(raw.rows(raw.changes(records)))
    sums = Sums(0)
    sums.add_defined(rows)
    sums.add_cleaned(derive.cleaned(rows))
    assert summed(sums) == (recount(raws), recounted_registers(raws))
    assert sums.rows > 0
