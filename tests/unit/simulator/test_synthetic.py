"""The simulator as a source: history first, then real time, and on from where it stopped."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Any, cast

import pytest

from services.collector.source.port import Frame
from services.collector.source.synthetic import Synthetic
from services.shared.runtime.clock import ManualClock
from services.shared.runtime.exits import Refused

NOW = 1_767_700_000.0
LARGEST_FRAME = 1_000_000


def frames_of(source: Synthetic, cursor: str | None = None) -> AsyncGenerator[Frame, None]:
    return cast("AsyncGenerator[Frame, None]", source.frames(cursor))


async def take(source: Synthetic, count: int, cursor: str | None = None) -> list[Frame]:
    """The first frames until they hold `count` payloads."""
    frames: list[Frame] = []
    stream = frames_of(source, cursor)
    async with asyncio.timeout(20):
        async for frame in stream:
            frames.append(frame)
            if sum(len(f.payloads) for f in frames) >= count:
                break
    await stream.aclose()
    return frames


async def run(source: Synthetic, cursor: str | None = None) -> list[Frame]:
    return [frame async for frame in source.frames(cursor)]


async def until_quiet(
    stream: AsyncGenerator[Frame, None], now: float
) -> tuple[list[Frame], asyncio.Future[Frame]]:
    """What comes while the clock stands, and the wait for what comes after."""
    frames: list[Frame] = []
    async with asyncio.timeout(60):
        while not frames or arrived(frames[-1].payloads[-1]) < now - 30:
            frames.append(await anext(stream))
    waiting = asyncio.ensure_future(anext(stream))
    while (await asyncio.wait({waiting}, timeout=0.6))[0]:
        frames.append(waiting.result())
        waiting = asyncio.ensure_future(anext(stream))
    return frames, waiting


def payloads(frames: list[Frame]) -> list[bytes]:
    return [payload for frame in frames for payload in frame.payloads]


def arrived(payload: bytes) -> float:
    dt: str = json.loads(payload)["meta"]["dt"]
    return datetime.fromisoformat(dt).timestamp()


def limited(events: int = 1_000, now: float = NOW, **more: Any) -> Synthetic:
    return Synthetic(42, ManualClock(now), events=events, speed=None, **more)


async def test_a_limited_stream_gives_that_many_in_bounded_frames_and_ends() -> None:
    frames = await run(limited(1_234))
    assert len(payloads(frames)) == 1_234
    assert all(0 < sum(map(len, frame.payloads)) < LARGEST_FRAME for frame in frames)


async def test_every_cursor_goes_on_as_an_unbroken_run() -> None:
    frames = await run(limited())
    for at, frame in enumerate(frames):
        assert await run(limited(now=NOW + 60), frame.cursor) == frames[at + 1 :]


async def test_the_first_start_gives_the_last_hour_at_once_and_then_waits() -> None:
    clock = ManualClock(NOW)
    stream = frames_of(Synthetic(42, clock, rate=2))
    history, waiting = await until_quiet(stream, NOW)
    seen = payloads(history)
    assert NOW - 3_610 < arrived(seen[0]) < NOW - 3_590
    assert NOW - 10 < arrived(seen[-1]) <= NOW
    assert 2 * 3_600 * 0.75 < len(seen) < 2 * 3_600 * 1.3
    assert json.loads(history[-1].cursor)["index"] == len(seen)

    clock.advance(30)
    later = (await waiting).payloads
    assert len(later) > 10
    assert arrived(later[-1]) <= NOW + 30
    await stream.aclose()


async def test_a_short_pause_is_caught_up_without_repeating_an_id() -> None:
    before = await take(Synthetic(42, ManualClock(NOW), rate=5), 1_000)
    after = await take(Synthetic(42, ManualClock(NOW + 600), rate=5), 1_000, before[-1].cursor)
    unbroken = await take(Synthetic(42, ManualClock(NOW), rate=5), 2_000)
    assert payloads(before + after)[:2_000] == payloads(unbroken)[:2_000]


async def test_after_a_long_pause_only_the_last_hour_is_caught_up() -> None:
    a_month_later = NOW + 30 * 86_400
    before = await take(Synthetic(42, ManualClock(NOW)), 1_000)
    after = await take(Synthetic(42, ManualClock(a_month_later)), 1_000, before[-1].cursor)
    indexes = [json.loads(cursor)["index"] for cursor in (before[-1].cursor, after[0].cursor)]
    assert indexes[1] - indexes[0] == len(after[0].payloads)
    assert a_month_later - 3_610 < arrived(payloads(after)[0]) < a_month_later - 3_590
    ids = [{json.loads(raw)["meta"]["id"] for raw in payloads(f)} for f in (before, after)]
    assert not ids[0] & ids[1]


async def test_a_later_stretch_ends_at_the_clock_too() -> None:
    old = (await run(limited(3_000)))[-1].cursor
    source = Synthetic(42, ManualClock(NOW + 1e6), history_seconds=30)
    first = await take(source, 1, old)
    rest, waiting = await until_quiet(frames_of(source, first[-1].cursor), NOW + 1e6)
    assert NOW + 1e6 - 5 < arrived(payloads(first + rest)[-1]) <= NOW + 1e6
    waiting.cancel()


async def test_a_later_stretch_goes_on_as_an_unbroken_run_too() -> None:
    old = (await run(limited(400)))[-1].cursor
    stretch = await run(limited(1_000, NOW + 1e6), old)
    for at, frame in enumerate(stretch):
        assert await run(limited(1_000, NOW + 1e6 + 5), frame.cursor) == stretch[at + 1 :]


async def test_a_limited_stream_at_full_speed_lies_in_the_past() -> None:
    last = payloads(await run(limited(3_000, rate=0.5)))[-1]
    assert arrived(last) <= NOW


async def test_speed_is_how_fast_it_goes_on_after_the_history() -> None:
    clock = ManualClock(NOW)
    stream = frames_of(Synthetic(42, clock, rate=1, history_seconds=20, speed=100))
    last = arrived((await anext(stream)).payloads[-1])
    assert last <= NOW
    clock.advance(2)
    async with asyncio.timeout(10):
        while last < NOW + 150:
            last = arrived((await anext(stream)).payloads[-1])
    assert last <= NOW + 200
    await stream.aclose()


async def test_another_rate_goes_on_where_the_old_one_was() -> None:
    before = await take(Synthetic(42, ManualClock(NOW), rate=5), 600)
    after = await take(Synthetic(42, ManualClock(NOW), rate=50), 600, before[-1].cursor)
    seam = arrived(payloads(after)[0]) - arrived(payloads(before)[-1])
    assert 0 <= seam < 5
    assert json.loads(after[-1].cursor)["index"] == len(payloads(before + after))


async def test_it_can_be_cancelled_while_it_waits() -> None:
    stream = frames_of(Synthetic(42, ManualClock(NOW), rate=0.001, history_seconds=0))
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.wait({waiting}, timeout=0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


@pytest.mark.parametrize(
    "cursor",
    [
        "7",
        "not json",
        '{"seed":1,"rate":35.0,"start_ms":1,"first":0,"index":0}',
        '{"seed":42,"rate":35.0,"start_ms":1,"first":9,"index":3}',
    ],
)
async def test_a_cursor_of_something_else_is_refused(cursor: str) -> None:
    with pytest.raises(Refused, match="demo:42"):
        await anext(frames_of(limited(), cursor))


def test_its_name_is_its_seed() -> None:
    assert limited().name == "demo:42"
    assert limited(rate=7).name == "demo:42"
    assert "simulated" in limited().description
