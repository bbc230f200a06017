"""What every cache keeps: it may lose anything, but never gives another value than the last."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shared.cache.embedded import LARGEST_SHARE, MemoryCache
from services.shared.cache.port import Cache
from services.shared.cache.redis import RedisCache
from services.shared.runtime.clock import SystemClock
from tests.contract.backends import chosen, url
from tests.launchers import redis


def _embedded() -> Cache:
    return MemoryCache()


def _real() -> Cache:
    return RedisCache(url(redis.VARIABLE), SystemClock())


@pytest.fixture
async def cache(backend: str) -> AsyncIterator[Cache]:
    opened = chosen("cache", backend, {"embedded": _embedded, "real": _real})()
    yield opened
    await opened.close()


@pytest.fixture
def a() -> str:
    """A key that nobody else uses: a cache may be shared."""
    return secrets.token_hex(8)


async def test_what_was_put_is_found(cache: Cache, a: str) -> None:
    await cache.put(a, b"\x00one")
    await cache.put(f"{a}:b", b"")
    assert (await cache.get(a), await cache.get(f"{a}:b")) == (b"\x00one", b"")


async def test_what_was_not_put_is_a_miss(cache: Cache, a: str) -> None:
    assert await cache.get(a) is None


async def test_the_last_value_is_the_one(cache: Cache, a: str) -> None:
    await cache.put(a, b"1")
    await cache.put(a, b"22")
    assert await cache.get(a) == b"22"


# Of the embedded cache: what goes first, and that it is bounded.


async def test_the_least_recently_used_goes_first() -> None:
    cache = MemoryCache(10 * LARGEST_SHARE)
    for name in range(LARGEST_SHARE):
        await cache.put(str(name), bytes(10))
    await cache.get("0")
    await cache.put("more", bytes(10))
    assert await cache.get("0") is not None
    assert await cache.get("1") is None


async def test_one_large_value_does_not_empty_the_cache() -> None:
    cache = MemoryCache(80)
    await cache.put("a", bytes(10))
    await cache.put("large", bytes(11))
    assert (await cache.get("large"), await cache.get("a")) == (None, bytes(10))


@given(
    puts=st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 30)), max_size=60),
)
async def test_it_never_holds_more_than_its_capacity(puts: list[tuple[str, int]]) -> None:
    cache = MemoryCache(100)
    last = {}
    for key, size in puts:
        await cache.put(key, bytes([size]) * size)
        if size <= 100 // LARGEST_SHARE:
            last[key] = bytes([size]) * size
    found = {key: await cache.get(key) for key in "abcdef"}
    kept = {key: value for key, value in found.items() if value is not None}
    assert sum(map(len, kept.values())) <= 100
    assert all(last[key] == value for key, value in kept.items())
