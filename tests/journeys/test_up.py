"""`bvw up` from nothing to the proof: over every recording, and over a stream whose truth is known."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.journeys import harness

RECORDED = "events-wikiticker-2015.jsonl.gz"
BOTS = {"group-bot", "name-bot"}


def distinct(recording: Path) -> dict[str, dict[str, Any]]:
    """Id → event, the first copy of each that is no canary; by these few lines alone."""
    found: dict[str, dict[str, Any]] = {}
    with gzip.open(recording) as lines:
        for event in map(json.loads, lines):
            if event["meta"]["domain"] != "canary":
                found.setdefault(event["meta"]["id"], event)
    return found


def test_the_recording_whole_with_default_settings(recordings: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    harness.up(recordings / RECORDED, data)
    harness.up(recordings / RECORDED, data)  # a second time adds nothing
    events = distinct(recordings / RECORDED)
    result = harness.audit(data)
    assert result["events"] == len(events)
    assert result["cells"] > 10_000

    with harness.running("serve", "--data", data, *harness.ANY_PORT) as serving:
        url = serving.url(data)
        share = harness.get(url, "/v1/share", granularity="hourly")
        edits = [event for event in events.values() if event["type"] in {"edit", "new"}]
        assert share["edits"] == len(edits)
        flagged = next(group for group in share["groups"] if group["name"] == "group-bot")
        assert flagged["edits"] == sum(event["bot"] for event in edits)
        hours = [step for step in share["course"] if sum(step["edits"].values()) > 0]
        assert len(hours) >= 12, "the chart is not empty"
        assert harness.get(url, "/v1/words/top", editor_type="humans")["words"]

        status = harness.get(url, "/v1/status")
        assert status["caught_up"]
        assert status["horizon"] == status["visible"] == status["end"]
        with gzip.open(recordings / RECORDED) as lines:
            assert status["tallies"]["received"] == sum(1 for _ in lines)
        assert serving.stop() == 0


@pytest.mark.parametrize("number", range(3))
def test_every_other_recording(recordings: Path, tmp_path: Path, number: int) -> None:
    others = sorted(set(recordings.glob("events-*.jsonl.gz")) - {recordings / RECORDED})
    if number >= len(others):
        pytest.skip("no further recording")
    harness.up(others[number], tmp_path / "data")
    assert harness.audit(tmp_path / "data")["events"] == len(distinct(others[number]))


def test_a_folder_of_recordings_is_one_source(tmp_path: Path) -> None:
    for seed in (1, 2):
        harness.simulate(tmp_path, 300, seed=seed)
    folder = tmp_path / "folder"
    folder.mkdir()
    for made in tmp_path.glob("simulated-*.jsonl.gz"):
        made.rename(folder / made.name)
    harness.up(folder, tmp_path / "data")
    counted = {key for made in folder.iterdir() for key in distinct(made)}
    assert harness.audit(tmp_path / "data")["events"] == len(counted)


def test_the_truth_about_a_simulated_stream(tmp_path: Path) -> None:
    recording, truth = harness.simulate(tmp_path, 4_000)
    data = tmp_path / "data"
    harness.up(recording, data)
    assert harness.audit(data)["events"] == truth["distinct"]

    with harness.running("serve", "--data", data, *harness.ANY_PORT) as serving:
        url = serving.url(data)
        types = "edit,new,log,categorize,external"
        span = {"start": "20260101", "end": "20260201"}
        classes = harness.get(url, "/v1/share", type=types, **span)["groups"]
        assert {g["name"]: g["edits"] for g in classes} == truth["changes"]["by_editor_class"]
        kinds = harness.get(url, "/v1/share", by="type", **span)["groups"]
        assert {g["name"]: g["edits"] for g in kinds} == {"other": 0} | truth["changes"]["by_type"]
        for project, by_class in truth["edits"]["by_project_and_editor_class"].items():
            bots = harness.get(
                url,
                f"/metrics/edits/aggregate/{project}/bots/all-page-types/monthly/20260101/20260201",
            )
            (result,) = bots["items"][0]["results"]
            assert result["edits"] == sum(by_class.get(name, 0) for name in BOTS), project
        assert harness.get(url, "/v1/status")["tallies"]["canaries"] == truth["canaries"]


def test_the_demo_ends_where_it_is_told_to(tmp_path: Path) -> None:
    data = tmp_path / "data"
    ended = harness.up("demo", data, "--events", "3000")
    assert "Bots vs Wiki: http://" in ended.out
    assert "made up" in ended.out, "a newcomer is told that this is not Wikipedia"
    assert all(isinstance(json.loads(line), dict) for line in ended.err.splitlines())
    assert 2_500 < harness.audit(data)["events"] <= 3_000


def test_the_demo_needs_an_end_to_catch_up_with(tmp_path: Path) -> None:
    ended = harness.up("demo", tmp_path / "data", code=78)
    assert "--events" in ended.err
    assert len(ended.err.splitlines()) == 1


def test_a_directory_of_another_source_is_refused(tmp_path: Path) -> None:
    first, _ = harness.simulate(tmp_path, 50, seed=1)
    second, _ = harness.simulate(tmp_path, 50, seed=2)
    harness.up(first, tmp_path / "data")
    ended = harness.up(second, tmp_path / "data", code=78)
    (line,) = ended.err.splitlines()
    assert str(first) in line
    assert "--data" in line
