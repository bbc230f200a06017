"""What is in the cache, as far as it can be read: another version of this code may have put it there."""

import contextlib
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from services.shared.cache.port import Cache
from services.shared.runtime import metrics

T = TypeVar("T")

_HIT: Final = metrics.CACHE_REQUESTS.labels("hit")
_MISS: Final = metrics.CACHE_REQUESTS.labels("miss")


async def kept(cache: Cache, key: str, decode: Callable[[bytes], T]) -> T | None:
    """None where there is nothing, or nothing that `decode` can read."""
    stored = await cache.get(key)
    if stored is not None:
        with contextlib.suppress(msgspec.DecodeError):
            known = decode(stored)
            _HIT.inc()
            return known
    _MISS.inc()
    return None
