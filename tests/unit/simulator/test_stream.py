"""The simulated stream: repeatable at any index, and as varied as the real one."""

from __future__ import annotations

import json
from itertools import islice, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collector.simulator.stream import LATE_TO_S, Simulated, Stream
from services.shared import decode
from services.shared.domain import classes
from services.shared.domain.change import Canary, Change

NOON = 1_767_614_400_000
RATE = 35.0
MANY = 20_000

REQUIRED = {
    "$schema", "meta", "type", "namespace", "title", "title_url", "comment", "timestamp", "bot",
    "server_url", "server_name", "server_script_path", "wiki", "parsedcomment",
}  # fmt: skip
MORE = {
    "edit": {"id", "notify_url", "minor", "length", "revision"},
    "new": {"id", "notify_url", "minor", "length", "revision"},
    "log": {"log_id", "log_type", "log_action", "log_action_comment"},
    "categorize": {"id", "notify_url"},
    "external": {"id"},
}
OPTIONAL = {"user", "patrolled", "log_params"}


@pytest.fixture(scope="module")
def arrivals() -> list[Simulated]:
    return list(islice(Stream(7, RATE, NOON), MANY))


@pytest.fixture(scope="module")
def events(arrivals: list[Simulated]) -> list[dict[str, Any]]:
    """The changes, copies left out."""
    return [json.loads(a.raw) for a in arrivals if a.facts is not None and a.copy_of is None]


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others() -> None:
    def run(seed: int) -> list[Simulated]:
        return list(islice(Stream(seed, RATE, NOON), 300))

    assert run(7) == run(7)
    assert {a.raw for a in run(7)}.isdisjoint(a.raw for a in run(8))


@given(st.lists(st.integers(0, MANY - 1), min_size=1, max_size=20))
def test_any_index_in_any_order_gives_what_an_unbroken_run_gives(
    arrivals: list[Simulated], indexes: list[int]
) -> None:
    stream = Stream(7, RATE, NOON)
    assert [stream.at(i) for i in indexes] == [arrivals[i] for i in indexes]


def test_ids_are_given_once_and_copies_have_that_of_their_original(
    arrivals: list[Simulated],
) -> None:
    ids = [json.loads(a.raw)["meta"]["id"] for a in arrivals]
    own = [of for of, a in zip(ids, arrivals, strict=True) if a.copy_of is None]
    assert len(set(own)) == len(own)
    assert all(ids[a.number] == ids[a.copy_of] for a in arrivals if a.copy_of is not None)


def test_copies_come_soon_and_minutes_later_alike_and_retried(arrivals: list[Simulated]) -> None:
    copies = [(a, arrivals[a.copy_of]) for a in arrivals if a.copy_of is not None]
    assert 0.005 < len(copies) / MANY < 0.015
    waits = [copy.at_ms - original.at_ms for copy, original in copies]
    assert min(waits) < 5_000
    assert max(waits) > 60_000
    same = sum(copy.raw == original.raw for copy, original in copies)
    assert len(copies) * 0.5 < same < len(copies)
    for copy, original in copies:
        assert decode.parse(copy.raw) == decode.parse(original.raw)


def test_copies_repeat_nothing_from_before_the_first_index() -> None:
    young = [a for seed in range(60) for a in islice(Stream(seed, RATE, NOON, first=500), 50)]
    assert any(a.copy_of is not None for a in young)
    assert all(a.copy_of is None or a.copy_of >= 500 for a in young)


def test_every_payload_is_understood_as_what_it_is(arrivals: list[Simulated]) -> None:
    for arrival in arrivals:
        parsed = decode.parse(arrival.raw)
        if arrival.facts is None:
            assert isinstance(parsed, Canary)
            continue
        assert isinstance(parsed, Change), parsed
        facts = arrival.facts
        told = (parsed.type, parsed.project, parsed.editor_class, parsed.title)
        assert told == (facts.type, facts.project, facts.editor_class, facts.title)


def test_fields_are_those_of_the_type(events: list[dict[str, Any]]) -> None:
    for event in events:
        expected = REQUIRED | MORE[event["type"]]
        if event.get("log_id") == 0:
            expected -= {"id"}
        assert expected <= event.keys() <= expected | OPTIONAL | {"id"}, event
        assert None not in event.values()
        assert event["server_url"] == f"https://{event['meta']['domain']}"
        assert event["server_name"] == event["meta"]["domain"]
        assert event["meta"]["uri"] == event["title_url"]
        if event["type"] in {"edit", "new"}:
            fields = {"old", "new"} if event["type"] == "edit" else {"new"}
            assert event["length"].keys() == event["revision"].keys() == fields
        if event["type"] == "categorize":
            assert event["namespace"] == 14
            assert "[[:" in event["comment"]


def test_canaries_have_nothing_but_schema_and_meta(arrivals: list[Simulated]) -> None:
    canaries = [json.loads(a.raw) for a in arrivals if a.facts is None]
    assert 2 < len(canaries) < 30
    assert all(canary.keys() == {"$schema", "meta"} for canary in canaries)
    assert all(canary["meta"]["domain"] == "canary" for canary in canaries)


def test_an_event_has_about_the_size_of_a_real_one(arrivals: list[Simulated]) -> None:
    assert 1_050 < sum(len(a.raw) for a in arrivals) / MANY < 1_300
    assert not any(b"\n" in a.raw for a in arrivals)


