"""The live feed over HTTP: what is asked, what is refused, and how connections end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from services.serving.api.guard import HEADERS
from services.shared.domain.views import Document
from services.shared.runtime import metrics
from tests.frames import Frame, understood
from tests.unit.serving import described, made
from tests.unit.serving.made import Client, World, get

PATH = "/v1/changes/stream"
PATIENCE = 30.0


class Stream:
    """What has been read of an answer so far."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self._got = b""

    async def frames(self, count: int) -> list[Frame]:
        async with asyncio.timeout(PATIENCE):
            while len(found := understood(self._got)[0]) < count:
                more = await self.response.content.readany()
                assert more, f"ended after {found}"
                self._got += more
        return found

    async def events(self, count: int) -> list[Any]:
        return [frame.data for frame in await self.frames(count)]

    async def end(self) -> list[Frame]:
        async with asyncio.timeout(PATIENCE):
            self._got += await self.response.content.read()
        return understood(self._got)[0]


@contextlib.asynccontextmanager
async def read(client: Client, query: str = "", **headers: str) -> AsyncIterator[Stream]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.get(f"{PATH}?{query}", headers=named) as response:
        assert response.status == 200, await response.text()
        yield Stream(response)


async def arrive(world: World, *numbers: int, **fields: Any) -> None:
    await world.append(Document(made.change(number, **fields)) for number in numbers)
    await world.follow()


async def test_events_are_changes_as_they_are_listed(world: World) -> None:
    await world.append(made.documents(40))
    await world.follow()
    async with world.served() as client:
        query = "project=pt.wikipedia&type=edit,new&editor_type=humans&namespace=0,1&q=lisboa"
        listed = (await get(client, f"/v1/changes?{query}&limit=5"))["changes"]
        async with read(client, f"{query}&last=5") as stream:
            assert await stream.events(len(listed)) == listed[::-1]
            assert listed
            described.validator("#/components/schemas/ChangeRow").validate(listed[0])
            response = stream.response
    assert response.content_type == "text/event-stream"
    assert response.headers["Cache-Control"] == "no-cache"
    assert response.headers["X-Accel-Buffering"] == "no"
    assert {name: response.headers[name] for name in HEADERS} == HEADERS


async def test_a_browser_goes_on_from_its_last_id(world: World) -> None:
    await arrive(world, 1, 2, 3)
    async with world.served() as client:
        async with read(client, "last=3") as stream:
            frames = await stream.frames(3)
        await arrive(world, 4)
        for at, frame in enumerate(frames):
            expected = [f.data["id"] for f in frames[at + 1 :]] + ["20240228:4"]
            # The URL is the one it has always had; the header comes before all of it.
            async with read(client, "last=2&last_event_id=", Last_Event_ID=frame.id) as stream:
                assert [e["id"] for e in await stream.events(len(expected))] == expected
            async with client.get(PATH, params={"last_event_id": frame.id}) as response:
                events = await Stream(response).events(len(expected))
                assert [event["id"] for event in events] == expected


async def test_notices_are_as_described_and_have_no_id(world: World) -> None:
    async with (
        world.served() as client,
        read(client, Last_Event_ID='["other",[0,0]]') as stream,
    ):
        (gap,) = await stream.frames(1)
        assert (gap.event, gap.id) == ("gap", "")
        described.validator("#/components/schemas/GapNotice").validate(gap.data)


@pytest.mark.parametrize(
    ("query", "headers", "parameter"),
    [
        ("last=1001", {}, "last"),
        ("last=-1", {}, "last"),
        ("limit=5", {}, "limit"),
        ("namespace=x", {}, "namespace"),
        ("last_event_id=12", {}, "last_event_id"),
        ("", {"Last-Event-ID": "12"}, "Last-Event-ID"),
        ("", {"Last-Event-ID": "[" * 5_000}, "Last-Event-ID"),
    ],
)
async def test_what_cannot_be_read_is_refused(
    world: World, query: str, headers: dict[str, str], parameter: str
) -> None:
    async with world.served() as client:
        async with client.get(f"{PATH}?{query}", headers=headers) as response:
            body = await response.json()
            assert response.status == 400
        assert [error["parameter"] for error in body["errors"]] == [parameter]


async def test_an_unknown_project_is_refused_as_elsewhere(world: World) -> None:
    await arrive(world, 1)
    async with world.served() as client:
        await get(client, f"{PATH}?project=nowhere.wikipedia", 404)


async def test_more_readers_than_seats_come_back_later(world: World) -> None:
    async with world.served(feed_readers=1) as client, read(client):
        async with client.get(PATH) as response:
            assert response.status == 503
            assert response.headers["Retry-After"] == "10"
        async with client.head(PATH) as response:
            assert (response.status, await response.read()) == (200, b"")
            assert response.content_type == "text/event-stream"


async def test_a_view_that_has_not_begun_is_unavailable(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.serving.feed.feed._BEGIN_WITHIN", 0.01)
    await world.speed.begin("another log", (0, 0), None, text_version=1)
    async with world.served() as client, client.get(PATH) as response:
        assert response.status == 503
        assert response.headers["Retry-After"]


async def test_a_seat_is_free_once_its_reader_has_gone(world: World) -> None:
    async with world.served(feed_readers=1, feed_beat=0.01) as client:
        for _ in range(3):
            async with asyncio.timeout(PATIENCE):
                while (response := await client.get(PATH)).status == 503:
                    await response.release()
                    await asyncio.sleep(0.01)
            response.close()


async def test_all_end_in_order_when_the_server_does(world: World) -> None:
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(world.served())
        streams = [await stack.enter_async_context(read(client, "last=1")) for _ in range(5)]
        ends = [asyncio.create_task(stream.end()) for stream in streams]
        await client.server.close()
        assert await asyncio.gather(*ends) == [[]] * 5  # a cut connection would raise
        assert metrics.FEED_READERS._value.get() == 0


async def test_http_1_0_gets_a_stream_that_is_not_in_chunks(world: World) -> None:
    await arrive(world, 1)
    async with world.served() as client:
        reader, writer = await asyncio.open_connection(client.host, client.port)
        writer.write(b"GET %b?last=1 HTTP/1.0\r\n\r\n" % PATH.encode())
        async with asyncio.timeout(PATIENCE):
            head = await reader.readuntil(b"\r\n\r\n")
            got = await reader.readuntil(b"}\n\n")
        writer.close()
    assert b"chunked" not in head
    (frame,), _ = understood(got)
    assert frame.data["id"] == "20240228:1"


async def test_who_does_not_read_is_told_and_cut_off(world: World) -> None:
    async with world.served() as client:
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            connection.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(connection, (client.host, client.port))
            request = f"GET {PATH} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
            await loop.sock_sendall(connection, request)
            counted = metrics.FEED_OVERRUNS._value.get()
            got = await loop.sock_recv(connection, 4_096)
            number = 0
            async with asyncio.timeout(PATIENCE):
                while metrics.FEED_OVERRUNS._value.get() == counted:
                    number += 1
                    await arrive(world, *range(number * 100, number * 100 + 100), comment="x" * 900)
                    await asyncio.sleep(0.01)
                while more := await loop.sock_recv(connection, 1 << 16):
                    got += more
        assert got.endswith(b"\r\n0\r\n\r\n"), "the end is in order, for whoever reads on"
        assert b"event: overrun\n" in got
