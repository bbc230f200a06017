"""The real command over real servers, which are stopped, killed and damaged meanwhile.

Each test has servers of its own, because it ends them: `make test-real`, or `pytest --backends=real`.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis

from tests.contract import backends
from tests.journeys import harness
from tests.launchers import elasticsearch, kafka, mongo, place
from tests.launchers import redis as redis_server

QUESTIONS: tuple[tuple[str, dict[str, object]], ...] = (
    ("/v1/share", {"by": "class"}),
    ("/v1/projects", {}),
    ("/v1/words/top", {"limit": 20}),
    ("/v1/agreement", {}),
)
TIMES = 5
OFTEN = ("--set", "batch_every=2s", "--set", "first_batch_after=1s")


@pytest.fixture(autouse=True)
def _real(request: pytest.FixtureRequest) -> None:
    if "real" not in request.config.getoption("--backends").split(","):
        pytest.skip("on real servers: make test-real")


@pytest.fixture
def servers() -> dict[str, Any]:
    """Settings that put every store on a server, in a place of its own."""
    name = f"journey-{secrets.token_hex(6)}"
    batch = urlsplit(backends.url(mongo.VARIABLE))._replace(path=f"/{name}").geturl()
    return {
        "log_url": f"{backends.url(kafka.VARIABLE)}/{name}",
        "speed_url": f"{backends.url(elasticsearch.VARIABLE)}/{name}",
        "batch_url": batch,
        "cache_url": backends.url(redis_server.VARIABLE),
    }


@pytest.fixture
def cache() -> Iterator[place.Server]:
    server = redis_server.start(place.cache())
    yield server
    server.stop()


def test_answers_are_the_same_whatever_becomes_of_the_shared_cache(
    tmp_path: Path, cache: place.Server
) -> None:
    recording, _ = harness.simulate(tmp_path, 2_000)
    data = tmp_path / "data"
    harness.up(recording, data)
    words = ("serve", "--data", data, *harness.ANY_PORT)
    with harness.running(*words) as alone:
        expected = _answers(alone.url(data))
        assert alone.stop() == 0
    with harness.running(*words, cache_url=cache.url) as one:
        first = one.url(data)
        with harness.running(*words, cache_url=cache.url) as other:
            second = other.url(data)
            assert first != second

            def same() -> None:
                for _ in range(TIMES):
                    assert _answers(first) == _answers(second) == expected

            same()
            assert asyncio.run(_kept(cache.url)) >= len(QUESTIONS)
            asyncio.run(_damage(cache.url))
            same()
            os.kill(cache.pid, signal.SIGSTOP)
            same()
            os.kill(cache.pid, signal.SIGCONT)
            same()
            cache.kill()
            same()
            assert one.stop() == other.stop() == 0


def test_the_product_on_servers_is_killed_and_exact(
    tmp_path: Path, servers: dict[str, Any]
) -> None:
    recording, truth = harness.simulate(tmp_path, 2_000)
    data = tmp_path / "data"
    words = ("--data", data, "--source", recording, *harness.ANY_PORT, *OFTEN)
    for seconds in (0.5, 2.0, 4.0):
        with harness.running("up", *words, **servers) as up:
            up.url(data)
            time.sleep(seconds)  # any moment will do
            up.kill()
    with harness.running("up", *words, "--until-caught-up", **servers) as up:
        assert up.wait(within=300) == 0
    audit = harness.bvw("audit", "--json", "--data", data, **servers).json()
    assert (audit["exact"], audit["events"]) == (True, truth["distinct"])
    refused = harness.bvw("backup", tmp_path / "kept", "--data", data, code=78, **servers)
    assert "log_url: a backup is of files" in refused.err
    checks = harness.bvw("doctor", "--json", "--data", data, *harness.ANY_PORT, **servers).json()
    said = {check["name"]: check["said"] for check in checks}
    assert "all up to" in said["data"]


def _answers(url: str) -> list[Any]:
    return [harness.get(url, path, **query) for path, query in QUESTIONS]


async def _kept(url: str) -> int:
    async with Redis.from_url(url, driver_info=None) as client:
        return int(await client.dbsize())


async def _damage(url: str) -> None:
    """What is under one key is put under the next."""
    async with Redis.from_url(url, driver_info=None) as client:
        keys = [key async for key in client.scan_iter()]
        values = [await client.get(key) or b"" for key in keys]
        for key, value in zip(keys, [*values[1:], values[0]], strict=True):
            await client.set(key, value)
