"""The live stream against the fake of it: whatever it does, every event comes, and it is asked politely.

Waits are not waited for: the sleep that is handed in returns at once and remembers what it was told.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from services.collector.simulator.stream import Stream
from services.collector.source.pacing import SLOW, Pacing
from services.collector.source.port import Frame
from services.collector.source.sse import Options, Sse, unreachable
from services.collector.upstream import arrivals
from services.collector.upstream.happenings import Arrival
from services.collector.upstream.history import CODFW, EQIAD, History
from services.collector.upstream.serve import serving
from services.collector.upstream.upstream import Upstream
from services.shared.log.port import Gap
from services.shared.runtime.clock import Clock, ManualClock, SystemClock

START_MS = 1_790_000_000_000
EVENTS = 300
PATIENCE = 60.0


def begun(time_ms: int) -> str:
    """A cursor within the overlap of a stream that began then: all of it is read (again)."""
    eqiad = {"topic": EQIAD, "partition": 0, "timestamp": time_ms + 5_000}
    return json.dumps([eqiad, {"topic": CODFW, "partition": 0}])


@dataclass
class Reader:
    """A collector's way with a source: it keeps the cursor with what it has taken."""

    url: str
    cursor: str | None = begun(START_MS)
    clock: Clock = field(default_factory=SystemClock)
    watchdog: float = 5.0
    options: dict[str, Any] = field(default_factory=dict)
    payloads: list[bytes] = field(default_factory=list)
    cut: list[int] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def open(self) -> Sse:
        contact = self.options.pop("contact", "you@example.org")
        options = Options(self.url, contact, watchdog=self.watchdog, **self.options)
        pacing = Pacing(1.0, 60.0, _random=Random(1))
        self.source = Sse(options, self.clock, pacing=pacing, sleep=self._sleep)
        return self.source

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(0)

    async def read(self, enough: Callable[[], bool], *, frames: int | None = None) -> None:
        """Until there is enough; `frames`: the process dies after so many with something new in
        them, and another goes on.
        """
        async with asyncio.timeout(PATIENCE):
            while not enough():
                await self._live(enough, frames)

    async def _live(self, enough: Callable[[], bool], frames: int | None) -> None:
        coming = cast("AsyncGenerator[Frame, None]", self.open().frames(self.cursor))
        async with contextlib.aclosing(coming):
            count = 0
            async for frame in coming:
                count += bool(set(map(key, frame.payloads)) - self.keys())
                self.take(frame)
                if enough() or count == frames:
                    return

    def take(self, frame: Frame) -> None:
        self.payloads += frame.payloads
        self.cut += frame.cut.values()
        self.gaps += frame.gaps
        self.cursor = frame.cursor

    def keys(self) -> set[str]:
        return set(map(key, self.payloads))

    def has(self, upstream: Upstream) -> Callable[[], bool]:
        """Whether everything that the stream itself has is here."""

        def there() -> bool:
            return (
                upstream.feed is not None
                and upstream.feed.finished
                and not (own(upstream.history) - set(map(key, self.payloads)))
            )

        return there


def key(payload: bytes) -> str:
    """The event's own id, also of one that is cut; "" of what is no event."""
    found = re.match(rb'\{.{0,100}?"meta":\{.{0,400}?"id":"([^"]+)"', payload)
    return found[1].decode() if found else ""


def own(history: History) -> set[str]:
    return {key(message.data) for message in history if message.data is not None} - {""}


def simulated(events: int = EVENTS) -> Iterable[Arrival]:
    return arrivals.simulated(Stream(7, 20.0, START_MS), events)


FAULTS = [
    "",
    "cut=7,60",
    "cut=1,400",
    "cut=20ms,20,reset",
    "half=5,20",
    "burst=3,30 cut=5,60",
    "duplicate=5,8,40",
    "reorder=4,9s,60 cut=6,60",
    "status=429,3,1s status=503,2,date:1s",
    "refuse=3",
    "error=10,5",
    "encode=gzip cut=40,10",
    "encode=deflate,3 cut=40,10",
    "drip=3,0s,300ms",
    "heartbeats=50ms silence=40,200ms,3",
    "garbage=10 nonobject=15",
    "large=20,2MB,3",
    "canaries=5",
    "switch=60,30 canaries=9",
    "switch=60,30 cut=5,60",
    "notopic=1 cut=30,4",
    "round=1s reorder=5,3s,60 cut=3,200",
]  # fmt: skip


