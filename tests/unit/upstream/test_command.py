"""`bvw simulate --serve` in a process of its own, as journeys and people start it."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from services.cli import simulate
from services.shared.domain import classes
from services.shared.runtime.exits import Exit, Refused
from tests.unit.upstream import wire

BVW = (sys.executable, "-m", "services.cli.main", "simulate")


@contextlib.contextmanager
def serving(*words: object) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The URL of the stream, and the process."""
    command = [*BVW, "--serve", ":0", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().decode().removesuffix("\n"), process
        finally:
            process.kill()


def stats(url: str) -> Any:
    at = urlsplit(url)
    with urlopen(f"http://{at.netloc}/_fake/stats", timeout=wire.PATIENCE) as response:
        return json.load(response)


async def test_the_stream_and_the_truth_about_it(tmp_path: Path) -> None:
    truth = tmp_path / "truth.json"
    words = ("--seed", 3, "--events", 600, "--truth", truth, "--faults", "garbage=50 duplicate=9")
    with serving(*words) as (url, process):
        assert url.endswith("/v2/stream/recentchange")
        told = json.loads(truth.read_text("utf-8"))
        client = await wire.Client.open(url, wire.STREAM + wire.SINCE)
        there = sum(stats(url)["history"]["topics"].values())
        assert there > 600
        events = await client.events(there)
        client.close()
        assert stats(url)["history"] | {"latest_ms": 0} == {
            "topics": stats(url)["history"]["topics"],
            "own": 600,
            "finished": True,
            "latest_ms": 0,
        }
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(wire.PATIENCE) == 0
        assert time.monotonic() - began < 5
        assert process.stdout is not None
        assert process.stdout.read() == b"", "one line is all"
    distinct = {}
    for event in events:
        with contextlib.suppress(ValueError):
            if "type" in event.json:
                distinct[event.json["meta"]["id"]] = event.json
    assert len(distinct) == told["distinct"]
    editors = [classes.editor_class(e.get("user", ""), bot=e["bot"]) for e in distinct.values()]
    counted = {name: editors.count(name) for name in set(editors)}
    assert told["changes"]["by_editor_class"] == counted
    assert told["faults"] == "garbage=50 duplicate=9"
    assert told["seed"] == 3


async def test_the_same_flags_give_the_same_stream() -> None:
    script = "burst=20 reorder=3 round=100ms duplicate=7 garbage=20 large=90,5kB canaries=30"

    async def read() -> bytes:
        with serving("--events", 200, "--faults", script) as (url, _):
            return (await wire.get(url, wire.STREAM + wire.SINCE, quiet=1.0)).body

    first = await read()
    assert len(first) > 200_000
    assert await read() == first


async def test_a_recording_at_a_pace(tmp_path: Path) -> None:
    recording = tmp_path / "made.jsonl"
    lines = [b'{"n":%d,"meta":{"dt":"2023-07-29T07:51:%02dZ"}}' % (n, n) for n in range(10)]
    recording.write_bytes(b"\n".join(lines))
    with serving("--recording", recording, "--pace", 20) as (url, _):
        client = await wire.Client.open(url)
        began = time.monotonic()
        events = await client.events(10)
        assert time.monotonic() - began > 0.4
        client.close()
    assert [event.json["n"] for event in events] == list(range(10))
    assert events[0].id[0]["timestamp"] == 1_690_617_060_001


def test_faults_can_be_read_from_a_file_and_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "bad evening.txt"
    script.write_text("status=503,1,none  # first\nagent\n", "utf-8")
    with serving("--events", 5, "--faults", f"@{script}") as (url, _):
        assert stats(url)["faults"] == {}
    simulate.command(faults="help")
    assert "cut=EVERY[,TIMES[,HOW]]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "says", "code"),
    [
        ({"faults": "cut=5"}, "go with --serve", Exit.USAGE),
        ({"pace": "1"}, "go with --serve", Exit.USAGE),
        ({"serve": "8080"}, "--serve: '8080' is not accepted; accepted: [HOST]:PORT", Exit.USAGE),
        ({"serve": ":http"}, "--serve", Exit.USAGE),
        ({"serve": ":70000"}, "--serve", Exit.USAGE),
        ({"serve": ":0", "pace": "fast"}, "--pace: 'fast'", Exit.CONFIGURATION),
        ({"serve": ":0", "pace": "0"}, "--pace: '0'", Exit.CONFIGURATION),
        ({"serve": ":0", "faults": "cute=5"}, "did you mean cut?", Exit.CONFIGURATION),
        ({"serve": ":0", "faults": "@nowhere"}, "--faults: cannot read nowhere", Exit.CONFIGURATION),
        ({"serve": ":0", "recording": Path("no.jsonl")}, "no such file", Exit.CONFIGURATION),
        (
            {"serve": ":0", "recording": Path("x"), "truth": Path("y")},
            "--truth: is known of simulated changes",
            Exit.USAGE,
        ),
        ({"serve": ":0", "truth": Path("/nowhere/at/all")}, "--truth: cannot write", Exit.CONFIGURATION),
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_refused_in_one_line(
    flags: dict[str, Any], says: str, code: Exit
) -> None:
    with pytest.raises(Refused) as refused:
        simulate.command(**({"events": 1} | flags))
    assert says in refused.value.message
    assert refused.value.code == code
    assert "\n" not in refused.value.message


def test_a_host_may_be_named() -> None:
    assert simulate._address(":80") == ("127.0.0.1", 80)
    assert simulate._address("0.0.0.0:80") == ("0.0.0.0", 80)
    assert simulate._address("[::1]:0") == ("::1", 0)


def test_a_stream_may_begin_now() -> None:
    assert abs(simulate._start_ms("now") / 1000 - time.time()) < 60
