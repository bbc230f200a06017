"""The live stream through the real command, against the fake of it, with every fault and with deaths.

The fake begins its stream when the first reader comes; what it has put into its topics is known exactly. At
the end everything is in the log, once in every answer, and the upstream was not asked more often than is
decent.
"""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from services.collector.upstream import faults
from tests.journeys import harness
from tests.journeys.harness import Running

CONTACT = "you@example.org"
EVENTS, RATE, PACE = 1_000, 50, 10
QUICK = (
    "--set", "reconnect_wait=200ms",
    "--set", "stream_watchdog=2s",
    "--set", "resume_overlap=2s",
    "--set", "batch_every=2s",
    "--set", "first_batch_after=1s",
)  # fmt: skip
FAULTS = {
    "cuts at any byte": "cut=60,12 half=40,4 error=90,2",
    "bursts and disorder": "burst=20,15 reorder=10,1s,40 duplicate=15,10,30 round=200ms cut=100,6",
    "refusals": "status=429,2,1s status=503,1,date:1s status=502,1,none refuse=2 hang=1s cut=300,5",
    "silence with the connection open": "silence=150,30s,2",
    "heartbeats only": "silence=150,30s,1 heartbeats=300ms",
    "garbage": "garbage=50,8 nonobject=60,6 large=300,2MB,2 cut=200,4",
    "slow and packed": "drip=300,1ms,1s encode=gzip cut=250,4",
    "a data-centre switch while away": "switch=400,60 canaries=50",
    "canaries only": "pause=500,4s canaries=500ms cut=1s,4",
}


STOPPING = {"html", "type", "redirect"}


@dataclass
class Fake:
    url: str
    truth: dict[str, Any]

    def stats(self) -> dict[str, Any]:
        root = self.url.partition("/v2/")[0]
        stats: dict[str, Any] = harness.get(root, "/_fake/stats")
        return stats

    def latest_ms(self) -> int:
        """The time of the newest event that there is; 0 before the first."""
        return self.stats()["history"]["latest_ms"] or 0

    def has_given_all(self) -> bool:
        stats = self.stats()
        return bool(stats["history"]["finished"] and stats["open"] and stats["behind"] == 0)


