"""Whatever a process dies of, nothing is lost and nothing counts twice.

A stream arrives at its own pace, with batch runs all the time, and at every named crash point the
process dies as under `kill -9`. The next one starts on what it has left, and dies at the next point.
What the last one answers is compared with a recount, and with the truth about the stream: a recount of
what is stored can't miss what never was stored.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import random
import sqlite3
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from services.batch.work import VERSION
from services.shared.log.embedded import SqliteLog
from services.shared.log.port import DeadLetter
from services.shared.runtime import crash
from services.shared.runtime.clock import SystemClock
from services.shared.runtime.exits import Exit
from tests.journeys import harness

SCENES = {
    "batch.renewed",
    "collector.replay-appended",
    "keeping.part-copied",
    "keeping.step-taken",
    "lake.ids-kept",
    "lake.in-sweep",
    "lake.settling",
    "speed.rebuild-begun",
}
"""Points that a stream alone does not lead to; each has its scene below, or with those who keep a directory."""
GROUPS = {
    "collecting and indexing": ("collector.", "speed."),
    "keeping and publishing": ("batchview.", "log."),
    "counting": ("batch.", "lake."),
}
OFTEN = ("--set", "batch_every=100ms", "--set", "first_batch_after=100ms")
LIVELY = ("--speed", "1", *OFTEN, *harness.ANY_PORT)
EVENTS, RATE = 3_000, 20  # 150 s of stream, of which each process sees a few
GARBAGE = 12
ROUNDS = 5
SHORT = (
    "--set", "dedupe_window=100ms",
    "--set", "log_retention_margin=0s",
    "--set", "generation_keep=0s",
)  # fmt: skip
"""Settings under which what was appended a second ago is old."""


class Stream(NamedTuple):
    recording: Path
    truth: dict[str, Any]

    @property
    def lines(self) -> int:
        return int(self.truth["events"]) + GARBAGE


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Stream:
    """A simulated stream with copies and late events, and lines in it that nobody understands."""
    folder = tmp_path_factory.mktemp("stream")
    recording, truth = harness.simulate(folder, EVENTS, rate=RATE)
    lines = gzip.decompress(recording.read_bytes()).splitlines(keepends=True)
    for number in range(GARBAGE):
        lines.insert(number * len(lines) // GARBAGE, b'{"broken": %d\n' % number)
    recording.write_bytes(gzip.compress(b"".join(lines)))
    return Stream(recording, truth)


def test_every_point_has_its_death() -> None:
    started = tuple(prefix for prefixes in GROUPS.values() for prefix in prefixes)
    assert set(crash.POINTS) >= SCENES
    assert [p for p in crash.POINTS if not p.startswith(started) and p not in SCENES] == []


@pytest.mark.parametrize("group", GROUPS)
def test_a_death_at_every_point(tmp_path: Path, stream: Stream, group: str) -> None:
    points = [point for point in crash.POINTS if point.startswith(GROUPS[group])]
    data = tmp_path / "data"
    for number, point in enumerate(point for point in points if point not in SCENES):
        # Every other one at its second pass, which is another table's or another run's.
        _dies(stream, data, f"{point}:{2 - number % 2}")
    assert_whole(stream, data)


def _dies(stream: Stream, data: Path, at: str) -> None:
    flags = ("--until-caught-up", "--source", stream.recording, "--data", data, *LIVELY)
    with harness.running("up", *flags, crash_at=at) as up:
        assert up.wait() == Exit.CRASHED, f"{at} was not passed: {up}"


def test_kill_at_any_moment(tmp_path: Path, stream: Stream) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # a failing test shows it
    chance = random.Random(seed)
    data = tmp_path / "data"
    for _ in range(ROUNDS):
        with harness.running("up", "--source", stream.recording, "--data", data, *LIVELY) as up:
            if chance.random() < 0.8:  # otherwise while it starts
                up.url(data)
            time.sleep(chance.uniform(0, 3))
            up.kill()
    assert_whole(stream, data)


def assert_whole(stream: Stream, data: Path) -> None:
    """All of the stream is there once, and so is each line that was not understood."""
    harness.up(stream.recording, data)
    assert harness.audit(data)["events"] == stream.truth["distinct"]
    letters = _letters(data)
    assert len(letters) == GARBAGE
    assert {letter["reason"] for letter in letters} == {"not_json"}
    with harness.running("serve", "--data", data, *harness.ANY_PORT) as serving:
        tallies = harness.get(serving.url(data), "/v1/status")["tallies"]
    assert tallies == {
        "received": stream.lines,
        "appended": stream.truth["events"],
        "canaries": stream.truth["canaries"],
        "rejected.not_json": GARBAGE,
    }


def _letters(data: Path) -> list[dict[str, Any]]:
    listed = harness.bvw("deadletters", "list", "--json", "--data", data).out
    return [json.loads(line) for line in listed.splitlines()]


def test_a_death_in_a_rebuild_and_in_a_replay(tmp_path: Path) -> None:
    data = tmp_path / "data"
    recording, truth = harness.simulate(tmp_path, 600)
    harness.up(recording, data)
    asyncio.run(_letter_of_an_older_version(data))

    rebuild = ("speed", "rebuild", "--data", data)
    harness.bvw(*rebuild, crash_at="speed.rebuild-begun", code=Exit.CRASHED)
    replay = ("deadletters", "replay", "--all", "--data", data)
    harness.bvw(*replay, crash_at="collector.replay-appended", code=Exit.CRASHED)
    harness.bvw(*replay)
    assert _letters(data) == []
    harness.up(recording, data)
    audit = harness.audit(data)
    assert audit["events"] == truth["distinct"] + 1
    assert audit["copies"] == truth["duplicates"] + 1, "it was replayed twice, and counts once"


async def _letter_of_an_older_version(data: Path) -> None:
    """A dead letter that this version understands."""
    event = {
        "meta": {"id": "understood-now", "domain": "pt.wikipedia.org"}, "wiki": "ptwiki",
        "type": "edit", "timestamp": 1_767_614_400, "namespace": 0, "title": "T", "user": "U",
    }  # fmt: skip
    letter = DeadLetter("f" * 64, json.dumps(event).encode(), "bad_field", "", "source", "cursor")
    log = await SqliteLog.open(data / "log.sqlite", clock=SystemClock())
    await log.append([], deadletters=[letter])
    await log.close()


def test_a_death_after_an_update(tmp_path: Path) -> None:
    """Another version has counted all of it: a run counts it again, and dies before it says so."""
    data = tmp_path / "data"
    recording, truth = harness.simulate(tmp_path, 600)
    harness.up(recording, data)
    with contextlib.closing(sqlite3.connect(data / "batch.sqlite")) as view, view:
        earlier = f'replace(CAST(body AS TEXT), \'"version":"{VERSION}"\', \'"version":"0.0"\')'
        view.execute(f"UPDATE generations SET body = CAST({earlier} AS BLOB)")
    run = ("batch", "run", "--json", "--data", data)
    harness.bvw(*run, crash_at="batch.renewed", code=Exit.CRASHED)
    for state in ("done", "skipped"):
        steps = harness.bvw(*run).json()["steps"]
        assert {step["name"]: step["state"] for step in steps}["renew"] == state
    assert harness.audit(data)["events"] == truth["distinct"]


def test_a_death_while_old_days_leave_the_lake(tmp_path: Path) -> None:
    data = tmp_path / "data"
    recording, truth = harness.simulate(tmp_path, 600, rate=0.004)  # not quite two days
    # The first days are appended by one process, the last by another that comes later.
    harness.up(recording, data, *SHORT, crash_at="collector.after-append", code=Exit.CRASHED)
    harness.up(recording, data, *SHORT)
    trim = ("collect", "--source", recording, "--data", data, "--metrics-port", "0", *SHORT)
    harness.bvw(*trim)

    run = ("batch", "run", "--data", data, "--set", "disk_budget=1", *SHORT)
    harness.bvw(*run, crash_at="lake.ids-kept", code=Exit.CRASHED)
    harness.bvw(*run)
    lost = _lost_long_ago(data)
    harness.bvw(*run, crash_at="lake.in-sweep", code=Exit.CRASHED)
    assert 0 < sum(path.exists() for path in lost) < len(lost)
    harness.bvw(*run)
    assert not any(path.exists() for path in lost)

    audit = harness.audit(data)
    assert audit["days_not_recounted"]
    assert 0 < audit["events"] < truth["distinct"]
    with harness.running("serve", "--data", data, *harness.ANY_PORT) as serving:
        span = {"start": "20260101", "end": "20260201"}
        types = harness.get(serving.url(data), "/v1/share", by="type", **span)["groups"]
    counted = {group["name"]: group["edits"] for group in types if group["edits"]}
    assert counted == truth["changes"]["by_type"]


def _lost_long_ago(data: Path) -> list[Path]:
    """The lake's files that nothing refers to, as if they had been found an hour ago."""
    noted = data / "lake" / "condemned.json"
    since = json.loads(noted.read_bytes())
    noted.write_text(json.dumps({place: at - 3_600_000 for place, at in since.items()}))
    return [data / "lake" / place for place in since]
