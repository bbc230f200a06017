"""Each fault as a client sees it, over the wire; and what the fake tells about its clients."""

from __future__ import annotations

import asyncio
import contextlib
import json
import zlib
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest

from services.collector.upstream.history import CODFW, EQIAD, History
from services.collector.upstream.serve import serving
from services.collector.upstream.stats import Stats
from services.collector.upstream.upstream import Upstream
from services.shared.runtime.clock import ManualClock
from services.shared.runtime.exits import Exit, Refused
from tests.unit.upstream import wire
from tests.unit.upstream.wire import STREAM, Answered

ALL = STREAM + wire.SINCE
AT_START = json.dumps([{"topic": EQIAD, "partition": 0, "timestamp": 1}])


async def all_of(upstream: Upstream) -> Answered:
    """An answer; of a stream everything that is there."""
    return await wire.get(upstream.address, ALL, events=len(upstream.history))


def data(history: History) -> list[bytes]:
    return [message.data or b"" for message in history]


def seen(answered: Answered) -> list[bytes]:
    return [event.data for event in answered.events]


# Answers instead of a stream.


@pytest.mark.parametrize("code", [403, 404, 429, 500, 502, 503, 599])
async def test_a_status_is_answered_so_often_and_then_the_stream(
    history: History, code: int
) -> None:
    async with serving(history, f"status={code},2") as upstream:
        answers = [await all_of(upstream) for _ in range(3)]
    assert [a.status for a in answers] == [code, code, 200]
    assert answers[0].whole
    assert ("retry-after" in answers[0].headers) == (code in {429, 500, 502, 503, 599})


async def test_retry_after_in_seconds_as_a_date_and_not_at_all(history: History) -> None:
    script = "status=429,1,90s status=503,1,date:90s status=503,1,none"
    clock = ManualClock(1_700_000_000.5)
    async with serving(history, script, clock=clock) as upstream:
        seconds, date, none = [await all_of(upstream) for _ in range(3)]
    assert seconds.headers["retry-after"] == "90"
    assert seconds.headers["date"] == "Tue, 14 Nov 2023 22:13:20 GMT"
    then = parsedate_to_datetime(date.headers["retry-after"]).timestamp()
    assert then == 1_700_000_091
    assert "retry-after" not in none.headers
    assert json.loads(seconds.body)["type"] == "too_many_requests"


async def test_a_page_of_html_with_200(history: History) -> None:
    async with serving(history, "html") as upstream:
        page, stream = await all_of(upstream), await all_of(upstream)
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.body.startswith(b"<!DOCTYPE html>")
    assert len(stream.events) == len(history)


async def test_a_wrong_content_type_on_the_right_stream(history: History) -> None:
    async with serving(history, "type=text/plain") as upstream:
        wrong, right = await all_of(upstream), await all_of(upstream)
    assert wrong.headers["content-type"] == "text/plain"
    assert right.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert wrong.events == right.events


@pytest.mark.parametrize("code", [301, 302, 307, 308])
async def test_a_redirect_leads_to_the_stream(history: History, code: int) -> None:
    async with serving(history, f"redirect={code},2") as upstream:
        first = await all_of(upstream)
        async with aiohttp.ClientSession() as session, session.get(upstream.url) as response:
            assert response.content_type == "text/event-stream"
            assert [hop.status for hop in response.history] == [code]
    assert (first.status, first.headers["location"]) == (code, ALL)


async def test_a_topic_that_a_client_remembers_is_gone(history: History) -> None:
    remembered = json.dumps(
        [
            {"topic": EQIAD, "partition": 0, "timestamp": 1},
            {"topic": CODFW, "partition": 0, "offset": -1},
        ]
    )
    async with serving(history, "notopic") as upstream:
        fresh = await all_of(upstream)
        gone = await wire.get(upstream.address, Last_Event_ID=remembered)
        again = await wire.get(upstream.address, Last_Event_ID=remembered)
    assert fresh.status == 200
    assert gone.status == 404
    assert b"TopicNotAvailableError: Topics codfw." in gone.head
    assert json.loads(gone.body)["availableTopics"] == [EQIAD]
    assert len(again.events) == len(history)


async def test_a_connection_that_is_closed_or_hangs_before_an_answer(history: History) -> None:
    async with serving(history, "refuse=2 hang=50ms") as upstream:
        assert [await wire.bytes_of(upstream.address, wire.written(ALL)) for _ in range(3)] == [
            b"", b"", b"",
        ]  # fmt: skip
        assert len((await all_of(upstream)).events) == len(history)
    assert upstream.mishaps.happened == {"refuse": 2, "hang": 1}