@contextmanager
def upstream(
    folder: Path, script: str, *, events: int = EVENTS, rate: float = RATE, pace: object = PACE
) -> Iterator[Fake]:
    """The fake in a process of its own, until it is not needed any more."""
    truth = folder / "truth.json"
    flags = ("--seed", 5, "--events", events, "--rate", rate, "--pace", pace, "--truth", truth)
    words = [*harness.COMMAND, "simulate", "--serve", "127.0.0.1:0", "--faults", script]
    process = subprocess.Popen([*words, *map(str, flags)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        yield Fake(url, json.loads(truth.read_text("utf-8")))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextmanager
def following(fake: Fake, data: Path, *more: object) -> Iterator[Running]:
    flags = ("--source", fake.url, "--data", data, *QUICK, *harness.ANY_PORT, *more)
    with harness.running("up", *flags, contact=CONTACT) as up:
        yield up


def follows_with_deaths(fake: Fake, data: Path, chance: random.Random) -> dict[str, Any]:
    """Reads the whole stream; dies meanwhile. The last status."""
    for _ in range(1 + (chance.random() < 0.3)):
        with following(fake, data) as up:
            url = up.url(data)
            # Before its first event it knows of no stream that it could lose something of.
            up.until(partial(_begun, url), "it has begun")
            time.sleep(chance.uniform(0, 2))  # any moment will do
            up.kill()
    with following(fake, data) as up:
        url = up.url(data)
        distinct = fake.truth["distinct"]
        up.until(lambda: _counted(url) >= distinct, f"it counts all {distinct} changes")
        status: dict[str, Any] = harness.get(url, "/v1/status")
        assert up.stop() == 0
    return status


def _begun(url: str) -> bool:
    return bool(harness.get(url, "/v1/status")["tallies"])


def _counted(url: str) -> int:
    span = {"start": "20260101", "end": "20260201", "granularity": "daily"}
    groups = harness.get(url, "/v1/share", by="type", allow="partial", **span)["groups"]
    return sum(group["edits"] for group in groups)


@pytest.mark.parametrize("name", FAULTS)
def test_nothing_is_lost_and_nothing_counted_twice(tmp_path: Path, name: str) -> None:
    chance, data = random.Random(name), tmp_path / "data"
    with upstream(tmp_path, FAULTS[name]) as fake:
        status = follows_with_deaths(fake, data, chance)
        stats = fake.stats()
    assert status["gaps"] == []
    assert harness.audit(data)["events"] == fake.truth["distinct"]
    assert stats["largest_rate"] <= 8, "at most a few connections a second, restarts among them"
    assert stats["connections"] < 120
    assert all(not (r["since"] and r["last_event_id"]) for r in stats["requests"])
    if name == "garbage":
        listed = harness.bvw("deadletters", "list", "--json", "--data", data).out
        reasons = {json.loads(line)["reason"] for line in listed.splitlines()}
        assert {"too_large", "not_object"} <= reasons


@pytest.mark.parametrize("turn", range(2))
def test_a_random_mix(tmp_path: Path, turn: int) -> None:
    seed = random.randrange(1 << 20)
    # What only a person can mend is asked again after minutes: not for a test to wait for.
    while any(word.partition("=")[0] in STOPPING for word in faults.drawn(seed).split()):
        seed += 1
    print(f"turn {turn}: mix={seed}")  # a failing test shows it
    data = tmp_path / "data"
    with upstream(tmp_path, f"mix={seed}") as fake:
        status = follows_with_deaths(fake, data, random.Random(seed))
    assert status["gaps"] == []
    assert harness.audit(data)["events"] == fake.truth["distinct"]


def test_a_resume_point_that_is_gone_is_a_gap_and_answers_over_it_are_partial(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    with upstream(tmp_path, "expired=newer,20s,1", rate=5) as fake:
        with following(fake, data) as up:
            up.until(partial(_begun, up.url(data)), "it has begun")
            up.kill()
        left = fake.latest_ms()
        # From then on the stream has what is 20 s newer than where it was left, but for the overlap.
        harness.until(lambda: fake.latest_ms() > left + 20_000, "the stream has gone on")
        # Connected a third time, it could ask for what a topic without a word has skipped.
        with following(fake, data, "--set", "stream_watchdog=10m") as up:
            url = up.url(data)
            (gap,) = up.until(lambda: harness.get(url, "/v1/status")["gaps"], "it has noticed")
            assert "later than where it had been left" in gap["reason"]
            up.until(fake.has_given_all, "it has read what there is")
            up.until(
                lambda: harness.get(url, "/v1/status")["caught_up"], "what it has read is visible"
            )
            share = harness.get(url, "/v1/share")
            assert share["meta"]["completeness"] == "partial"
            assert any(gap["since"] in reason for reason in share["meta"]["reasons"])
            assert up.stop() == 0
    # The audit proves the answers against what is stored, and says that they are partial.
    audit = harness.audit(data)
    assert 0 < audit["events"] < fake.truth["distinct"]


def test_a_refusal_is_told_and_not_hammered_at(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with upstream(tmp_path, "status=403,1000") as fake, following(fake, data) as up:
        url = up.url(data)

        def stopped() -> dict[str, Any] | None:
            stream = harness.get(url, "/v1/status")["stream"]
            return stream if stream and stream["state"] == "stopped" else None

        stream = up.until(stopped, "it says that it is refused")
        assert "HTTP 403" in stream["reason"]
        assert stream["retry_at"] > stream["told_at"]
        assert fake.stats()["connections"] == 1
        assert "HTTP 403" in up.said()
        assert up.stop() == 0


def test_without_a_contact_the_next_command_is_told(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with harness.running("up", "--data", data, *harness.ANY_PORT) as up:
        url = up.url(data)
        source = harness.get(url, "/v1/status")["source"]
        up.until(lambda: "make up CONTACT=you@example.org" in up.said(), "it is on the terminal")
        assert "make up CONTACT=you@example.org" in source["note"]
        assert source["kind"] == "simulated"
        up.kill()
    ended = harness.bvw("up", "--source", "live", "--data", tmp_path / "live", code=78)
    (line,) = ended.err.splitlines()
    assert "make up CONTACT=you@example.org" in line
    assert not (tmp_path / "live").exists()
