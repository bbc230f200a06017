"""The cache that several serving processes share, on Redis.

A cache must never cost more than it saves: a request has 250 ms, a failure is a miss, and after a few
failures in a row nothing is asked for a while, longer each time. What is found counts only if it was put
under this very key and is whole: every value carries a digest of both, so that a damaged value, or one
that another request was meant to get, is a miss too.

Entries end by themselves: a key with a generation and a position is never asked for again once both have
moved on. How much memory there is, and that the least recently used go first, is for Redis to be told
(`maxmemory`, `maxmemory-policy allkeys-lru`).
"""

import asyncio
import contextlib
import hashlib
import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from services.shared.cache.port import Cache
from services.shared.runtime import metrics
from services.shared.runtime.clock import Clock
from services.shared.runtime.unavailable import Unavailable

BUDGET: Final = 0.25
PROVED_WITHIN: Final = 5.0
KEPT: Final = 3_600
"""Seconds for which an entry is kept."""
LARGEST: Final = 4 * 1024 * 1024
FAILURES: Final = 3
SHORTEST_REST: Final = 1.0
LONGEST_REST: Final = 30.0

_PREFIX: Final = "bvw:"
_DIGEST: Final = 16
_CONNECTIONS: Final = 64
_MOST_DOUBLINGS: Final = 5

_log = structlog.get_logger(__name__)


class RedisCache:
    """Nothing connects before the first request, so a server that is away keeps nobody from starting."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._client = Redis.from_url(
            url,
            socket_timeout=BUDGET,
            socket_connect_timeout=BUDGET,
            max_connections=_CONNECTIONS,
            retry=Retry(NoBackoff(), 0),
            driver_info=None,  # it would look up its own version on disk for every connection
        )
        self._clock = clock
        self._failures = 0
        self._rests_until = 0.0

    async def get(self, key: str) -> bytes | None:
        found = await self._tried(lambda: self._client.get(_PREFIX + key))
        return _opened(key, found) if isinstance(found, bytes) else None

    async def put(self, key: str, value: bytes) -> None:
        if len(value) <= LARGEST:
            sealed = _digest(key, value) + value
            await self._tried(lambda: self._client.set(_PREFIX + key, sealed, ex=KEPT))

    async def close(self) -> None:
        with contextlib.suppress(RedisError, OSError):
            await self._client.aclose()

    async def _tried(self, ask: Callable[[], Awaitable[object]]) -> object:
        """None where it failed, took too long or was not even asked."""
        if self._clock.monotonic() < self._rests_until:
            return None
        try:
            async with asyncio.timeout(BUDGET):
                found = await ask()
        except (RedisError, OSError, TimeoutError) as error:
            self._failed(error)
            return None
        if self._failures >= FAILURES:
            _log.info("cache_back")
        self._failures = 0
        return found

    def _failed(self, error: Exception) -> None:
        metrics.CACHE_FAILURES.inc()
        self._failures += 1
        beyond = self._failures - FAILURES
        if beyond < 0:
            return
        rest = min(SHORTEST_REST * 2.0 ** min(beyond, _MOST_DOUBLINGS), LONGEST_REST)
        self._rests_until = self._clock.monotonic() + rest
        if beyond == 0:  # the same again is no news
            _log.warning("cache_away", reason=str(error) or type(error).__name__)


async def proved(url: str) -> str:
    """Puts something there and gets it back; name and version of the server. Raises `Unavailable`."""
    client = Redis.from_url(url, socket_timeout=PROVED_WITHIN, driver_info=None)
    key, value = _PREFIX + "proof", secrets.token_bytes(8)
    try:
        async with asyncio.timeout(PROVED_WITHIN):
            await client.set(key, value, ex=1)
            found, about = await client.get(key), await client.info("server")
    except (RedisError, OSError, TimeoutError) as error:
        raise Unavailable(str(error) or f"no answer within {PROVED_WITHIN:g} s") from None
    finally:
        await client.aclose()
    if found != value:
        raise Unavailable("what was put there a moment ago is not there")
    return f"{about.get('server_name', 'redis')} {about.get('redis_version', '?')}"


def _digest(key: str, value: bytes) -> bytes:
    return hashlib.blake2b(value, key=_bounded(key), digest_size=_DIGEST).digest()


def _bounded(key: str) -> bytes:
    """BLAKE2 takes keys of up to 64 bytes."""
    return hashlib.blake2b(key.encode()).digest()


def _opened(key: str, sealed: bytes) -> bytes | None:
    digest, value = sealed[:_DIGEST], sealed[_DIGEST:]
    return value if digest == _digest(key, value) else None


if TYPE_CHECKING:
    _: type[Cache] = RedisCache
