"""Payloads of any shape become rows; what does not fit a column stands in `json`."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.batch import payload, raw
from services.batch.raw import Unreadable
from services.shared.lake import schemas
from services.shared.lake.port import RAW
from services.shared.log.port import Record
from tests.unit.batch.conftest import CANARY, DAY, event

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def row(raw_event: bytes) -> dict[str, Any]:
    (found,) = raw.rows(raw.changes([Record(1, 7, "", 99, raw_event)])).to_pylist()
    return found


def test_every_field_has_its_column() -> None:
    found = row(event(4, log_params={"a": [1]}, revision={"old": 5, "new": 6}, patrolled=True))
    assert found["schema"] == "/mediawiki/recentchange/1.0.0"
    assert (found["meta_id"], found["meta_domain"]) == ("id-4", "en.wikipedia.org")
    assert (found["length_old"], found["length_new"]) == (10, 14)
    assert (found["revision_old"], found["revision_new"]) == (5, 6)
    assert (found["patrolled"], found["bot"], found["user"]) == (True, True, "CleanupBot")
    assert (found["partition"], found["offset"], found["appended_at"]) == (1, 7, 99)
    assert (found["day"], found["event_id"]) == (DAY, f"{DAY}:id-4")
    assert found["received_at"] == datetime(2024, 2, 29, 12, tzinfo=UTC)
    assert found["log_params"] == '{"a":[1]}'
    assert set(found) == set(schemas.ARROW[RAW].names)


@pytest.mark.parametrize(
    ("fields", "column", "expected"),
    [
        ({"id": "a string"}, "id", None),
        ({"id": 2**64}, "id", None),
        ({"id": True}, "id", None),
        ({"parsedcomment": 5}, "parsedcomment", None),
        ({"patrolled": 1}, "patrolled", None),
        ({"revision": []}, "revision_new", None),
        ({"log_params": []}, "log_params", "[]"),
        ({"log_params": "text", "log_id": "x"}, "log_params", '"text"'),
        ({"log_params": None}, "log_params", None),
        ({"title_url": None}, "title_url", None),
        ({"type": 0}, "type", "0"),
        ({"meta": {"id": "m", "domain": "pt.wikipedia.org", "offset": "5"}}, "meta_id", "m"),
        (
            {"meta": {"id": "m", "domain": "pt.wikipedia.org", "dt": "yesterday"}},
            "received_at",
            None,
        ),
    ],
)
def test_a_field_of_another_type_is_empty_and_the_others_stay(
    fields: dict[str, Any], column: str, expected: Any
) -> None:
    written = event(1, **fields)
    found = row(written)
    assert found[column] == expected
    assert found["wiki"] == "enwiki"
    assert found["json"] == written


def test_lone_surrogates_are_kept_in_json_alone() -> None:
    written = event(1).replace(b'"work"', rb'"a\ud800b"')
    found = row(written)
    assert found["comment"] == "a?b"
    assert found["json"] == written


@given(
    fields=st.fixed_dictionaries(
        {},
        optional=dict.fromkeys([*payload.Payload.__struct_fields__, "$schema", "other"], _VALUES),
    )
)
def test_no_payload_breaks_the_columns(fields: dict[str, Any]) -> None:
    written = json.dumps(fields).encode(errors="surrogatepass")
    columns = payload.columns([payload.payload(written)])
    for name in ("title", "user", "meta_dt"):
        assert columns[name][0] is None or isinstance(columns[name][0], str)


@given(raw_event=st.binary(max_size=60))
def test_no_bytes_break_it(raw_event: bytes) -> None:
    assert payload.payload(raw_event) is not None


def test_canaries_are_left_out_and_the_first_copy_stays() -> None:
    found = raw.changes(
        Record(0, offset, "", 0, each)
        for offset, each in enumerate([event(1), CANARY, event(2), event(1, title="Later")])
    )
    assert [(record.offset, change.title) for record, change in found] == [
        (0, "History of the river 1"),
        (2, "History of the river 2"),
    ]


def test_what_cannot_be_parsed_names_its_position() -> None:
    with pytest.raises(Unreadable, match=r"partition 2, offset 5 .*not_json"):
        raw.changes([Record(2, 5, "", 0, b"{")])


def test_recorded_events_lose_nothing(recordings: Path) -> None:
    for name in ("events-dataplumbhub-2025", "events-polars-guide-2023"):
        raws = gzip.decompress((recordings / f"{name}.jsonl.gz").read_bytes()).splitlines()
        found = raw.rows(raw.changes(Record(0, i, "", 0, each) for i, each in enumerate(raws)))
        for row_, written in zip(found.to_pylist(), map(msgspec.json.decode, raws), strict=True):
            assert row_["title"] == written.get("title")
            assert row_["meta_request_id"] == written["meta"]["request_id"]
            assert row_["log_action_comment"] == written.get("log_action_comment")
            assert row_["received_at"] is not None
