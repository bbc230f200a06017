"""The application around the answers: who may ask, errors, health, the page, the way out."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from services.serving import serve
from services.serving.api.app import Deps
from services.serving.api.guard import HEADERS
from services.serving.api.models.ours import SourceRow
from services.serving.files import Files
from services.shared import report as reports
from services.shared.batchview.port import Run, Step
from services.shared.cache.embedded import MemoryCache
from services.shared.domain.positions import Vector
from services.shared.log.embedded import SqliteLog
from services.shared.log.port import Cursor, DeadLetter, Entry
from services.shared.report import Report
from services.shared.runtime import metrics
from services.shared.runtime.exits import Exit, Refused
from services.shared.runtime.probes import Readiness
from tests.unit.serving import made
from tests.unit.serving.made import World, get


async def test_an_audit_is_started_from_the_machine_itself(world: World) -> None:
    async with world.served() as client:
        assert (await get(client, "/v1/audit"))["state"] == "none"
        async with client.post("/v1/audit") as response:
            assert response.status == 202
            assert (await response.json())["state"] == "running"
        own = f"http://{client.host}:{client.port}"
        async with client.post("/v1/audit", headers={"Origin": own}) as response:
            assert response.status == 202
    assert world.audits.started == 2


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:8080", "Origin": "http://evil.example:8080"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Host": "localhost:8080", "Origin": "http://localhost:9090"},
        {"Host": "localhost.evil.example"},
        {"Host": "[::1"},
    ],
)
async def test_a_page_elsewhere_cannot_start_an_audit(
    world: World, headers: dict[str, str]
) -> None:
    async with world.served() as client, client.post("/v1/audit", headers=headers) as response:
        assert response.status in (400, 403)
    assert world.audits.started == 0


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "[::1]:8080", "wiki.internal"])
async def test_names_of_this_machine_are_taken(world: World, host: str) -> None:
    async with (
        world.served(host="wiki.internal") as client,
        client.post("/v1/audit", headers={"Host": host}) as response,
    ):
        assert response.status == 202


async def test_errors_are_problems_without_a_trace(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken() -> Any:
        raise RuntimeError("secret of the store")

    monkeypatch.setattr(world.log, "stable_end", broken)
    async with world.served() as client, client.get("/v1/status") as response:
        text = await response.text()
        assert response.status == 500
        assert response.content_type == "application/problem+json"
        assert response.headers["X-Request-Id"] in text
        assert "secret" not in text
    assert "secret of the store" in caplog.text
    assert response.headers["X-Request-Id"] in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/nothing", 404, None),
        ("GET", "/v1/share/", 404, None),
        ("GET", "/static/main.py", 404, None),
        ("GET", "/static/%2e%2e%2fserve.py", 404, None),
        ("POST", "/v1/share", 405, "GET, HEAD"),
        ("DELETE", "/v1/audit", 405, "GET, HEAD, POST"),
    ],
)
async def test_what_is_not_there_is_a_problem_too(
    world: World, method: str, path: str, status: int, allow: str | None
) -> None:
    async with world.served() as client, client.request(method, path) as response:
        assert response.status == status
        assert (await response.json())["status"] == status
        assert response.headers.get("Allow") == allow


@pytest.mark.parametrize("path", ["/", "/v1/share", "/v1/status", "/nothing", "/healthz"])
async def test_every_answer_is_guarded(world: World, path: str) -> None:
    expected = HEADERS | ({"Vary": "Accept-Encoding, Accept-Language"} if path == "/" else {})
    async with world.served() as client, client.get(path) as response:
        assert {name: response.headers[name] for name in HEADERS} == expected
        assert "unsafe" not in response.headers["Content-Security-Policy"]
        assert response.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("path", "language"), [("/", "pt-BR"), ("/?lang=en&project=pt.wikipedia", "en")]
)
async def test_the_page_comes_in_the_readers_language(
    world: World, path: str, language: str
) -> None:
    asked = {"Accept-Language": "pt"}
    async with world.served() as client, client.get(path, headers=asked) as response:
        assert response.headers["Content-Language"] == await response.text() == language


async def test_head_says_what_get_would_send(world: World) -> None:
    async with world.served() as client:
        for path in ("/v1/share", "/", "/v1/status"):
            async with client.get(path) as response:
                length = response.headers["Content-Length"]
            async with client.head(path) as response:
                assert (response.status, await response.read()) == (200, b"")
                assert response.headers["Content-Length"] == length


async def test_requests_are_measured_by_route_and_never_by_path(world: World) -> None:
    async with world.served() as client:
        await get(client, "/metrics/editors/top-by-edits/x/y/z/1/2/3", 400)
        await get(client, "/nothing/at/all", 404)
    samples = {
        (s.labels["route"], s.labels["status"])
        for family in metrics.REQUESTS.collect()
        for s in family.samples
    }
    path = "/metrics/editors/top-by-edits/{project}/{editor_type}/{page_type}/{year}/{month}/{day}"
    assert {(path, "400"), ("none", "404")} <= samples
    assert not any("nothing" in route for route, _ in samples)


async def test_status_tells_how_far_everything_is(world: World) -> None:
    await world.append(made.documents(10))
    await world.publish()
    world.clock.advance(60)
    await world.append(made.documents(30)[20:])
    async with world.served() as client:
        behind = await get(client, "/v1/status")
        await world.follow()
        reached = await get(client, "/v1/status")
    assert behind["caught_up"] is False
    assert behind["speed_lag_seconds"] == behind["batch_lag_seconds"] == 60
    assert behind["end"] == list(world.until)
    assert reached["caught_up"] is True
    assert (reached["speed_lag_seconds"], reached["batch_lag_seconds"]) == (0, 60)
    assert reached["visible"] == list(world.until) != reached["horizon"]
    assert reached["source"]["kind"] == "simulated"
    assert set(reached["bytes"]) == {"log", "speed", "batch"}


async def test_a_layer_that_has_taken_in_nothing_is_as_far_behind_as_the_log_is_long(
    world: World,
) -> None:
    await world.append(made.documents(4))
    world.clock.advance(60)
    await world.append(made.documents(8)[4:])
    async with world.served() as client:
        status = await get(client, "/v1/status")
    assert status["speed_lag_seconds"] == status["batch_lag_seconds"] == 60


async def test_how_a_stream_is_is_told_as_its_collector_has_said_it(world: World) -> None:
    async with world.served() as client:
        assert (await get(client, "/v1/status"))["stream"] is None
        report = Report(5_000, "waiting", 4_000, "HTTP 503", 9_000, 3, 2_000, None, True)
        await world.log.append([], cursor=Cursor(reports.NAME, reports.written(report)))
        stream = (await get(client, "/v1/status"))["stream"]
        assert (stream["state"], stream["reason"]) == ("waiting", "HTTP 503")
        assert stream["retry_at"] == "1970-01-01T00:00:09.000Z"
        assert (stream["last_canary_at"], stream["canaries_missing"]) == (None, True)
        await world.log.append([], cursor=Cursor(reports.NAME, '{"of": "another version"}'))
        assert (await get(client, "/v1/status"))["stream"] is None


async def test_status_counts_what_was_left_out(world: World) -> None:
    letter = DeadLetter("00ff", b"{", "not-json", "", "made", "")
    await world.log.append([], deadletters=[letter], tally={"received": 3, "rejected.not-json": 1})
    async with world.served() as client:
        status = await get(client, "/v1/status")
    assert status["deadletters"] == 1
    assert status["tallies"] == {"received": 3, "rejected.not-json": 1}


async def test_runs_are_listed_newest_first(world: World) -> None:
    step = Step("count", "done", 2_000, 0.5, 10, 4)
    await world.batch.record(Run("a", "run", "done", 1_000, 3_000, 1, (step,)))
    await world.batch.record(Run("b", "rebuild", "running", 5_000))
    async with world.served() as client:
        newest, oldest = (await get(client, "/v1/batch/runs"))["runs"]
        assert len((await get(client, "/v1/batch/runs?limit=1"))["runs"]) == 1
    assert (newest["id"], newest["ended_at"], newest["generation"]) == ("b", None, None)
    assert oldest["steps"][0]["rows_out"] == 4
    assert oldest["started_at"] == "1970-01-01T00:00:01.000Z"


# --- the page ------------------------------------------------------------------------------------


async def test_the_page_is_served_with_its_files(tmp_path: Path) -> None:
    """The real ones: the chart module is made once and is found again."""
    files = await Files.open(tmp_path / "cache")
    try:
        assert files.pages["pt-BR"].type == "text/html"
        assert b'<!doctype html>\n<html lang="pt-BR">' in files.pages["pt-BR"].body
        assert all(b"{{" not in page.body for page in files.pages.values())
        assert await files.get("__init__.py") is await files.get("index.html") is None
        vega = await files.get("vega.js")
        assert vega is not None
        assert b"export const { vegaEmbed, vegaLite, vega }" in vega.body
    finally:
        await files.close()
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_bytes(b"export const kept = 1;")
    again = await Files.open(tmp_path / "cache")
    try:
        vega = await again.get("vega.js")
        assert vega is not None
        assert vega.body == b"export const kept = 1;"
    finally:
        await again.close()


# --- coming and going ----------------------------------------------------------------------------


def deps(world: World, cache: Path) -> Deps:
    (source,) = [SourceRow(name="made", kind="simulated", description="")]
    return Deps(
        log=world.log,
        speed=world.speed,
        batch=world.batch,
        cache=MemoryCache(),
        clock=world.clock,
        audits=world.audits,
        readiness=Readiness(world.clock),
        source=source,
        cache_dir=cache,
    )


class Growing:
    """A log that takes in an event right after it has said where it ends."""

    def __init__(self, log: SqliteLog) -> None:
        self._log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def stable_end(self) -> Vector:
        end = await self._log.stable_end()
        await self._log.append([Entry("late", b"{}")], tally={"received": 1})
        return end


async def test_who_is_caught_up_has_all_that_the_status_counts(world: World) -> None:
    async with world.served(log=Growing(world.log)) as client:
        status = await get(client, "/v1/status")
    assert status["caught_up"]
    assert status["tallies"].get("received", 0) == 0


async def test_it_listens_and_ends_in_time_with_open_connections(
    world: World, tmp_path: Path
) -> None:
    stop = asyncio.Event()
    port = _free_port()
    task = asyncio.create_task(
        serve.run(stop, deps(world, tmp_path / "cache"), host="127.0.0.1", port=port)
    )
    try:
        async with aiohttp.ClientSession() as session:
            assert (await _once_up(session, f"http://127.0.0.1:{port}/healthz")) == 200
            idle = await asyncio.open_connection("127.0.0.1", port)
            half = await asyncio.open_connection("127.0.0.1", port)
            half[1].write(b"GET /v1/share HTTP/1.1\r\nHost: loc")
            await half[1].drain()
            stop.set()
            await asyncio.wait_for(task, 9)
            for _, writer in (idle, half):
                writer.close()
    finally:
        stop.set()
        await asyncio.wait({task})


async def test_a_taken_port_is_refused_with_the_way_out(world: World, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Refused, match="--port") as refused:
            async with serve.listening(
                deps(world, tmp_path / "cache"), host="127.0.0.1", port=port
            ):
                pass
    assert refused.value.code == Exit.TEMPORARY


async def test_any_free_port(world: World, tmp_path: Path) -> None:
    async with (
        serve.listening(deps(world, tmp_path / "cache"), host="127.0.0.1", port=0) as url,
        aiohttp.ClientSession(url) as session,
        session.get("/healthz") as response,
    ):
        assert response.status == 200


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: " + b"x" * 20_000 + b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA\x00b: <script>\r\n\r\n", 400),
        (b"\x16\x03\x01 not HTTP at all <script>\r\n\r\n", 400),
    ],
)
async def test_what_is_no_request_is_a_problem_too(
    world: World, tmp_path: Path, sent: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve.listening(deps(world, tmp_path / "cache"), host="127.0.0.1", port=0) as url:
        port = int(url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        async with asyncio.timeout(20):
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
    assert b" %d " % status in head.splitlines()[0]
    assert b"application/problem+json" in head
    assert b"nosniff" in head
    assert msgspec.json.decode(body)["status"] == status
    assert b"script" not in body
    assert "Traceback" not in caplog.text


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


async def _once_up(session: aiohttp.ClientSession, url: str) -> int:
    async with asyncio.timeout(20):
        while True:
            try:
                async with session.get(url) as response:
                    return response.status
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.02)