@pytest.mark.parametrize("script", FAULTS)
async def test_every_event_comes_whatever_the_upstream_does(script: str) -> None:
    async with serving(History(), script, arrivals=simulated(), seed=3) as upstream:
        reader = Reader(upstream.url)
        await reader.read(reader.has(upstream))
    assert reader.gaps == []
    assert len(reader.payloads) < 40 * EVENTS, "not in circles"


@pytest.mark.parametrize("number", range(6))
async def test_a_random_mix_with_deaths_in_between(number: int) -> None:
    seed = Random().randrange(1 << 20) + number
    print(f"mix={seed}")  # a failing test shows it
    script = f"mix={seed}"
    async with serving(History(), script, arrivals=simulated(), seed=seed) as upstream:
        reader = Reader(upstream.url)
        await reader.read(reader.has(upstream), frames=1 + seed % 9)
    # An answer that only a person can mend is asked again slowly, and so is what else there is.
    assert reader.gaps == []


@pytest.mark.parametrize("every", [1, 3, 7])
async def test_a_recording_with_times_in_seconds_is_read_whole_however_often_it_is_cut(
    recordings: Path, every: int
) -> None:
    path = recordings / "events-polars-guide-2023.jsonl.gz"
    read = await asyncio.to_thread(lambda: list(arrivals.recorded(path)))
    read.sort(key=lambda arrival: json.loads(arrival.raw)["meta"]["offset"])
    async with serving(History(), f"cut={every},100000,end", arrivals=read) as upstream:
        reader = Reader(upstream.url, cursor=begun(read[0].at_ms))
        await reader.read(reader.has(upstream))
        assert upstream.stats.connections < 500
    assert len(reader.keys()) == 100
    assert reader.gaps == []


async def test_a_first_start_begins_with_what_is_new() -> None:
    history = History()
    for number in range(5):
        history.append(b'{"meta":{"id":"old-%d"}}' % number, START_MS + number)
    async with serving(history) as upstream:
        reader = Reader(upstream.url, cursor=None)
        reading = asyncio.create_task(reader.read(lambda: len(reader.payloads) == 3))
        await open_streams(upstream, 1)
        for number in range(3):
            history.append(b'{"meta":{"id":"new-%d"}}' % number, START_MS + 10 + number)
        await reading
        (asked,) = upstream.stats.requests
    assert [key(payload) for payload in reader.payloads] == ["new-0", "new-1", "new-2"]
    assert (asked.last_event_id, asked.since) == (None, None)
    assert asked.user_agent is not None
    assert asked.user_agent.startswith("bots-vs-wiki/")
    assert "(you@example.org) aiohttp/" in asked.user_agent
    assert asked.accept == "text/event-stream"


async def test_since_is_never_sent_with_a_resume_point_and_all_topics_are_named() -> None:
    async with serving(History(), "cut=20,9 notopic=2", arrivals=simulated()) as upstream:
        reader = Reader(upstream.url)
        await reader.read(reader.has(upstream))
        asked = list(upstream.stats.requests)
    assert any(request.since for request in asked), "where its resume point is refused"
    assert not any(request.since and request.last_event_id for request in asked)
    for request in asked:
        if request.last_event_id:
            topics = {entry["topic"] for entry in json.loads(request.last_event_id)}
            assert topics == {EQIAD, CODFW}
            assert '"offset":-1' not in request.last_event_id


async def open_streams(upstream: Upstream, count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while len(upstream.audience) != count:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)