def test_proportions_are_about_the_real_ones(events: list[dict[str, Any]]) -> None:
    def share(of: str, *values: object) -> float:
        return sum(event.get(of) in values for event in events) / len(events)

    assert 0.4 < share("bot", True) < 0.55
    assert 0.2 < share("wiki", "wikidatawiki") < 0.4
    assert 0.15 < share("wiki", "commonswiki") < 0.35
    assert 0.1 < share("wiki", "enwiki") < 0.18
    assert 0.015 < share("wiki", "ptwiki") < 0.05
    assert len({event["wiki"] for event in events}) == 17
    assert 0.55 < share("type", "edit") < 0.75
    assert 0.12 < share("type", "categorize") < 0.3
    assert 0.03 < share("type", "log") < 0.1
    assert 0.02 < share("type", "new") < 0.08
    assert 0 < share("type", "external") < 0.003


def test_bots_and_humans_write_differently(events: list[dict[str, Any]]) -> None:
    edits = [event for event in events if event["type"] == "edit"]
    minor, size = {}, {}
    for bot in (True, False):
        of = [event for event in edits if event["bot"] is bot]
        minor[bot] = sum(event["minor"] for event in of) / len(of)
        size[bot] = sum(abs(e["length"]["new"] - e["length"]["old"]) for e in of) / len(of)
    assert minor[True] > 1.5 * minor[False]
    assert size[False] > 5 * size[True]


def test_every_kind_of_editor_is_there(arrivals: list[Simulated]) -> None:
    users: dict[str, set[str]] = {name: set() for name in classes.EDITOR_CLASSES}
    redacted = 0
    for arrival in arrivals:
        if arrival.facts:
            user = json.loads(arrival.raw).get("user")
            redacted += user is None
            users[arrival.facts.editor_class].add(user or "")
    anonymous = users[classes.ANONYMOUS]
    assert any(classes.is_address(user) and "." in user for user in anonymous)
    assert any(classes.is_address(user) and ":" in user for user in anonymous)
    assert any(user.startswith("~2026-") for user in anonymous)
    assert {"Abbot", "Talbot", "TidyUpBot"} <= users[classes.NAME_BOT]
    assert any("bot" not in user.lower() for user in users[classes.GROUP_BOT])
    assert users[classes.GROUP_BOT] & users[classes.NAME_BOT], "bots that forget their flag"
    assert 5 < redacted < 60


def test_logs_have_params_of_every_shape(events: list[dict[str, Any]]) -> None:
    logs = [event for event in events if event["type"] == "log"]
    shapes = {type(event.get("log_params")) for event in logs}
    assert shapes == {list, dict, str, type(None)}
    assert any(event.get("log_params") == [] for event in logs)
    patrols = [event["log_params"]["curid"] for event in logs if event["log_type"] == "patrol"]
    assert {type(curid) for curid in patrols} == {int, str}
    assert any(event["log_id"] == 0 and "id" not in event for event in logs)


def test_strangers_write_what_breaks_pages_and_spreadsheets(events: list[dict[str, Any]]) -> None:
    titles = "\n".join(event["title"] for event in events)
    comments = "\n".join(event["comment"] for event in events)
    assert "<script>" in titles
    assert "=HYPERLINK" in titles
    assert "\u202e" in titles
    assert "🤖" in titles
    assert '"' in comments
    assert "#WPWP" in comments
    assert "#1Lib1Ref" in comments
    parsed = "\n".join(event["parsedcomment"] for event in events)
    assert "<script" not in parsed
    assert "&lt;script&gt;" in parsed
    for first, last in ("一鿿", "؀ۿ", "Ѐӿ", "぀ヿ"):
        assert any(first <= letter <= last for letter in titles)


def test_events_are_late_and_out_of_order(arrivals: list[Simulated]) -> None:
    delays = []
    stamps = []
    for arrival in arrivals:
        if arrival.facts and arrival.copy_of is None:
            stamp = json.loads(arrival.raw)["timestamp"]
            delays.append((arrival.at_ms / 1000 - stamp, arrival.facts.late))
            stamps.append(stamp)
    assert all((delay > 119) is late for delay, late in delays)
    assert 20 < sum(late for _, late in delays) < 150
    assert max(delay for delay, _ in delays) > 6 * 3600
    assert min(delay for delay, _ in delays) >= 0
    assert max(delay for delay, _ in delays) <= LATE_TO_S + 1
    assert sum(a > b for a, b in pairwise(stamps)) > MANY / 100


def test_arrivals_never_go_back_and_keep_the_rate(arrivals: list[Simulated]) -> None:
    times = [arrival.at_ms for arrival in arrivals]
    assert times == sorted(times)
    assert times[0] >= NOON
    assert 25 < MANY / ((times[-1] - times[0]) / 1000) < 45


def test_pages_repeat_as_zipf_has_it(events: list[dict[str, Any]]) -> None:
    counts: dict[str, int] = {}
    for event in events:
        if event["wiki"] == "wikidatawiki" and event["namespace"] == 0:
            counts[event["title"]] = counts.get(event["title"], 0) + 1
    most = sorted(counts.values(), reverse=True)
    assert 20 < most[0] < sum(most) / 20
    assert sum(most[: len(most) // 5]) > sum(most) / 3
