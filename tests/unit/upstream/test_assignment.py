"""Where connections start: the rules as the service has them, and what no client may break."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collector.upstream import assignment
from services.collector.upstream.assignment import Asked, Refusal, Start
from services.collector.upstream.history import CODFW, EQIAD, STREAMS, History, Place

STREAM = ("recentchange",)
MAY_MS = 1_700_000_000_000


def history() -> History:
    made = History()
    for number in range(10):
        made.append(b"{}", MAY_MS + 1000 * number)
    for number in range(3):
        made.append(b"{}", MAY_MS + 1000 * number, CODFW)
    return made


def started(**asked: Any) -> Start:
    start = assignment.start(history(), Asked(STREAM, "/", **asked))
    assert isinstance(start, Start)
    return start


def refused(**asked: Any) -> Refusal:
    start = assignment.start(history(), Asked(STREAM, "/", **asked))
    assert isinstance(start, Refusal)
    return start


def header(*assignments: Any) -> str:
    return json.dumps(assignments)


def positions(**asked: Any) -> dict[str, int]:
    return {place.topic[:5]: offset for place, offset in started(**asked).positions.items()}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, {"eqiad": 10, "codfw": 3}),
        ({"since": ""}, {"eqiad": 10, "codfw": 3}),
        ({"since": "2023-11-14T22:13:25Z"}, {"eqiad": 5, "codfw": 3}),
        ({"since": "2023-11-14T23:13:25.000+01:00"}, {"eqiad": 5, "codfw": 3}),
        ({"since": "Tue, 14 Nov 2023 22:13:25 GMT"}, {"eqiad": 5, "codfw": 3}),
        ({"since": "2023-11-14T22:13:24.001Z"}, {"eqiad": 5, "codfw": 3}),
        ({"since": "2023-11-14"}, {"eqiad": 0, "codfw": 0}),
        ({"since": "2030"}, {"eqiad": 0, "codfw": 0}),  # a number, and so the oldest
        ({"since": str(MAY_MS + 5000)}, {"eqiad": 0, "codfw": 0}),
        ({"since": "2030-01"}, {"eqiad": 10, "codfw": 3}),
        ({"since": "1970-01-01"}, {"eqiad": 10, "codfw": 3}),
        ({"last_event_id": header(EQIAD)}, {"eqiad": 10}),
        ({"last_event_id": header(EQIAD), "since": "2023-11-14T22:13:25Z"}, {"eqiad": 5}),
        ({"last_event_id": json.dumps(f"{CODFW},{EQIAD}")}, {"codfw": 3, "eqiad": 10}),
    ],
)  # fmt: skip
def test_a_start(asked: dict[str, str], expected: dict[str, int]) -> None:
    assert positions(**asked) == expected


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"offset": 4}, 4),
        ({"offset": 10}, 10),
        ({"offset": 11}, None),
        ({"offset": -1}, 10),
        ({"offset": -2}, 0),
        ({"offset": -7}, None),
        ({"offset": 2.0}, 2),
        ({"timestamp": MAY_MS + 3000}, 3),
        ({"timestamp": MAY_MS + 3001}, 4),
        ({"timestamp": MAY_MS + 9001}, 10),
        ({"timestamp": 1}, 0),
        ({"timestamp": 1, "offset": 7}, 7),
    ],
)
def test_a_position_in_the_header(where: dict[str, int], expected: int | None) -> None:
    given = header({"topic": EQIAD, "partition": 0, **where})
    assert started(last_event_id=given).positions.get(Place(EQIAD)) == expected


def test_what_has_both_is_forgotten_where_others_have_a_time_only() -> None:
    """So the source has it."""
    both = {"topic": EQIAD, "partition": 0, "timestamp": 1, "offset": 7}
    timed = {"topic": CODFW, "partition": 0, "timestamp": 1}
    assert positions(last_event_id=header(both, timed)) == {"codfw": 0}


@pytest.mark.parametrize(
    "given",
    [
        "[]", "{}", "1", "null", "true", '[{"topic":"x"}]', "[null]", "[[]]",
        '[{"topic":1,"partition":0,"offset":0}]',
        f'[{{"topic":"{EQIAD}","partition":"0","offset":0}}]',
        f'[{{"topic":"{EQIAD}","partition":0,"offset":1.5}}]',
        f'[{{"topic":"{EQIAD}","partition":true,"offset":0}}]',
        f'["{EQIAD}", 5]',
    ],
)  # fmt: skip
def test_a_header_that_is_no_assignment(given: str) -> None:
    refusal = refused(last_event_id=given)
    assert refusal.status == 400
    assert refusal.body["assignments"] == json.loads(given)
    assert str(refusal.reason).startswith("InvalidAssignmentError: Must provide")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("", "Unexpected end of JSON input"),
        ("[1,", "Unexpected end of JSON input"),
        ("x" * 30, """Unexpected token 'x', "xxxxxxxxxx"... is not valid JSON"""),
        ("[1] 2", "Unexpected non-whitespace character after JSON at position 4"),
        ('["aaaaaaaaaaaaaaaaaaaaaa",x]', """Unexpected token 'x', ..."aaaaaaaa",x]" is not valid JSON"""),
    ],
)  # fmt: skip
def test_a_header_that_is_no_json(given: str, says: str) -> None:
    assert refused(last_event_id=given).body["message"] == says


