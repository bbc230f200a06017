"""The identity of an event is decided by its payload alone, so all copies agree on it."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shared.domain.identity import (
    DIGEST_BYTES,
    day_start,
    digest,
    event_day,
    event_id,
    partition,
)

FIRST = int(datetime(2001, 1, 1, tzinfo=UTC).timestamp())
END = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())


@given(st.integers(FIRST, END - 1))
def test_the_event_day_is_the_utc_day_of_the_timestamp(timestamp: int) -> None:
    day = event_day(timestamp)
    assert day == int(datetime.fromtimestamp(timestamp, UTC).strftime("%Y%m%d"))
    assert day_start(day) <= timestamp < day_start(day) + 86_400


@pytest.mark.parametrize("timestamp", [FIRST - 1, END, 0, -1, 2**53])
def test_outside_the_years_there_is_no_day(timestamp: int) -> None:
    assert event_day(timestamp) is None


def test_one_meta_id_on_two_days_is_two_events_and_a_canary_has_no_day() -> None:
    assert event_id("a", b"1", 20240229) == event_id("a", b"2", 20240229) == "20240229:a"
    assert event_id("a", b"1", 20240301) == "20240301:a"
    assert event_id("a", b"1", None) == "a"


@pytest.mark.parametrize("unusable", [None, "", "x" * 129, "é", "a\n", "\x7f"])
def test_an_unusable_meta_id_gives_way_to_the_bytes(unusable: str | None) -> None:
    same, other = (event_id(unusable, raw, 20240229) for raw in (b"1", b"2"))
    assert same != other
    assert same == event_id(unusable, b"1", 20240229)
    assert same.startswith("20240229:h:")
    assert len(same) == len("20240229:h:") + 64


@pytest.mark.parametrize("usable", ["x", "x" * 128, "a b", "h:looks-like-a-hash", "20240229:x"])
def test_a_usable_meta_id_is_kept_as_it_is(usable: str) -> None:
    assert event_id(usable, b"", 20240229) == f"20240229:{usable}"


def test_digests_and_partitions_are_the_same_for_ever() -> None:
    """They are stored: another function would make strangers of all copies."""
    assert digest("20240229:a").hex() == "d6ed52afeb05591abbbe758d3713b44e"
    assert len(digest("")) == DIGEST_BYTES
    assert [partition(f"20240229:{n}", 4) for n in range(8)] == [3, 1, 3, 1, 2, 0, 2, 0]


@given(st.text(), st.integers(1, 64))
def test_a_partition_is_one_of_those_there_are(key: str, partitions: int) -> None:
    assert 0 <= partition(key, partitions) < partitions
