"""How the topics fill: at once or at a pace, with pauses, canaries, and a change of the data centre."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import zlib
from pathlib import Path

import pytest

from services.collector.upstream import arrivals, serve
from services.collector.upstream.happenings import Arrival
from services.collector.upstream.history import CODFW, EQIAD, History, Place
from services.collector.upstream.serve import serving
from services.collector.upstream.upstream import Upstream
from services.shared.runtime.exits import Refused
from tests.unit.upstream import wire

BEGIN_MS = 1_700_000_000_000
ALL = wire.STREAM + wire.SINCE


def events(count: int, apart_ms: int = 100) -> list[Arrival]:
    return [Arrival(b'{"n":%d}' % n, BEGIN_MS + apart_ms * n) for n in range(count)]


def numbers(some: list[wire.Event]) -> list[int]:
    return [event.json["n"] for event in some if "n" in event.json]


async def test_all_at_once_is_there_before_the_first_reader() -> None:
    async with serving(History(), arrivals=events(500)) as upstream:
        assert upstream.as_json()["history"]["finished"]
        answered = await wire.get(upstream.address, ALL, events=500)
    assert numbers(answered.events) == list(range(500))


async def test_a_pace_begins_with_the_first_reader_and_keeps_distances() -> None:
    loop = asyncio.get_running_loop()
    async with serving(History(), arrivals=events(11), pace=2.0) as upstream:
        await asyncio.sleep(0.1)
        assert len(upstream.history) == 0
        client = await wire.Client.open(upstream.address)
        began = loop.time()
        assert numbers(await client.events(11)) == list(range(11))
        assert loop.time() - began > 0.45, "ten times a tenth of a second, twice as fast"
        client.close()


async def test_a_pause_with_canaries_is_canaries_only() -> None:
    script = "pause=5,2s canaries=50ms,4"
    async with serving(History(), script, arrivals=events(10)) as upstream:
        client = await wire.Client.open(upstream.address, ALL)
        assert numbers(await client.events(5)) == list(range(5))
        canaries = await client.events(4)
        assert {event.json["meta"]["domain"] for event in canaries} == {"canary"}
        assert upstream.as_json()["history"] | {"topics": 0, "latest_ms": 0} == {
            "own": 5, "finished": False, "topics": 0, "latest_ms": 0,
        }  # fmt: skip
        assert numbers(await client.events(5)) == list(range(5, 10))
        client.close()
        assert upstream.as_json()["faults"] == {"pause": 1, "canaries": 4}


async def test_canaries_go_on_after_the_last_event_and_take_time_with_them() -> None:
    async with serving(History(), "canaries=30ms", arrivals=events(3)) as upstream:
        client = await wire.Client.open(upstream.address, ALL)
        *_, first, second, third = await client.events(6)
        client.close()
    times = [event.id[0]["timestamp"] for event in (first, second, third)]
    assert times == sorted(set(times)), "the stream's time goes on"
    assert len({event.json["meta"]["id"] for event in (first, second, third)}) == 3


async def test_after_a_switch_events_go_on_in_the_other_topic() -> None:
    """All at once up to there; the others while those who had all of it are away."""
    async with serving(History(), "switch=10,5", arrivals=events(30)) as upstream:
        client = await wire.Client.open(upstream.address, ALL)
        before = await client.events(30)
        client.close()
        naive = await wire.get(upstream.address, Last_Event_ID=json.dumps(before[-1].id))
        careful = await wire.get(upstream.address, Last_Event_ID=both_at(before[-1]))
    assert numbers(before) == list(range(10)), "cut off"
    assert numbers(naive.events) == [], "`offset: -1` is from now on"
    assert numbers(careful.events) == list(range(10, 30))
    assert [upstream.history.end(Place(topic)) for topic in (EQIAD, CODFW)] == [10, 20]


def both_at(event: wire.Event) -> str:
    """The id of an event, with its time for the topic of which there was nothing."""
    at = max(place.get("timestamp", 0) for place in event.id)
    return json.dumps([{"topic": t, "partition": 0, "timestamp": at} for t in (EQIAD, CODFW)])


async def test_a_live_reader_that_takes_the_id_as_it_is_loses_what_it_was_kept_away_from() -> None:
    script, made = "switch=10,5", events(30, apart_ms=10)
    async with serving(History(), script, arrivals=made, pace=1.0) as upstream:
        client = await wire.Client.open(upstream.address)
        before = await client.events(30)
        client.close()
        naive = await wire.Client.open(upstream.address, Last_Event_ID=json.dumps(before[-1].id))
        await naive.until(lambda a: b'"n":29,' in a.body)
        careful = await wire.get(upstream.address, Last_Event_ID=both_at(before[-1]))
        assert numbers(before) == list(range(10))
        assert numbers(careful.events) == list(range(10, 30))
        lost = set(range(30)) - {*numbers(before), *numbers(await naive.events(30, quiet=0.1))}
        assert lost >= set(range(10, 15))
        naive.close()


async def test_a_stream_that_ends_while_all_are_away_lets_them_in_again() -> None:
    async with serving(History(), "switch=10,500", arrivals=events(12)) as upstream:
        client = await wire.Client.open(upstream.address, ALL)
        assert len(await client.events(99)) == 10
        client.close()
        assert len((await wire.get(upstream.address, ALL)).events) == 12


def recording(folder: Path, lines: list[bytes], *, cut: int = 0) -> Path:
    path = folder / "made.jsonl.gz"
    packed = gzip.compress(b"\n".join(lines))
    path.write_bytes(packed[: len(packed) - cut])
    return path


def test_a_recording_has_the_time_at_which_it_was_received(tmp_path: Path) -> None:
    lines = [
        b'{"meta":{"dt":"2023-07-29T07:51:39Z"}}',
        b'{"meta":{"dt":"2023-07-29T07:51:39.123Z"}}',
        b"no event",
        b'{"meta":{"dt":"2023-07-29T09:51:40+02:00"}}',
        b'{"meta":{"dt":17}}',
        b'{"meta":{}}',
    ]
    read = list(arrivals.recorded(recording(tmp_path, lines)))
    assert [arrival.raw for arrival in read] == lines
    second = 1_690_617_099_000
    assert [arrival.at_ms - second for arrival in read] == [0, 123, 123, 1000, 1000, 1000]
    assert len(list(arrivals.recorded(recording(tmp_path, lines), 2))) == 2


async def test_a_damaged_recording_is_refused_before_or_while_it_is_served(tmp_path: Path) -> None:
    lines = [b'{"n":%d,"meta":{"dt":"2023-07-29T07:51:39Z"}}' % n for n in range(5000)]
    damaged = await asyncio.to_thread(recording, tmp_path, lines, cut=500)

    async def read(pace: float | None) -> None:
        found = await asyncio.to_thread(arrivals.recorded, damaged)
        async with serving(History(), arrivals=found, pace=pace) as upstream:
            client = await wire.Client.open(upstream.address)
            try:
                assert upstream.fed
                await upstream.fed
            finally:
                client.close()

    for pace in (None, 1.0):
        with pytest.raises(Refused, match="damaged or cut off"):
            await read(pace)


async def test_a_stop_while_the_history_is_being_filled_ends_it() -> None:
    endless = (Arrival(b"{}", BEGIN_MS + n) for n in itertools.count())
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.1, stop.set)
    told: list[str] = []
    async with asyncio.timeout(wire.PATIENCE):
        await serve.run(stop, serving(History(), arrivals=endless), told.append)
    assert not told


class Careful:
    """A client as a client has to be: goes back by some seconds, knows what it has seen, never gives up."""

    rewind_ms = 5_000

    def __init__(self, upstream: Upstream, wanted: set[str]) -> None:
        self._upstream = upstream
        self._missing = set(wanted)
        self._latest = 0

    async def collect(self) -> None:
        async with asyncio.timeout(wire.PATIENCE):
            while self._missing:
                await self._connect()
                await asyncio.sleep(0.01)

    async def _connect(self) -> None:
        at = max(0, self._latest - self.rewind_ms)
        resume = [{"topic": topic, "partition": 0, "timestamp": at} for topic in (EQIAD, CODFW)]
        answered = await wire.get(
            self._upstream.address, within=1.5, Last_Event_ID=json.dumps(resume)
        )
        if not answered.head.endswith(b"\r\n\r\n") or answered.status != 200:
            return
        for event in answered._replace(body=unpacked(answered)).events:
            self._latest = max(self._latest, *(at.get("timestamp", 0) for at in event.id))
            self._take(event.data)

    def _take(self, data: bytes) -> None:
        try:
            self._missing.discard(json.loads(data)["meta"]["id"])
        except (ValueError, TypeError, LookupError):
            return


def unpacked(answered: wire.Answered) -> bytes:
    if "content-encoding" not in answered.headers:
        return answered.body
    return zlib.decompressobj(wbits=47).decompress(answered.body)


@pytest.mark.parametrize("mix", range(12))
async def test_whatever_the_mix_a_careful_client_gets_everything(
    made: list[Arrival], mix: int
) -> None:
    async with serving(History(), f"mix={mix}", arrivals=made, seed=mix) as upstream:
        wanted = {json.loads(arrival.raw)["meta"]["id"] for arrival in made}
        await Careful(upstream, wanted).collect()
        assert upstream.as_json()["history"]["own"] == len(made)