async def test_a_client_without_a_contact_is_forbidden(history: History) -> None:
    async with serving(history, "agent") as upstream:
        refused = await wire.get(upstream.address, ALL, User_Agent="python-requests/2.32")
        welcome = await wire.get(upstream.address, ALL, User_Agent="x/1 (https://example.org)")
    assert (refused.status, welcome.status) == (403, 200)
    assert b"robot policy" in refused.body


async def test_streams_beyond_the_limit_are_refused(history: History) -> None:
    async with serving(history, "limit=1") as upstream:
        client = await wire.Client.open(upstream.address)
        refused = await all_of(upstream)
        client.close()
        await wire.until(lambda: not len(upstream.audience))
        assert (await all_of(upstream)).events
    assert refused.status == 429


# Resume points that the history does not reach back to.


async def test_an_expired_resume_point_gives_silence_and_then_what_is_new(
    history: History,
) -> None:
    async with serving(history, "expired=silent") as upstream:
        client = await wire.Client.open(upstream.address, Last_Event_ID=AT_START)
        assert await client.events(1, quiet=0.1) == []
        new = history.append(b"{}", history.latest_ms + 1)
        (event,) = await client.events(1)
        client.close()
        again = await wire.get(upstream.address, Last_Event_ID=AT_START)
    assert event.data == new.data
    assert upstream.stats.skipped == len(history) - 1
    assert seen(again) == data(history)


async def test_an_expired_resume_point_gives_newer_events(history: History) -> None:
    messages = list(history)
    at = json.dumps([{"topic": EQIAD, "partition": 0, "timestamp": messages[0].timestamp}])
    async with serving(history, "expired=newer,2s") as upstream:
        answered = await wire.get(upstream.address, Last_Event_ID=at)
        fresh = await all_of(upstream)
    later = [m.data for m in messages if m.timestamp >= messages[0].timestamp + 2000]
    assert seen(answered) == later
    assert upstream.stats.skipped == len(messages) - len(later) > 0
    assert len(fresh.events) == len(messages)


# Streams that are open.


@pytest.mark.parametrize("how", ["fin", "reset", "end"])
async def test_cuts_after_so_many_events(history: History, how: str) -> None:
    async with serving(history, f"cut=50,2,{how}") as upstream:
        cut = [await closed(upstream) for _ in range(2)]
        after = await all_of(upstream)
    for answered in cut:
        assert seen(answered) == data(history)[:50] or how == "reset"
        assert answered.whole == (how == "end")
    assert len(after.events) == len(history)
    assert upstream.mishaps.happened == {"cut": 2}


async def closed(upstream: Upstream) -> Answered:
    """All of an answer that the server ends: silence is none."""
    client = await wire.Client.open(upstream.address, ALL)
    with contextlib.suppress(ConnectionResetError):
        await client.until(lambda _: False)
    client.close()
    return client.answered


async def test_cuts_are_at_any_byte_and_the_same_for_a_seed(history: History) -> None:
    async def ends(seed: int) -> list[int]:
        async with serving(history, "cut=20,12,fin", seed=seed) as upstream:
            received = [
                await wire.bytes_of(upstream.address, wire.written(ALL), wire.PATIENCE)
                for _ in range(12)
            ]
        return [len(r) for r in received]

    first = await ends(1)
    assert len(set(first)) > 8, "in the middle of lines, ids and chunks"
    assert await ends(1) == first
    assert await ends(2) != first


async def test_cuts_by_time_come_whether_anything_is_sent_or_not() -> None:
    history = History()
    history.append(b'{"n":1}', 1_700_000_000_000)
    async with serving(history, "cut=500ms,2,fin") as upstream:
        loop = asyncio.get_running_loop()
        began = loop.time()
        first, second = await closed(upstream), await closed(upstream)
        assert loop.time() - began > 0.9
        third = await all_of(upstream)
    assert seen(first) == seen(second) == seen(third) == data(history)
    assert upstream.mishaps.happened == {"cut": 2}


async def test_a_cut_by_time_is_kept_for_a_later_stream_if_the_client_goes_first(
    history: History,
) -> None:
    async with serving(history, "cut=1s,1,fin") as upstream:
        client = await wire.Client.open(upstream.address)
        client.close()
        await wire.until(lambda: not len(upstream.audience))
        assert not upstream.mishaps.happened
        await closed(upstream)
        assert upstream.mishaps.happened == {"cut": 1}


