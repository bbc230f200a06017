"""Where a time is in a topic, and what a reader finds: compared with looking at every message."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.collector.upstream.history import CODFW, END, EQIAD, History, Place

TIMES = st.lists(st.integers(-5, 30), max_size=40)
TOPICS = st.lists(st.tuples(st.sampled_from([EQIAD, CODFW]), st.integers(0, 9)), max_size=40)


def made(times: list[tuple[str, int]]) -> History:
    history = History()
    for number, (topic, time) in enumerate(times):
        history.append(b'{"n":%d}' % number, time, topic)
    return history


@given(TIMES, st.integers(-10, 40))
def test_the_offset_of_a_time_is_the_first_at_or_after_it(times: list[int], asked: int) -> None:
    history = made([(EQIAD, time) for time in times])
    later = [offset for offset, time in enumerate(times) if time >= asked]
    assert history.offset_at(Place(EQIAD), asked) == (later[0] if later else END)


@given(TOPICS, st.integers(0, 40), st.integers(0, 40))
def test_a_reader_finds_what_is_from_its_positions_on_in_order(
    times: list[tuple[str, int]], first: int, second: int
) -> None:
    history = made(times)
    ends = {topic: history.end(Place(topic)) or 0 for topic in (EQIAD, CODFW)}
    positions = {Place(EQIAD): min(first, ends[EQIAD]), Place(CODFW): min(second, ends[CODFW])}
    reader, found = history.read(positions), []
    assert reader.behind >= 0
    while message := reader.peek():
        found.append(message)
        reader.advance()
    assert found == [m for m in history if m.offset >= positions[m.place]]
    assert reader.behind == 0
    late = history.append(b"{}", 0, CODFW)
    assert reader.peek() == late


@given(TOPICS)
def test_offsets_are_counted_in_each_topic(times: list[tuple[str, int]]) -> None:
    history = made(times)
    for topic in (EQIAD, CODFW):
        offsets = [message.offset for message in history if message.place.topic == topic]
        assert offsets == list(range(len(offsets)))


def test_a_reader_of_nothing_waits_at_the_end() -> None:
    history = made([(EQIAD, 1)])
    reader = history.read({})
    history.append(b"{}", 2)
    assert reader.peek() is None


def test_a_message_that_is_no_json_takes_an_offset_and_is_not_handed_on() -> None:
    history = History()
    history.append(b"no JSON", 1)
    history.append(b"no JSON", 2, verbatim=True)
    reader = history.read({Place(EQIAD): 0})
    found = reader.peek()
    assert found
    assert (found.offset, found.data) == (1, b"no JSON")


def test_there_is_no_second_partition() -> None:
    assert History().end(Place(EQIAD, 1)) is None
    assert History().offset_at(Place(EQIAD, 1), 0) == END


def test_listeners_hear_of_every_message() -> None:
    history, heard = History(), []
    history.listeners.append(lambda: heard.append(len(history)))
    history.append(b"{}", 1)
    history.append(b"null", 1)
    assert heard == [1, 2]