async def test_cuts_are_silent_and_waits_are_those_that_are_asked_for() -> None:
    with capture_logs() as logged:
        async with serving(History(), "cut=250,4,end", arrivals=simulated(1_000)) as upstream:
            reader = Reader(upstream.url)
            await reader.read(reader.has(upstream))
    assert [line for line in logged if line["log_level"] != "debug"] == []
    assert all(wait <= 1.0 for wait in reader.waits)

    script = "status=429,1,40s status=503,1,date:90s"
    with capture_logs() as logged:
        async with serving(
            History(), script, arrivals=simulated(), clock=(c := clock())
        ) as upstream:
            reader = Reader(upstream.url, clock=c)
            await reader.read(reader.has(upstream))
    assert reader.waits[0] == 40
    assert 88 <= reader.waits[1] <= 90
    assert [line["cause"] for line in logged] == ["http_429", "http_5xx"]


def clock() -> ManualClock:
    return ManualClock(START_MS / 1000)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("status=403,2", "HTTP 403"),
        ("status=404,2", "HTTP 404"),
        ("html=2", "'text/html'"),
        ("type=text/plain,2", "'text/plain'"),
        ("redirect=302,2", "HTTP 302 to"),
        ("agent", "HTTP 403"),
    ],
)
async def test_what_only_a_person_can_mend_is_said_and_asked_again_slowly(
    script: str, reason: str
) -> None:
    with capture_logs() as logged:
        async with serving(History(), script, arrivals=simulated()) as upstream:
            contact = "curl" if script == "agent" else "you@example.org"
            reader = Reader(upstream.url, options={"contact": contact})
            reading = asyncio.create_task(reader.read(reader.has(upstream)))
            async with asyncio.timeout(PATIENCE):
                while len(reader.waits) < 2:  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0.01)
            if script == "agent":
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
            else:
                await reading
    assert reader.waits[:2] == [SLOW, SLOW]
    (line,) = [line for line in logged if line["event"] == "stream_interrupted"]
    assert line["log_level"] == "error", "once, though it was refused twice"
    assert reason in line["reason"]
    assert "\n" not in line["reason"]


async def test_a_large_event_is_cut_and_its_size_is_told() -> None:
    async with serving(History(), "large=20,2MB,3", arrivals=simulated()) as upstream:
        reader = Reader(upstream.url, options={"largest": 10_000})
        await reader.read(reader.has(upstream))
    assert len(reader.cut) >= 3
    assert all(size >= 2_000_000 for size in reader.cut)
    assert max(map(len, reader.payloads)) == 10_001


async def test_a_dead_connection_is_left_after_the_watchdog_and_nothing_is_lost() -> None:
    script = "silence=50,30s,2"
    async with serving(History(), script, arrivals=simulated()) as upstream:
        reader = Reader(upstream.url, watchdog=0.3)
        await reader.read(reader.has(upstream))
        assert 3 <= upstream.stats.connections < 12
    assert reader.gaps == []


async def test_heartbeats_without_an_event_do_not_hold_a_connection_for_ever() -> None:
    async with serving(History(), "heartbeats=20ms", arrivals=simulated(5)) as upstream:
        reader = Reader(upstream.url, watchdog=0.1)
        await reader.read(lambda: upstream.stats.connections > 2)
        assert reader.gaps == []


@pytest.mark.parametrize("how", ["silent", "newer"])
async def test_a_resume_point_that_is_gone_is_a_gap(how: str) -> None:
    history = History()
    async with serving(history, f"expired={how},1h,1") as upstream:
        reader = Reader(upstream.url, cursor=None)
        await while_open(upstream, reader, put=lambda: put(history, 0, 1, 2), enough=3)
        put(history, 1_800_000)
        put(history, 3_900_000)  # BY an hour newer than the last one that was read
        new = lambda: put(history, 4_000_000)  # noqa: E731
        await while_open(upstream, reader, put=new, enough=4 if how == "silent" else 5)
    (gap,) = reader.gaps
    assert gap.since == START_MS + 3
    assert gap.until == START_MS + 1 + (4_000_000 if how == "silent" else 3_900_000)


async def test_an_outage_of_an_hour_is_no_gap_when_it_is_over() -> None:
    history = History()
    async with serving(history) as upstream:
        reader = Reader(upstream.url, cursor=None)
        await while_open(upstream, reader, put=lambda: put(history, 0), enough=1)
        put(history, 3_600_000)
        await reader.read(lambda: len(reader.keys()) == 2)
    assert reader.gaps == []


