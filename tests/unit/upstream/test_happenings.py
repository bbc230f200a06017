"""What gets into the topics: every event of the stream once and unchanged, and beside it what was asked for."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collector.upstream import faults
from services.collector.upstream.happenings import Arrival, Pause, Put, Switch, happenings
from services.shared.decode import parse
from services.shared.domain.change import Canary, Rejected

EVENTS = [Arrival(b'{"n":%d}' % n, 1_700_000_000_000 + 137 * n) for n in range(300)]


def of(script: str, events: list[Arrival] | None = None, seed: int = 1) -> list[Put]:
    made = happenings(EVENTS if events is None else events, faults.parse(script), seed)
    return [happening for happening in made if isinstance(happening, Put)]


def added(script: str) -> list[Put]:
    return [put for put in of(script) if put.by]


@given(st.integers(0, 10_000), st.integers(0, 5))
def test_every_event_comes_through_once_in_order_whatever_the_faults(mix: int, seed: int) -> None:
    script = f"mix={mix} duplicate=7 garbage=9 nonobject=4 large=50,3kB reorder=3 burst=20"
    puts = of(script, seed=seed)
    assert [(put.raw, put.at_ms) for put in puts if not put.by] == EVENTS
    assert puts == of(script, seed=seed)


def test_without_faults_kafka_has_the_time_of_arrival() -> None:
    assert [(put.raw, put.timestamp) for put in of("")] == EVENTS


def test_a_burst_has_one_millisecond() -> None:
    times = [put.timestamp for put in of("burst=100,30,2")]
    arrived = [event.at_ms for event in EVENTS]
    assert times[99:129] == [arrived[99]] * 30
    assert times[199:229] == [arrived[199]] * 30
    assert times[:99] + times[129:199] == arrived[:99] + arrived[129:199]
    assert times[229:] == arrived[229:]


def test_rounding_gives_the_seconds_of_old() -> None:
    times = [put.timestamp for put in of("round=1s")]
    assert times == [event.at_ms // 1000 * 1000 for event in EVENTS]


def test_reordered_times_go_back_a_little() -> None:
    times = [put.timestamp for put in of("reorder=10,2s,5")]
    back = {
        n: a.at_ms - t for n, (a, t) in enumerate(zip(EVENTS, times, strict=True)) if a.at_ms != t
    }
    assert list(back) == [9, 19, 29, 39, 49]
    assert all(0 < ms < 2000 for ms in back.values())


def test_a_duplicate_is_an_earlier_event_as_a_new_message() -> None:
    puts = of("duplicate=20,10,3")
    assert len(puts) == 303
    assert [json.loads(put.raw)["n"] for put in puts if put.by] == [9, 29, 49]
    assert puts[20].timestamp == EVENTS[19].at_ms


def test_faults_happen_so_often_and_no_more() -> None:
    assert len(added("garbage=10,4 nonobject=10,5 large=100,9kB,1 canaries=50")) == 4 + 5 + 1 + 6


def test_canaries_are_the_upstreams_own() -> None:
    for put in added("canaries=50"):
        assert isinstance(parse(put.raw), Canary)
        assert json.loads(put.raw)["meta"]["domain"] == "canary"


@pytest.mark.parametrize(
    ("script", "reasons"),
    [
        ("garbage=3,100", {"not_json", "not_utf8"}),
        ("nonobject=3,100", {"not_object"}),
        ("large=100,2MB", {"too_large", "no_timestamp"}),
        ("large=100,9kB", {"no_timestamp"}),
    ],
)
def test_what_is_added_is_no_event_that_counts(script: str, reasons: set[str]) -> None:
    puts = added(script)
    parsed = [parse(put.raw) for put in puts]
    assert {p.reason for p in parsed if isinstance(p, Rejected)} <= reasons
    assert all(isinstance(p, Rejected) for p in parsed)
    assert len({put.raw for put in puts}) == len(puts), "each is another"


def test_a_large_event_has_as_many_bytes_as_asked_for() -> None:
    assert [len(put.raw) for put in added("large=100,2MB")] == [2_000_000] * 2


def test_pauses_and_switches_come_after_their_event() -> None:
    made = list(happenings(EVENTS[:60], faults.parse("pause=20,2s,2 switch=50,7"), 1))
    assert made[20] == Pause(2.0)
    assert made[41] == Pause(2.0)
    assert made[52] == Switch(7)
    assert len(made) == 63
