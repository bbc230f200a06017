"""The services in processes of their own, over one data directory, and who may do what beside whom."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.journeys import harness
from tests.journeys.harness import Running

QUIET = ("--metrics-port", "0")
OFTEN = ("--set", "batch_every=1s", "--set", "first_batch_after=100ms")
Source = tuple[object, ...]
PACE = ("--speed", "10")  # of a stream of 35 a second
EVENTS = 30_000  # a minute and a half at that pace: no test here lives to see its end


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """Flags for a source that goes on and on."""
    recording, _ = harness.simulate(tmp_path_factory.mktemp("stream"), EVENTS)
    return ("--source", recording, *PACE)


@contextmanager
def services(data: Path, *source: object) -> Iterator[dict[str, Running]]:
    """collect, speed, batch and serve, each a process."""
    with ExitStack() as stack:

        def start(verb: str, *more: object) -> Running:
            return stack.enter_context(harness.running(verb, "--data", data, *QUIET, *more))

        started = {"collect": start("collect", *source)}
        harness.until((data / "log.sqlite").exists, "the collector has made the log")
        started |= {"speed": start("speed"), "batch": start("batch", *OFTEN)}
        started["serve"] = start("serve", "--port", "0")
        yield started


def test_each_service_alone_is_the_same_product(tmp_path: Path) -> None:
    recording, truth = harness.simulate(tmp_path, 6_000)
    data = tmp_path / "data"
    with services(data, "--source", recording) as started:
        url = started["serve"].url(data)
        assert started["collect"].wait() == 0, "it ends with its source"
        harness.audit(data)  # while speed and batch are under way

        def caught_up() -> bool:
            status = harness.get(url, "/v1/status")
            return bool(status["horizon"] == status["visible"] == status["end"])

        started["batch"].until(caught_up, "both layers have everything")
        assert harness.audit(data)["events"] == truth["distinct"]
        for name in ("speed", "batch", "serve"):
            assert started[name].stop() == 0, name


def test_any_service_may_die_and_come_back(tmp_path: Path, live: Source) -> None:
    data = tmp_path / "data"
    with services(data, *live) as started:
        url = started["serve"].url(data)
        for verb in ("speed", "batch", "collect"):
            started[verb].kill()
            more = {"batch": OFTEN, "collect": live}.get(verb, ())
            with harness.running(verb, "--data", data, *QUIET, *more) as again:
                before = harness.get(url, "/v1/status")
                again.until(partial(_moved, url, before, verb), f"{verb} goes on")
                assert again.stop() == 0
    with harness.running("serve", "--data", data, "--port", "0", *QUIET) as serving:
        serving.url(data)
        harness.audit(data)


def _moved(url: str, before: dict[str, Any], verb: str) -> bool:
    at = {"speed": "visible", "batch": "horizon", "collect": "end"}[verb]
    return bool(harness.get(url, "/v1/status")[at] != before[at])


def test_a_second_process_of_a_role_is_refused(tmp_path: Path, live: Source) -> None:
    data = tmp_path / "data"
    with harness.running("up", *live, "--data", data, *harness.ANY_PORT) as first:
        first.url(data)
        for verb, more in (("up", (*live, "--port", "0")), ("collect", live), ("speed", ())):
            ended = harness.bvw(verb, "--data", data, *more, *QUIET, code=75)
            (line,) = [said for said in ended.err.splitlines() if said.startswith("bvw:")]
            assert str(first.pid) in line, line
        assert first.alive


def test_a_batch_run_waits_for_another_or_is_told_not_to(tmp_path: Path) -> None:
    recording, _ = harness.simulate(tmp_path, 500)
    data = tmp_path / "data"
    harness.up(recording, data)
    with (data / "locks" / "batch.lock").open("a") as file:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)
        ended = harness.bvw("batch", "run", "--no-wait", "--data", data, code=75)
        assert len(ended.err.splitlines()) == 1
    assert json.loads(harness.bvw("batch", "run", "--json", "--data", data).out)["state"] == "done"


def test_a_taken_port_is_one_line_with_the_way_out(tmp_path: Path, live: Source) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = harness.bvw(
            "up", *live, "--data", tmp_path / "data", "--port", port, *QUIET, code=75
        )
    (line,) = [said for said in ended.err.splitlines() if said.startswith("bvw:")]
    assert str(port) in line
    assert "--port" in line


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_under_load_is_in_order(
    tmp_path: Path, live: Source, number: signal.Signals
) -> None:
    data = tmp_path / "data"
    answers: list[int] = []
    with harness.running("up", *live, *OFTEN, "--data", data, *harness.ANY_PORT) as up:
        url = up.url(data)
        up.until(lambda: harness.get(url, "/v1/status")["generation"] > 0, "a first batch run")
        asking = threading.Thread(target=_ask_until_gone, args=(url, answers))
        asking.start()
        up.until(lambda: len(answers) > 20, "it answers")
        os.kill(up.pid, number)
        assert up.wait(within=10) == 0
        asking.join(timeout=10)
    assert not asking.is_alive()
    assert set(answers) == {200}, "whoever was being answered got the answer"
    with harness.running("up", *live, "--data", data, *harness.ANY_PORT) as up:
        url = up.url(data)
        before = harness.get(url, "/v1/status")["end"]
        up.until(lambda: harness.get(url, "/v1/status")["end"] != before, "it goes on")
        assert up.stop() == 0
    harness.audit(data)


def _ask_until_gone(url: str, answers: list[int]) -> None:
    try:
        while True:
            answers.append(harness.ask(url, "/v1/share")[0])
    except OSError:
        return


def test_a_token_is_answered_alike_over_a_new_generation(tmp_path: Path, live: Source) -> None:
    data = tmp_path / "data"
    with harness.running("up", *live, *OFTEN, "--data", data, *harness.ANY_PORT) as up:
        url = up.url(data)
        up.until(lambda: harness.get(url, "/v1/share")["edits"] > 500, "some edits")
        first = harness.get(url, "/v1/share", start="20200101", end="20990101", granularity="daily")
        at = first["meta"]["at"]

        def superseded() -> bool:
            return bool(
                harness.get(url, "/v1/status")["generation"] > first["meta"]["generation"] + 1
            )

        up.until(superseded, "newer generations")
        again = harness.get(
            url, "/v1/share", start="20200101", end="20990101", granularity="daily", at=at
        )
        assert again == first
        now = harness.get(url, "/v1/share", start="20200101", end="20990101", granularity="daily")
        assert now["edits"] > first["edits"]


def test_a_token_that_is_gone_is_410(tmp_path: Path, live: Source) -> None:
    data = tmp_path / "data"
    gone = ("--set", "generation_keep=0s")
    with harness.running("up", *live, *OFTEN, *gone, "--data", data, *harness.ANY_PORT) as up:
        url = up.url(data)
        at = harness.get(url, "/v1/span")["meta"]["at"]
        up.until(lambda: harness.ask(url, "/v1/span", at=at)[0] == 410, "the token is gone")
        status, problem = harness.ask(url, "/v1/span", at=at)
        assert status == 410
        assert "at" in problem["detail"]