@pytest.mark.parametrize("since", ["yesterday", "2023-13-01", "NaN", "2023-11-14T25:00Z", "-"])
def test_a_since_that_is_no_time(since: str) -> None:
    assert refused(since=since).body["type"] == "invalid_timestamp"


def test_the_id_goes_on_from_what_was_assigned() -> None:
    made = history()
    given = header(
        {"offset": -1, "partition": 0, "topic": CODFW, "more": 1},
        {"topic": EQIAD, "partition": 0, "timestamp": MAY_MS},
    )
    start = assignment.start(made, Asked(STREAM, "/", given))
    assert isinstance(start, Start)
    message = made.read(start.positions).peek()
    assert message
    assert assignment.sent(start.latest, message) == (
        b'[{"offset":-1,"partition":0,"topic":"codfw.mediawiki.recentchange","more":1},'
        b'{"topic":"eqiad.mediawiki.recentchange","partition":0,"timestamp":1700000000001}]'
    )


def test_an_expired_time_starts_later_and_since_does_not_expire() -> None:
    given = header({"topic": EQIAD, "partition": 0, "timestamp": MAY_MS})
    for expire, expected in ((lambda ms: ms + 4000, 4), (lambda _: None, 10)):
        start = assignment.start(history(), Asked(STREAM, "/", given), expire)
        assert isinstance(start, Start)
        assert start.positions == {Place(EQIAD): expected}
    start = assignment.start(history(), Asked(STREAM, "/", since="2023-11-14"), lambda _: None)
    assert isinstance(start, Start)
    assert start.positions[Place(EQIAD)] == 0


TEXT = st.none() | st.text(max_size=60)
PIECE = st.fixed_dictionaries(
    {},
    optional={
        "topic": st.sampled_from([EQIAD, CODFW, "other"]) | st.integers(),
        "partition": st.integers(-1, 2) | st.none(),
        "offset": st.integers(-3, 14) | st.floats() | st.text(max_size=3),
        "timestamp": st.integers(MAY_MS - 9000, MAY_MS + 20_000) | st.none(),
    },
)
HEADERS = TEXT | st.lists(PIECE | st.sampled_from([EQIAD, CODFW]), max_size=4).map(json.dumps)
NAMES = st.lists(st.sampled_from([*STREAMS, "nope"]), min_size=1, max_size=3).map(tuple)


@given(NAMES, HEADERS, TEXT | st.dates().map(str) | st.datetimes().map(str))
def test_any_request_starts_inside_the_history_or_is_refused_in_words(
    streams: tuple[str, ...], last_event_id: str | None, since: str | None
) -> None:
    made = history()
    start = assignment.start(made, Asked(streams, "/u", last_event_id, since))
    if isinstance(start, Refusal):
        assert start.status in {400, 404, 500}
        json.dumps(start.body)
        return
    topics = {topic for stream in streams for topic in STREAMS[stream]}
    assert start.positions.keys() <= start.latest.keys()
    for place, offset in start.positions.items():
        assert place.topic in topics
        assert 0 <= offset <= (made.end(place) or 0)


@given(st.integers(0, 9), st.lists(st.integers(-1000, 12_000), max_size=30), st.integers(0, 20))
def test_resuming_skips_only_what_is_not_later_than_what_was_seen(
    seen: int, times: list[int], rewind: int
) -> None:
    """The hazard itself: whatever is lost by a resume has a time of the last event or before it."""
    made = history()
    for time in times:
        made.append(b"{}", MAY_MS + time)
    last = list(made)[seen]
    start = assignment.start(made, Asked(STREAM, "/"))
    assert isinstance(start, Start)
    at = json.loads(assignment.sent(start.latest, last))
    at[0]["timestamp"] -= rewind
    again = assignment.start(made, Asked(STREAM, "/", json.dumps(at)))
    assert isinstance(again, Start)
    offset = again.positions[Place(EQIAD)]
    messages = [m for m in made if m.place.topic == EQIAD]
    assert all(m.timestamp <= last.timestamp - rewind for m in messages[:offset])


@given(st.text(max_size=40))
def test_any_text_is_a_date_or_none(text: str) -> None:
    assignment.date_parse(text)
