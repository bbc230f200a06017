"""What goes over the wire, and what is kept of it for those who come back."""

from hypothesis import given
from hypothesis import strategies as st

from services.serving.feed import events, frames, recent
from services.serving.feed.matching import matcher
from services.serving.feed.places import past
from services.serving.feed.recent import Recent
from services.shared.domain.positions import Vector, reaches, upper
from services.shared.speedview.port import Indexed, Search
from tests.frames import position, understood
from tests.unit.feed.made import within
from tests.unit.speed.made import START, at

ALL = matcher(Search())
HOSTILE = 'a\nid: ["x",[9]]\n\ndata: {}\r\r\u2028\u0085\x00"'


def test_what_strangers_write_stays_within_its_event() -> None:
    (event,) = events.made("log", [at(0, 0, title=HOSTILE, comment=HOSTILE)], START)
    (frame,), last = understood(event.frame)
    assert frame.data["title"] == frame.data["comment"] == HOSTILE
    assert last == '["log",[1,0]]'
    assert b"\r" not in event.frame
    assert event.frame.count(b"\n") == 3


def test_a_chunk_holds_its_block() -> None:
    block = frames.block([frames.RETRY, frames.moved(b"7")])
    assert block.raw == b"retry: 3000\n\nid: 7\n\n"
    assert block.chunk == b"14\r\n" + block.raw + b"\r\n"


OFFSETS = st.lists(st.tuples(st.integers(0, 1), st.integers(1, 3)), max_size=30)


def _log(steps: list[tuple[int, int]]) -> list[Indexed]:
    """In order of append, with holes."""
    found, here = [], START
    for number, (partition, hole) in enumerate(steps):
        one = at(partition, here[partition] + hole, time=1_000 + number)
        here = past(here, one)
        found.append(one)
    return found


@given(steps=OFFSETS, size=st.integers(1, 3_000), data=st.data())
def test_any_place_goes_on_with_what_follows_it(
    steps: list[tuple[int, int]], size: int, data: st.DataObject
) -> None:
    log, kept = _log(steps), Recent(START, (), START)
    for event in events.made("log", log, START):
        kept.add([event], event.position)
    end = (100, 100)
    kept.add((), end)
    offsets = st.tuples(st.integers(0, 100), st.integers(0, 100))
    since: Vector = data.draw(offsets)
    expected = within(log, since, end)
    got, here, last = b"", since, False
    while not last:
        block, here, last = kept.page("log", here, ALL, size)
        got += block.raw
    shown, id_ = understood(got)
    assert here == upper(since, end)
    assert not id_ or position(id_) == here
    assert [frame.data["id"] for frame in shown] == [o.document.change.id for o in expected]
    for frame, one in zip(shown, expected, strict=True):
        until = position(frame.id)
        assert reaches(until, past(since, one))
        assert within(log, since, until) == expected[: expected.index(one) + 1]


def test_only_so_many_are_kept_and_only_so_many_bytes() -> None:
    many = [at(0, offset) for offset in range(recent.MOST_EVENTS + 10)]
    kept = Recent(START, (), START)
    kept.add(events.made("log", many, START), (len(many), 0))
    assert kept.start == (10, 0)
    assert kept.page("log", kept.start, ALL, 1 << 30).block.events == recent.MOST_EVENTS

    large = [at(0, len(many) + number, comment="x" * 500_000) for number in range(40)]
    kept.add(events.made("log", large, kept.position), (len(many) + 40, 0))
    page = kept.page("log", kept.start, ALL, 1 << 30)
    assert len(page.block.raw) <= recent.MOST_BYTES + 1_000
    assert page.block.events == recent.MOST_BYTES // 500_000


def test_nothing_is_kept_from_before_a_gap() -> None:
    kept = Recent(START, (), START)
    kept.add(events.made("log", [at(0, 1)], START), (2, 2))
    kept.skip((9, 9))
    assert (kept.start, kept.position) == ((9, 9), (9, 9))
    assert not kept.page("log", (9, 9), ALL, 99).block.raw