async def test_a_cut_reaches_a_stream_in_the_middle_of_a_drip(history: History) -> None:
    async with serving(history, "cut=150ms,1 drip=1,1ms,60s") as upstream:
        dripped = await closed(upstream)
    async with serving(history) as upstream:
        whole = await all_of(upstream)
    assert 10 < len(dripped.body) < 2_000
    assert whole.body.startswith(dripped.body), "and nothing comes after the cut"


async def test_half_an_event_at_the_end_of_an_answer_is_none(history: History) -> None:
    async with serving(history, "half=30,5") as upstream:
        halves = [await closed(upstream) for _ in range(5)]
        after = await all_of(upstream)
    lengths = set()
    for answered in halves:
        assert answered.whole
        assert seen(answered) == data(history)[:30]
        rest = answered.body.rpartition(b"\n\n")[2]
        assert rest.startswith(b"event"[: len(rest)])
        lengths.add(len(rest))
    assert len(lengths) > 2
    assert len(after.events) == len(history)


async def test_half_an_event_waits_for_one(history: History) -> None:
    async with serving(history, "half=0,1") as upstream:
        client = await wire.Client.open(upstream.address)
        assert await client.events(1, quiet=0.05) == []
        history.append(b'{"n":1}', history.latest_ms)
        answered = await client.until(lambda _: False)
        client.close()
    assert answered.whole
    assert not answered.events
    assert answered.body.startswith(b":ok\n\ne")


async def test_an_error_event_ends_the_answer(history: History) -> None:
    async with serving(history, "error=5") as upstream:
        answered = await closed(upstream)
    assert answered.whole
    assert len(answered.events) == 5
    kind, event_id, error = answered.body.split(b"\n\n")[-2].split(b"\n")[:3]
    assert kind == b"event: error"
    assert json.loads(event_id.removeprefix(b"id: ")) == answered.events[-1].id
    assert json.loads(error.removeprefix(b"data: "))["message"]


async def test_silence_with_the_connection_open_and_then_on(history: History) -> None:
    async with serving(history, "silence=40,1s") as upstream:
        client = await wire.Client.open(upstream.address, ALL)
        assert len(await client.events(40)) == 40
        assert await client.events(1, quiet=0.1) == []
        await client.events(len(history) - 41)
        assert seen(client.answered) == data(history)
        client.close()


async def test_heartbeats_only(history: History) -> None:
    async with serving(history, "silence=0,1s heartbeats=50ms") as upstream:
        client = await wire.Client.open(upstream.address, ALL)
        beaten = await client.until(lambda a: a.body.count(b":ok\n\n") >= 4)
        assert not beaten.events
        await client.events(len(history))
        assert seen(client.answered) == data(history)
        after = client.answered.body.count(b":ok\n\n")
        await client.until(lambda a: a.body.count(b":ok\n\n") > after)
        client.close()


async def test_a_silent_stream_stays_open_and_sends_nothing(history: History) -> None:
    async with serving(history) as upstream:
        client = await wire.Client.open(upstream.address)
        with pytest.raises(TimeoutError):
            await client.until(lambda _: False, within=0.3)
        assert client.answered.body == b":ok\n\n"
        history.append(b'{"n":1}', history.latest_ms)
        assert len(await client.events(1)) == 1
        client.close()


async def test_drops_of_a_few_bytes(history: History) -> None:
    async with serving(history, "drip=7,1ms,600ms") as upstream:
        began = asyncio.get_running_loop().time()
        client = await wire.Client.open(upstream.address, ALL)
        await client.events(len(history))
        took = asyncio.get_running_loop().time() - began
        client.close()
    assert took > 0.59
    assert seen(client.answered) == data(history)
    assert client.received.count(b"\r\n7\r\n") > 20


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_compressed_body_comes_event_by_event(history: History, encoding: str) -> None:
    async with (
        serving(history, f"encode={encoding},2") as upstream,
        aiohttp.ClientSession() as session,
        session.get(upstream.url) as response,
    ):
        assert response.headers["Content-Encoding"] == encoding
        text = b""
        history.append(b'{"n":1}', history.latest_ms)
        async with asyncio.timeout(wire.PATIENCE):
            while not text.endswith(b"}\n\n"):
                text += await response.content.readany()
        raw = await all_of(upstream)
        plain = await all_of(upstream)
    assert text.startswith(b":ok\n\nevent: message\n")
    packed = zlib.decompressobj(wbits=47).decompress(raw.body)
    assert packed == plain.body


# The history.


