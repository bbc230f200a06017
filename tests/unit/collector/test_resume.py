"""Nothing is lost and nothing goes in circles, whatever the upstream's times and wherever it is cut.

The upstream is modelled by its rules (the service's own code): it answers a time with the first event at
that time or later, an offset with that offset, writes the time of the last event plus 1 ms into ids, and
repeats what it was asked for a topic until that topic's first event.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.collector.source.eventstream import Event
from services.collector.source.resume import Ask, Elsewhere, Outcome, Request, Resume
from services.shared.log.port import Gap
from services.shared.runtime.exits import Refused

EQIAD, CODFW = "eqiad.changes", "codfw.changes"
START = 1_790_000_000_000
OVERLAP = 10_000


def an_id(*entries: dict[str, Any]) -> bytes:
    """As the upstream writes it."""
    return json.dumps(entries, separators=(",", ":")).encode()


@dataclass
class Upstream:
    """Topics of (time, number); `shift` is what this cluster adds to offsets."""

    topics: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: {EQIAD: [], CODFW: []})
    shift: int = 100
    removed_before: int = 0

    def append(self, topic: str, time: int, number: int) -> None:
        self.topics[topic].append((time, number))

    def answer(self, request: Request) -> Iterator[Event]:
        """The events that follow, topic after topic; the state in ids as the service keeps it."""
        asked = json.loads(request.last_event_id) if request.last_event_id else []
        if request.since is not None:
            raise AssertionError("not asked in these tests")
        state = {entry["topic"]: entry for entry in asked} or {
            topic: {"topic": topic, "partition": 0, "offset": -1} for topic in self.topics
        }
        for topic, entry in list(state.items()):
            held = self.topics[topic]
            for index in range(self._first(topic, entry), len(held)):
                time, number = held[index]
                state[topic] = {"topic": topic, "partition": 0, "timestamp": time + 1}
                meta = {"topic": topic, "partition": 0, "offset": index + self.shift}
                payload = {"number": number, "meta": meta}
                yield Event(json.dumps(payload).encode(), an_id(*state.values()), b"message", 0)

    def _first(self, topic: str, entry: dict[str, Any]) -> int:
        held = self.topics[topic]
        if "timestamp" in entry:
            since = max(entry["timestamp"], self.removed_before)
            return next((i for i, (time, _) in enumerate(held) if time >= since), len(held))
        if entry["offset"] == -1:
            return len(held)
        index = entry["offset"] - self.shift
        return index if 0 <= index <= len(held) else len(held)


def number(event: Event) -> int:
    return int(json.loads(event.data)["number"])


@dataclass
class Reader:
    """Connects again and again, each time for some events, as `sse` does."""

    upstream: Upstream
    resume: Resume = field(default_factory=lambda: Resume(OVERLAP))
    taken: list[int] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    connections: int = 0

    def connect(self, most: int, piece: int = 3) -> Outcome:
        self.connections += 1
        events = [
            e
            for e, _ in zip(self.upstream.answer(self.resume.request()), range(most), strict=False)
        ]
        outcome = None
        if self.resume.ask is Ask.PROBE and events:
            self.resume.heard()
        else:
            try:
                for at in range(0, len(events), piece):
                    some = events[at : at + piece]
                    self.gaps += self.resume.take(some)
                    self.taken += map(number, some)
            except Elsewhere:
                outcome = Outcome.FAILED
        brought = outcome or self.resume.outcome
        self.resume.ended(outcome)
        return brought

    def killed(self) -> None:
        """The process dies; another goes on with what is stored."""
        self.resume = Resume.read(self.resume.cursor, OVERLAP)


def begun(upstream: Upstream) -> Reader:
    """A reader that has read everything so far, without interruption."""
    entries = [{"topic": topic, "partition": 0, "timestamp": 0} for topic in (EQIAD, CODFW)]
    held = upstream.topics[CODFW]
    asked = entries if held else [entries[0], {"topic": CODFW, "partition": 0, "offset": -1}]
    reader = Reader(upstream)
    reader.resume.request()
    events = list(upstream.answer(Request(last_event_id=json.dumps(asked))))
    reader.resume.take(events)
    reader.taken += map(number, events)
    reader.resume.ended()
    return reader


def read_on(reader: Reader, wanted: set[int], *, most: int = 1_000, turns: int = 10) -> None:
    for _ in range(turns):
        if wanted <= set(reader.taken):
            return
        reader.connect(most)
    assert wanted <= set(reader.taken), reader.resume.ask


CUTS = st.lists(st.integers(1, 8), min_size=1, max_size=12)
# Seconds, mostly in order, many the same: what production's ids have shown.
JUMPS = st.lists(st.integers(-4, 4), min_size=1, max_size=40)


@given(JUMPS, CUTS, st.integers(1, 4), st.sets(st.integers(0, 60)))
@settings(max_examples=300)
def test_every_event_comes_however_short_the_connections(
    jumps: list[int], cuts: list[int], piece: int, kills: set[int]
) -> None:
    upstream, time = Upstream(), START
    upstream.append(EQIAD, time, 0)
    reader = begun(upstream)
    for count, jump in enumerate(jumps, 1):
        time += jump * 1000
        upstream.append(EQIAD, time, count)
    wanted = set(range(len(jumps) + 1))
    while not wanted <= set(reader.taken):
        reader.connect(cuts[reader.connections % len(cuts)], piece)
        if reader.connections in kills:
            reader.killed()
        limit = 4 * len(jumps) + 4 * len(kills) + 8
        assert reader.connections <= limit, "it goes in circles"
    assert reader.gaps == []


@given(JUMPS, st.integers(1, 5), st.integers(-40, 40))
def test_another_cluster_with_other_offsets_loses_nothing(
    jumps: list[int], most: int, shift: int
) -> None:
    upstream, time = Upstream(), START
    for count in range(30):
        upstream.append(EQIAD, time + count * 500, count)
    reader = begun(upstream)
    reader.connect(most)  # on the way to asking by offset
    upstream.shift, time = 100 + shift, START + 15_000
    for count, jump in enumerate(jumps, 30):
        time += jump * 1000
        upstream.append(EQIAD, time, count)
    wanted = set(range(30 + len(jumps)))
    for _ in range(8 * len(wanted)):
        reader.connect(most)
    assert wanted <= set(reader.taken)


def test_a_data_centre_that_takes_over_while_nobody_listens_is_heard_of() -> None:
    upstream = Upstream()
    upstream.append(EQIAD, START, 0)
    reader = begun(upstream)
    upstream.append(EQIAD, START + 1_000, 1)
    for count in range(2, 9):
        upstream.append(CODFW, START + 1_000 + count, count)
    read_on(reader, set(range(9)))
    assert reader.gaps == []
    upstream.append(EQIAD, START + 90_000_000, 9)  # and back again, a day later
    upstream.append(CODFW, START + 90_000_001, 10)
    read_on(reader, set(range(11)))
    assert reader.gaps == [], "a topic that was idle and begins with its last event has no gap"


def test_the_cursor_never_goes_back() -> None:
    upstream = Upstream()
    for count, at in enumerate([0, 9_000, 3_000, 1_000]):
        upstream.append(EQIAD, START + at, count)
    reader = begun(upstream)
    (place, _) = json.loads(reader.resume.cursor)
    assert place["timestamp"] == START + 9_001
    asked = json.loads(reader.resume.request().last_event_id or "")
    assert asked == [
        {"topic": EQIAD, "partition": 0, "timestamp": START + 9_001 - OVERLAP - 1},
        {"topic": CODFW, "partition": 0, "timestamp": START + 9_001 - OVERLAP - 1},
    ], "all topics are named, and none is asked from its end"


def test_a_first_start_begins_now() -> None:
    upstream = Upstream()
    upstream.append(EQIAD, START, 0)
    reader = Reader(upstream)
    for _ in range(5):
        assert reader.resume.request() == Request()
        assert reader.connect(5) is Outcome.SILENT
        assert reader.resume.ask is Ask.BY_TIME, "there is nothing to probe for"


@pytest.mark.parametrize("later", [1, 5_000, 7_200_000])
def test_a_history_that_begins_too_late_is_a_gap(later: int) -> None:
    upstream = Upstream()
    upstream.append(EQIAD, START, 0)
    reader = begun(upstream)
    upstream.removed_before = START + 1
    upstream.append(EQIAD, START + later, 1)
    read_on(reader, {0, 1})
    assert [(gap.since, gap.until) for gap in reader.gaps] == [(START + 1, START + later + 1)]


def silent(reader: Reader) -> Request:
    request = reader.resume.request()
    reader.resume.ended()
    return request


def test_an_outage_costs_nothing_however_long() -> None:
    upstream = Upstream()
    upstream.append(EQIAD, START, 0)
    reader = begun(upstream)
    asked = [silent(reader) for _ in range(8)]
    assert [request.last_event_id is None for request in asked] == [False, True] * 4
    upstream.append(EQIAD, START + 3_600_000, 1)
    read_on(reader, {0, 1})
    assert reader.gaps == []


def test_a_resume_point_that_is_gone_is_left_only_when_others_hear_the_stream() -> None:
    upstream = Upstream()
    upstream.append(EQIAD, START, 0)
    reader = begun(upstream)
    resume = reader.resume
    later = Event(
        b"{}",
        json.dumps([{"topic": EQIAD, "partition": 0, "timestamp": START + 500_001}]).encode(),
        b"message",
        2,
    )
    assert silent(reader).last_event_id
    assert resume.request() == Request()
    assert resume.ask.name == "PROBE"
    resume.heard()  # not kept: it comes again, or the gap covers it
    resume.ended()
    assert json.loads(resume.cursor)[0]["timestamp"] == START + 1
    assert silent(reader).last_event_id, "asked once more: the outage may just have ended"
    since = resume.request()
    assert (since.last_event_id, since.since) == (None, "2026-09-21T14:13:10Z")
    resume.ended()
    assert resume.request() == Request()
    assert resume.ask.name == "LIVE"
    assert resume.take([later]) == [Gap(START + 1, START + 500_001, resume_reason())]
    resume.ended()
    assert resume.request().last_event_id


def resume_reason() -> str:
    from services.collector.source.resume import BEGUN_ANEW

    return BEGUN_ANEW


def test_a_refused_resume_point_is_asked_for_in_words_and_old_topics_are_forgotten() -> None:
    upstream = Upstream()
    upstream.append(EQIAD, START, 0)
    reader = begun(upstream)
    reader.resume.request()
    reader.resume.ended(Outcome.REFUSED)
    assert reader.resume.request().since
    renamed = json.dumps([{"topic": "new.changes", "partition": 0, "timestamp": START + 1}])
    assert reader.resume.take([Event(b"{}", renamed.encode(), b"message", 2)]) == []
    assert [place["topic"] for place in json.loads(reader.resume.cursor)] == ["new.changes"]


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"topic":"x"}', '[{"topic":1,"partition":0}]'])
def test_a_cursor_of_another_source_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="is not the stream's"):
        Resume.read(text, OVERLAP)


_times = st.integers(START - 20, START + 20) | st.sampled_from(
    [0, 1, 999_999_999_999, 4_102_444_799_999, 4_102_444_800_000, 9_999_999_999_999]
)
_entries = st.builds(
    lambda topic, time: (
        {"topic": topic, "partition": 0} | ({"offset": -1} if time is None else {"timestamp": time})
    ),
    st.sampled_from([EQIAD, CODFW]),
    st.none() | _times,
)
_ids = st.lists(_entries, max_size=3).map(lambda entries: an_id(*entries)) | st.sampled_from(
    [b"", b"?", an_id({"topic": EQIAD, "partition": 0, "timestamp": START}).replace(b"00", b"xx")]
)


@given(st.lists(_ids), st.lists(_ids, min_size=1), st.booleans())
def test_what_comes_together_counts_as_what_comes_one_by_one(
    before: list[bytes], ids: list[bytes], refused: bool
) -> None:
    def taken(sizes: int) -> tuple[list[tuple[str, int | None]], list[Gap]]:
        resume, gaps = Resume(OVERLAP), list[Gap]()
        for part in (before, ids):
            resume.request()
            events = [Event(b"{}", id_, b"message", 2) for id_ in part]
            for start in range(0, len(events), sizes):
                gaps += resume.take(events[start : start + sizes])
            resume.ended(Outcome.REFUSED if refused else None)
        places = json.loads(resume.cursor)
        return [(place["topic"], place.get("timestamp")) for place in places], gaps

    assert taken(1_000) == taken(1)


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_ids_and_payloads_of_any_bytes_do_no_harm(bodies: list[bytes]) -> None:
    resume = Resume(OVERLAP)
    for body in bodies:
        resume.request()
        assert resume.take([Event(body, body, b"message", len(body))]) == []
        resume.ended()
    assert Resume.read(resume.cursor, OVERLAP).cursor == resume.cursor


def test_an_id_of_a_stranger_can_not_grow_the_cursor_without_end() -> None:
    resume = Resume(OVERLAP)
    for start in range(0, 1_000, 50):
        entries = [
            {"topic": f"t{n}", "partition": 0, "timestamp": START} for n in range(start, start + 50)
        ]
        resume.take([Event(b"{}", json.dumps(entries).encode(), b"message", 2)])
    odd = [{"topic": "x\r\nHost: y", "partition": 0, "timestamp": START}]
    resume.take([Event(b"{}", json.dumps(odd).encode(), b"message", 2)])
    places = json.loads(resume.cursor)
    assert len(places) == 64
    assert "\n" not in (resume.request().last_event_id or "")
