"""A directory that is copied while all of it is in use, and what dies while it is copied or moved."""

from __future__ import annotations

from pathlib import Path

from services.shared.runtime.exits import Exit
from tests.journeys import harness

OFTEN = ("--set", "batch_every=100ms", "--set", "first_batch_after=100ms")


def test_a_backup_under_load_is_restored_and_goes_on_to_the_whole_truth(tmp_path: Path) -> None:
    recording, truth = harness.simulate(tmp_path, 6_000)
    data, first, second = (tmp_path / name for name in ("data", "first", "second"))
    flags = ("--source", recording, "--speed", "1", *OFTEN, "--data", data, *harness.ANY_PORT)
    with harness.running("up", *flags) as up:
        url = up.url(data)
        up.until(lambda: harness.get(url, "/v1/status")["generation"] > 1, "some batch runs")
        harness.bvw("backup", first, "--data", data)
        before = harness.get(url, "/v1/status")["end"]
        up.until(lambda: harness.get(url, "/v1/status")["end"] != before, "it goes on")
        harness.bvw("backup", second, "--data", data, "--earlier", first)
        at = harness.get(url, "/v1/span")["meta"]["at"]
        assert up.stop() == 0
    harness.audit(data)
    counted = [_restored(kept) for kept in (first, second)]
    assert 0 < counted[0] < counted[1] < truth["distinct"]
    new = _place(second)
    harness.up(recording, new)
    assert harness.audit(new)["events"] == truth["distinct"]
    with harness.running("serve", "--data", new, *harness.ANY_PORT) as serving:
        status, _ = harness.ask(serving.url(new), "/v1/span", at=at)
        assert status == 410, "a token of the log that it was copied from means nothing here"


def _restored(kept: Path) -> int:
    """How many events a backup has, restored elsewhere."""
    harness.bvw("restore", kept, "--data", _place(kept))
    return int(harness.audit(_place(kept))["events"])


def _place(kept: Path) -> Path:
    return kept.with_name(f"restored from {kept.name}")


def test_a_copy_that_died_is_refused_and_made_whole_by_the_same_command(tmp_path: Path) -> None:
    recording, truth = harness.simulate(tmp_path, 300)
    data, kept, new = (tmp_path / name for name in ("data", "kept", "new"))
    harness.up(recording, data)
    for words, copy in (
        (("backup", kept, "--data", data), kept),
        (("restore", kept, "--data", new), new),
    ):
        harness.bvw(*words, crash_at="keeping.part-copied:2", code=Exit.CRASHED)
        ended = harness.up(recording, copy, code=Exit.CONFIGURATION)
        assert "the same command again goes on with it" in ended.err
        harness.bvw(*words)
    assert harness.audit(new)["events"] == truth["distinct"]


def test_a_moved_directory_survives_a_death_while_it_settles(tmp_path: Path) -> None:
    recording, truth = harness.simulate(tmp_path, 300)
    data, moved = tmp_path / "data", tmp_path / "moved"
    harness.up(recording, data)
    data.rename(moved)
    harness.bvw("migrate", "--data", moved, crash_at="lake.settling", code=Exit.CRASHED)
    ended = harness.bvw("batch", "run", "--data", moved, code=Exit.CONFIGURATION)
    assert "bvw migrate" in ended.err
    harness.bvw("migrate", "--data", moved)
    assert harness.audit(moved)["events"] == truth["distinct"]
