"""The cache of one process: least recently used entries go first, by bytes."""

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from services.shared.cache.port import Cache

LARGEST_SHARE: Final = 8
"""An entry above 1/8 of the capacity is not kept: it would empty the cache for itself."""


class MemoryCache:
    def __init__(self, capacity: int = 32 * 1024 * 1024) -> None:
        self._capacity = capacity
        self._bytes = 0
        self._entries: OrderedDict[str, bytes] = OrderedDict()

    async def get(self, key: str) -> bytes | None:
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    async def put(self, key: str, value: bytes) -> None:
        if len(value) > self._capacity // LARGEST_SHARE:
            return
        self._bytes += len(value) - len(self._entries.pop(key, b""))
        self._entries[key] = value
        while self._bytes > self._capacity:
            self._bytes -= len(self._entries.popitem(last=False)[1])

    async def close(self) -> None:
        self._entries.clear()
        self._bytes = 0


if TYPE_CHECKING:
    _: type[Cache] = MemoryCache
