"""Ids, and what may be handed out of what is visible."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.serving.feed import places
from services.shared.speedview.port import Indexed
from tests.unit.speed.made import at

VECTORS = st.lists(st.integers(0, 1 << 62), min_size=1, max_size=64).map(tuple)


@given(log=st.text(), position=VECTORS)
def test_an_id_is_a_line_of_ascii_or_text_and_comes_back(
    log: str, position: tuple[int, ...]
) -> None:
    id_ = places.written(log, position)
    assert not {b"\n", b"\r", b"\0"} & set(id_)
    assert places.read(id_.decode()) == places.Id(log, position)


def test_ids_look_like_this() -> None:
    assert places.written("237facce", (12, 7)) == b'["237facce",[12,7]]'


@pytest.mark.parametrize(
    "text",
    ["", "[12,7]", "12", "null", '["x"]', '["x",[-1]]', '["x",[1.5]]', '["x",["1"]]', '["x",[1]',
     '["x",[1]] ]', '{"log":"x"}', '["x",[9223372036854775808]]', '["x",[1],2,', "\udcff", "[[[["],
)  # fmt: skip
def test_what_is_no_id_is_none(text: str) -> None:
    assert places.read(text) is None


def found(*places_: tuple[int, int, int]) -> list[Indexed]:
    return [at(partition, offset, time=time) for time, partition, offset in places_]


def test_an_event_waits_until_all_partitions_are_known_as_far() -> None:
    log = found((10, 0, 0), (11, 1, 4), (12, 0, 7), (12, 1, 5), (13, 0, 9))
    assert places.known(log, (0, 3), (10, 6), (13, 12), full=False) == (log[:4], (8, 6))
    assert places.known(log, (0, 3), (10, 6), (13, 13), full=False) == (log, (10, 6))
    assert places.known(log, (0, 3), (10, 6), (13, 13), full=True) == (log, (10, 6))
    assert places.known(log[:3], (0, 3), (10, 6), (13, 13), full=True) == (log[:3], (8, 5))
    assert places.known(log, (0, 3), (10, 6), (0, 13), full=False) == ([], (0, 3))


def test_without_events_one_goes_on_over_canaries_and_copies() -> None:
    assert places.known([], (1, 3), (10, 3), (0, 0), full=False) == ([], (10, 3))


def test_one_begins_before_the_first_of_the_newest() -> None:
    newest_first = found((12, 1, 5), (12, 0, 7), (11, 1, 4))
    assert places.first_of(newest_first, (9, 9, 9)) == (7, 4, 9)
    assert places.first_of([], (9, 9)) == (9, 9)