def put(history: History, *after_ms: int) -> None:
    for after in after_ms:
        history.append(b'{"meta":{"id":"%d"}}' % after, START_MS + after)


async def while_open(
    upstream: Upstream, reader: Reader, *, put: Callable[[], None], enough: int
) -> None:
    """The reader connects; once it has, `put` is done; then it reads until it has enough events."""
    reading = asyncio.create_task(reader.read(lambda: len(reader.keys()) >= enough))
    await open_streams(upstream, 1)
    put()
    await reading
    await open_streams(upstream, 0)


# What it says of itself


async def test_a_slow_consumer_holds_up_the_socket() -> None:
    big = Arrival(json.dumps({"meta": {"id": "x"}, "x": "y" * 50_000}).encode(), START_MS)
    async with serving(History(), arrivals=[big] * 2_000) as upstream:
        reader = Reader(upstream.url)
        frames = cast("AsyncGenerator[Frame, None]", reader.open().frames(reader.cursor))
        async with contextlib.aclosing(frames):
            await anext(frames)
            sent, earlier = -1, -2
            while sent != earlier:  # until the buffers on the way are full
                earlier = sent
                await asyncio.sleep(0.3)
                sent = upstream.stats.bytes
        assert sent < 20_000_000, "of a hundred megabytes"


async def test_canaries_are_missed_after_a_while_whether_connected_or_not() -> None:
    c, history = clock(), History()
    async with serving(history) as upstream:
        reader = Reader(upstream.url, cursor=None, clock=c, options={"canary_alarm": 1800})
        reading = asyncio.create_task(reader.read(lambda: len(reader.payloads) == 3))
        await open_streams(upstream, 1)
        c.advance(1799)
        assert not reader.source.report().canaries_missing
        c.advance(2)
        put(history, 1)
        await taken(reader, 1)
        report = reader.source.report()
        assert (report.state, report.canaries_missing) == ("connected", True)
        assert (report.last_canary_at, report.last_event_at) == (None, report.at)
        history.append(b'{"meta":{"id":"c","domain":"canary"}}', START_MS + 2)
        await taken(reader, 2)
        reader.source.canary_came()  # as the collector says, which has parsed it
        report = reader.source.report()
        assert not report.canaries_missing
        assert report.last_canary_at == report.at
        put(history, 3)
        await reading


async def taken(reader: Reader, count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while len(reader.payloads) < count:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)


async def test_the_report_tells_why_it_waits_and_until_when(unused_tcp_port: int) -> None:
    c = clock()
    reader = Reader(f"http://127.0.0.1:{unused_tcp_port}/v2/stream/recentchange", clock=c)
    asleep = asyncio.Event()

    async def sleep(seconds: float) -> None:
        reader.waits.append(seconds)
        asleep.set()
        await asyncio.Event().wait()

    source = reader.open()
    source._sleep = sleep
    coming = asyncio.ensure_future(anext(cast("AsyncGenerator[Frame, None]", source.frames(None))))
    async with asyncio.timeout(PATIENCE):
        await asleep.wait()
    report = source.report()
    assert report.state == "waiting"
    assert "cannot connect" in report.reason
    assert report.retry_at == report.at + round(reader.waits[0] * 1000)
    assert report.connections == 0
    coming.cancel()
    await asyncio.gather(coming, return_exceptions=True)


@pytest.mark.parametrize(
    ("script", "why"),
    [("", None), ("status=403", "HTTP 403"), ("status=503", "HTTP 503"), ("hang=20s", "no answer")],
)
async def test_whether_the_stream_can_be_had_is_known_soon(script: str, why: str | None) -> None:
    async with serving(History(), script) as upstream:
        options = Options(upstream.url, "you@example.org")
        told = await unreachable(options, SystemClock(), within=1.0)
    assert (told is None) if why is None else (told is not None and why in told)


async def test_its_name_is_its_url_so_that_two_streams_have_two_cursors() -> None:
    one, other = Reader("http://a/x").open(), Reader("http://b/x").open()
    assert one.name != other.name
    assert "http://a/x" in one.description
