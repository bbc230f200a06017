"""The shared cache where its server is away, slow, or gives what was never put: all of it is a miss."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from services.shared.cache import redis
from services.shared.cache.redis import BUDGET, FAILURES, LONGEST_REST, SHORTEST_REST, RedisCache
from services.shared.runtime.clock import ManualClock

Answers = Callable[[bytes], bytes | None]


class Fake:
    """Answers each command with what it is told to; None is no answer at all."""

    def __init__(self) -> None:
        self.answer: Answers = lambda _: None
        self.asked = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while (command := await _command(reader)) is not None:
                name = command[0].upper()
                if name in {b"GET", b"SET"}:
                    self.asked += 1
                    said = self.answer(command[-1])
                else:
                    said = b"-ERR unknown command\r\n"  # of a greeting; a client goes on without
                if said is not None:
                    writer.write(said)
        writer.close()


async def _command(reader: asyncio.StreamReader) -> list[bytes] | None:
    head = await reader.readline()
    if not head.startswith(b"*"):
        return None
    words = []
    for _ in range(int(head[1:])):
        size = int((await reader.readline())[1:])
        words.append((await reader.readexactly(size + 2))[:-2])
    return words


def bulk(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def fake() -> Fake:
    return Fake()


@pytest.fixture
async def cache(fake: Fake, clock: ManualClock) -> AsyncIterator[RedisCache]:
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    opened = RedisCache(f"redis://127.0.0.1:{port}/0?protocol=2", clock)
    yield opened
    await opened.close()
    server.close()
    await server.wait_closed()


async def test_a_server_that_does_not_answer_costs_a_bounded_time(cache: RedisCache) -> None:
    async with asyncio.timeout(100 * BUDGET):
        assert await cache.get("a") is None


async def test_after_failures_nothing_is_asked_for_a_while(
    cache: RedisCache, fake: Fake, clock: ManualClock
) -> None:
    for _ in range(FAILURES):
        await cache.get("a")
    asked = fake.asked
    await cache.get("a")
    await cache.put("a", b"1")
    assert fake.asked == asked == FAILURES
    fake.answer = lambda _: b"$-1\r\n"
    clock.advance(SHORTEST_REST)
    await cache.get("a")
    await cache.get("a")
    assert fake.asked == asked + 2, "it is back"


async def test_rests_grow_up_to_a_bound(cache: RedisCache, fake: Fake, clock: ManualClock) -> None:
    fake.answer = lambda _: b"-LOADING\r\n"
    rests = []
    for _ in range(FAILURES + 8):
        asked, rested = fake.asked, 0.0
        while fake.asked == asked:
            await cache.get("a")
            if fake.asked == asked:
                clock.advance(0.5)
                rested += 0.5
        rests.append(rested)
    assert rests[:FAILURES] == [0.0] * FAILURES
    assert sorted(rests) == rests
    assert rests[FAILURES] == SHORTEST_REST
    assert rests[-1] == LONGEST_REST


async def test_nobody_there_is_a_miss(unused_tcp_port: int, clock: ManualClock) -> None:
    cache = RedisCache(f"redis://127.0.0.1:{unused_tcp_port}/0", clock)
    await cache.put("a", b"1")
    assert await cache.get("a") is None
    await cache.close()


async def test_only_what_was_put_under_this_key_and_is_whole_counts(
    cache: RedisCache, fake: Fake
) -> None:
    sealed = redis._digest("a", b"value") + b"value"
    fake.answer = lambda _: bulk(sealed)
    assert await cache.get("a") == b"value"
    assert await cache.get("b") is None, "it was put under another key"
    for at in range(len(sealed)):
        damaged = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        fake.answer = lambda _, damaged=damaged: bulk(damaged)  # type: ignore[misc]
        assert await cache.get("a") is None
    for cut in (sealed[:-1], sealed[:3], b""):
        fake.answer = lambda _, cut=cut: bulk(cut)  # type: ignore[misc]
        assert await cache.get("a") is None


async def test_what_is_too_large_is_not_sent(cache: RedisCache, fake: Fake) -> None:
    await cache.put("a", bytes(redis.LARGEST + 1))
    assert fake.asked == 0