async def test_what_is_added_comes_between_the_events(history: History) -> None:
    history.append(b"[1,2]", history.latest_ms)
    history.append(b"broken\n: a comment", history.latest_ms, verbatim=True)
    history.append(b'{"x":"' + b"y" * 2_000_000 + b'"}', history.latest_ms)
    async with serving(history) as upstream:
        client = await wire.Client.open(upstream.address, ALL)
        events = await client.events(len(history))
        client.close()
    assert [len(event.data) for event in events[-3:]] == [5, 6, len(list(history)[-1].data or b"")]


async def test_json_lines_for_who_accepts_json(history: History) -> None:
    async with serving(history, "cut=50,1,end") as upstream:
        answered = await wire.get(upstream.address, ALL, Accept="application/json, text/plain")
    assert answered.headers["content-type"] == "application/json; charset=utf-8"
    lines = answered.body.split(b"\n")
    assert lines[0] == b""
    assert lines[1:51] == data(history)[:50]


# How it is used.


async def test_a_slow_reader_is_waited_for_and_fills_no_memory(history: History) -> None:
    for number in range(40):
        history.append(b'{"n":%d,"x":"%b"}' % (number, b"y" * 1_000_000), history.latest_ms)
    async with serving(history) as upstream:
        client = await wire.Client.open(upstream.address, ALL)
        before = -1
        while upstream.stats.bytes != before:
            before = upstream.stats.bytes
            await asyncio.sleep(0.1)
        assert upstream.stats.bytes < 20_000_000
        assert upstream.as_json()["behind"] > 10
        client.close()


async def test_what_clients_did_can_be_read_in_process_and_over_http(history: History) -> None:
    async with serving(history, "status=503,1") as upstream:
        await all_of(upstream)
        await wire.get(upstream.address, Last_Event_ID=AT_START, events=len(history))
        client = await wire.Client.open(upstream.address, ALL)
        await client.events(len(history))
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{upstream.address}/_fake/stats") as response,
        ):
            told: dict[str, Any] = await response.json()
        client.close()
    assert told["connections"] == 3, "who asks for this is not counted"
    assert told["largest_rate"] == upstream.stats.largest_rate >= 1
    assert told["events"] == 2 * len(history)
    assert told["open"] == 1
    assert told["behind"] == 0
    assert told["faults"] == {"status": 1}
    assert told["history"]["topics"][EQIAD] == len(history)
    assert [r["status"] for r in told["requests"]] == [503, 200, 200]
    assert [r["last_event_id"] for r in told["requests"]] == [None, AT_START, None]
    assert told["requests"][2]["since"] == "2001-01-01T00:00:00Z"
    assert told["requests"][1]["sent"] == len(history)


def test_the_largest_rate_is_of_any_second() -> None:
    counts = Stats()
    for at in (0.0, 0.5, 0.9, 1.4, 1.45, 1.6, 7.0):
        counts.connected(at)
    assert (counts.connections, counts.largest_rate) == (7, 4)


async def test_requests_follow_each_other_on_one_connection(history: History) -> None:
    request = wire.written("/v2/stream/nope") + wire.written(method="OPTIONS")
    async with serving(history) as upstream:
        received = await wire.bytes_of(upstream.address, request)
        closing = await wire.bytes_of(
            upstream.address, wire.written("/v2/stream/nope", Connection="close"), wire.PATIENCE
        )
    assert received.count(b"HTTP/1.1 400") == received.count(b"HTTP/1.1 200") == 1
    assert b"Connection: close\r\n" in closing


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /v2/stream/recentchange HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", 431),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", 404),
    ],
)
async def test_what_is_no_request_is_answered_and_done_with(
    history: History, sent: bytes, status: int
) -> None:
    async with serving(history) as upstream:
        answered = wire.taken_apart(await wire.bytes_of(upstream.address, sent))
    assert answered.status == status


async def test_a_header_cannot_end_the_line_that_repeats_it(history: History) -> None:
    async with serving(history) as upstream:
        answered = await wire.get(upstream.address, Last_Event_ID="\x85\x1b[2J\u00e9")
    assert answered.status == 400
    assert answered.head.decode("latin-1").split("\r\n")[0].isprintable()


async def test_leaving_breaks_off_every_stream(history: History) -> None:
    async with serving(history) as upstream:
        client = await wire.Client.open(upstream.address)
    assert not (await client.until(lambda _: False, within=5)).whole
    client.close()


async def test_a_port_that_is_taken_is_refused_in_one_line(history: History) -> None:
    async with serving(history) as upstream:
        port = int(upstream.address.rpartition(":")[2])
        with pytest.raises(Refused, match=r"cannot listen on 127\.0\.0\.1") as refused:
            async with serving(History(), port=port):
                pass
    assert refused.value.code == Exit.TEMPORARY
