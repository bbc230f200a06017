"""The real command over real servers, which are stopped, killed and damaged meanwhile.

Each test has servers of its own, because it ends them: `make test-real`, or `pytest --backends=real`.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.journeys import harness
from tests.launchers import place
from tests.launchers import redis as redis_server

QUESTIONS: tuple[tuple[str, dict[str, object]], ...] = (
    ("/v1/share", {"by": "class"}),
    ("/v1/projects", {}),
    ("/v1/words/top", {"limit": 20}),
    ("/v1/agreement", {}),
)
TIMES = 5


@pytest.fixture(autouse=True)
def _real(request: pytest.FixtureRequest) -> None:
    if "real" not in request.config.getoption("--backends").split(","):
        pytest.skip("on real servers: make test-real")


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
