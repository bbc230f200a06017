from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from services.shared.runtime import lifecycle, metrics
from services.shared.runtime.exits import Exit, Refused

PROGRAM = """
import asyncio, sys, time
from services.shared.runtime import lifecycle, logs

lifecycle.LIMIT = 0.5
logs.configure("info", "json", service="test")

async def graceful(stop):
    await stop.wait()
    print("drained", flush=True)

async def stubborn(stop):
    await asyncio.sleep(60)

async def stuck(stop):
    await stop.wait()
    await asyncio.to_thread(time.sleep, 60)

async def program(stop):
    async with lifecycle.Resources() as resources:
        async def close():
            print("closed", flush=True)
        resources.on_close("log", close)
        print("ready", flush=True)
        await lifecycle.side_by_side({sys.argv[1]: globals()[sys.argv[1]]}, stop)

lifecycle.main(program)
"""


async def _started(service: str) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, service, stdout=-1, stderr=-1
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_closes_and_ends_well(number: signal.Signals) -> None:
    process = await _started("graceful")
    process.send_signal(number)
    out, _ = await process.communicate()
    assert (process.returncode, out) == (Exit.OK, b"drained\nclosed\n")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, Exit.TERMINATED), (signal.SIGINT, Exit.INTERRUPTED)]
)
async def test_a_second_signal_ends_at_once(number: signal.Signals, code: Exit) -> None:
    process = await _started("stubborn")
    assert process.stderr is not None
    process.send_signal(signal.SIGTERM)
    assert b"stopping" in await process.stderr.readline()
    process.send_signal(number)
    _, err = await process.communicate()
    assert process.returncode == code
    assert err.endswith(b"bvw: stopped at once: a second signal\n")


async def test_a_shutdown_that_hangs_is_ended() -> None:
    process = await _started("stuck")
    process.send_signal(signal.SIGTERM)
    _, err = await process.communicate()
    assert process.returncode == Exit.TERMINATED
    assert err.endswith(b"the shutdown took too long\n")


async def test_services_run_until_all_have_ended() -> None:
    seen = []
    first_ended = asyncio.Event()

    async def first(_stop: asyncio.Event) -> None:
        seen.append("first")
        first_ended.set()

    async def second(_stop: asyncio.Event) -> None:
        await first_ended.wait()
        seen.append("second")

    await lifecycle.side_by_side({"first": first, "second": second}, asyncio.Event())
    assert seen == ["first", "second"]


async def test_a_failure_stops_the_others_in_order_and_is_the_outcome() -> None:
    drained = []

    async def failing(_stop: asyncio.Event) -> None:
        raise Refused("the port is taken")

    async def draining(stop: asyncio.Event) -> None:
        await stop.wait()
        drained.append(True)
        raise OSError("also failed")

    services = {"draining": draining, "failing": failing}
    with capture_logs() as logged, pytest.raises(Refused, match="the port is taken"):
        await lifecycle.side_by_side(services, asyncio.Event())
    assert drained
    assert [line["event"] for line in logged] == ["service_failed_too"]


async def test_what_does_not_drain_in_time_is_cancelled_and_said() -> None:
    cancelled = []

    async def stubborn(_stop: asyncio.Event) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(True)

    stop = asyncio.Event()
    stop.set()
    with capture_logs() as logged:
        await lifecycle.side_by_side({"speed": stubborn}, stop, drain=0.01)
    assert cancelled
    assert [(line["event"], line["service"]) for line in logged] == [
        ("service_not_drained", "speed")
    ]


async def test_resources_close_in_reverse_and_one_that_fails_stops_no_other() -> None:
    closed = []

    async def close(name: str) -> None:
        closed.append(name)
        if name == "view":
            raise OSError("cannot close")

    with capture_logs() as logged:
        async with lifecycle.Resources(close_within=0.01) as resources:
            resources.on_close("log", lambda: close("log"))
            resources.on_close("view", lambda: close("view"))
            resources.on_close("lake", asyncio.Event().wait)
            resources.on_close("cache", lambda: close("cache"))
    assert closed == ["cache", "view", "log"]
    assert [(line["event"], line["resource"]) for line in logged] == [
        ("close_too_slow", "lake"),
        ("close_failed", "view"),
    ]


async def test_what_fails_inside_still_closes_and_is_the_outcome() -> None:
    closed = asyncio.Event()

    async def close() -> None:
        closed.set()

    async def program() -> None:
        async with lifecycle.Resources() as resources:
            resources.on_close("log", close)
            raise Refused("no")

    with pytest.raises(Refused, match="no"):
        await program()
    assert closed.is_set()


async def test_a_resource_that_is_entered_is_left() -> None:
    left = []

    @contextlib.asynccontextmanager
    async def resource() -> AsyncIterator[str]:
        yield "entered"
        left.append(True)

    async with lifecycle.Resources() as resources:
        assert await resources.enter("log", resource()) == "entered"
        assert not left
    assert left


async def test_the_loops_lag_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = asyncio.Event()

    class Lag:
        def observe(self, seconds: float) -> None:
            assert seconds >= 0
            measured.set()

    monkeypatch.setattr(lifecycle, "_LAG_EVERY", 0.001)
    monkeypatch.setattr(metrics, "EVENT_LOOP_LAG", Lag())

    async def until_measured(_stop: asyncio.Event) -> None:
        await measured.wait()

    await lifecycle.side_by_side({"speed": until_measured}, asyncio.Event())


def test_main_returns_what_the_program_returns() -> None:
    async def program(_stop: asyncio.Event) -> int:
        return os.getpid()

    assert lifecycle.main(program) == os.getpid()
