"""Every outcome of a bulk request, from a server that answers as told."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from services.shared.runtime.unavailable import Unavailable
from services.shared.speedview import bulk, fields
from services.shared.speedview.cluster import Cluster, Lost
from services.shared.speedview.port import Busy
from tests.unit.speed.made import at

Outcome = dict[str, Any]
Answer = Callable[[list[str]], tuple[int, Any]]
"""Ids of a request -> HTTP status and body."""


def item(status: int, error: str = "") -> Outcome:
    return {"status": status} | ({"error": {"type": error, "reason": "so"}} if error else {})


def of(*outcomes: Outcome) -> Answer:
    return lambda _: (200, {"items": [{"index": outcome} for outcome in outcomes]})


def whole(status: int, error: str) -> Answer:
    return lambda _: (status, {"status": status, "error": {"type": error, "reason": "so"}})


def all_taken(ids: list[str]) -> tuple[int, Any]:
    return of(*(item(201) for _ in ids))(ids)


@dataclass
class Told:
    """Gives the answers in turn, the last one for ever; remembers whose documents it was sent."""

    cluster: Cluster = field(init=False)
    answers: list[Answer] = field(default_factory=list)
    sent: list[list[str]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        lines = (await request.text()).splitlines()
        ids = [json.loads(line)["index"]["_id"].partition(":")[2] for line in lines[::2]]
        self.sent.append(ids)
        status, body = (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])(ids)
        return web.json_response(
            body, status=status, headers={"X-Elastic-Product": "Elasticsearch"}
        )

    async def send(self, *events: str) -> int:
        documents = [at(0, n, event) for n, event in enumerate(events)]
        return await bulk.send(self.cluster.client, "documents", documents, fields.written)


@pytest.fixture
async def server() -> AsyncIterator[Told]:
    application, told = web.Application(), Told()
    application.router.add_post("/documents/_bulk", told.answer)
    async with TestServer(application) as listening:
        told.cluster = Cluster.of(str(listening.make_url("")), api_key=None, ca_file=None)
        yield told
        await told.cluster.client.close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "_WAITS", (0.0, 0.0, 0.0))


NO_ROOM = item(429, "es_rejected_execution_exception")
CONFLICT = item(409, "version_conflict_engine_exception")


async def test_taken_and_beaten_copies_are_settled(server: Told) -> None:
    server.answers = [of(item(201), item(200), CONFLICT, item(404))]
    assert await server.send("a", "b", "c", "d") == 2
    assert server.sent == [["a", "b", "c", "d"]]


async def test_only_what_had_no_room_is_sent_again(server: Told) -> None:
    shard = item(503, "unavailable_shards_exception")
    server.answers = [of(item(201), NO_ROOM, CONFLICT, shard), of(NO_ROOM, item(201)), all_taken]
    assert await server.send("a", "b", "c", "d") == 3
    assert server.sent == [["a", "b", "c", "d"], ["b", "d"], ["b"]]


async def test_no_room_for_long_is_busy(server: Told) -> None:
    server.answers = [of(NO_ROOM)]
    with pytest.raises(Busy):
        await server.send("a")
    assert len(server.sent) == 3


@pytest.mark.parametrize("status", [429, 413])
async def test_a_request_that_is_too_much_goes_in_halves(server: Told, status: int) -> None:
    def small(ids: list[str]) -> tuple[int, Any]:
        return all_taken(ids) if len(ids) <= 2 else whole(status, "too_much")(ids)

    server.answers = [small]
    assert await server.send("a", "b", "c", "d", "e") == 5
    assert [ids for ids in server.sent if len(ids) <= 2] == [["a", "b"], ["c"], ["d", "e"]]


async def test_one_document_that_is_too_much_is_busy(server: Told) -> None:
    server.answers = [whole(429, "circuit_breaking_exception")]
    with pytest.raises(Busy):
        await server.send("a", "b")
    assert server.sent == [["a", "b"], ["a"]]


async def test_what_the_server_refuses_is_raised_and_not_passed_over(server: Told) -> None:
    server.answers = [of(item(201), item(400, "strict_dynamic_mapping_exception"))]
    with pytest.raises(bulk.Rejected, match="400 strict_dynamic_mapping_exception: so"):
        await server.send("a", "b")


async def test_a_full_disk_is_busy_for_long_and_an_alarm(
    server: Told, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers = [of(item(201), item(429, "cluster_block_exception"))]
    with pytest.raises(Busy) as busy:
        await server.send("a", "b")
    assert busy.value.retry_after == 30
    assert "speed_view_blocked" in caplog.text


async def test_an_index_that_is_not_there_is_lost(server: Told) -> None:
    server.answers = [of(item(404, "index_not_found_exception"))]
    with pytest.raises(Lost):
        await server.send("a")


async def test_a_server_that_fails_or_is_away_is_unavailable(server: Told) -> None:
    server.answers = [whole(503, "no_master"), whole(502, "proxy")]
    for _ in range(2):
        with pytest.raises(Unavailable, match=r"50[23]"):
            await server.send("a")
    away = Cluster.of("http://127.0.0.1:9", api_key=None, ca_file=None)
    with pytest.raises(Unavailable, match="does not answer"):
        await bulk.send(away.client, "documents", [at(0, 1)], fields.written)
    await away.client.close()


async def test_a_request_is_bounded_in_documents_and_bytes(
    server: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers = [all_taken]
    monkeypatch.setattr(bulk, "_MOST", 2)
    assert await server.send("a", "b", "c") == 3
    monkeypatch.setattr(bulk, "_LARGEST", len(fields.written(at(0, 0, "a"))) + 10)
    assert await server.send("a", "b") == 2
    assert sorted(server.sent) == [["a"], ["a", "b"], ["b"], ["c"]]
