"""Cache: answers by key. It may lose anything at any time, and failing is a miss.

Keys carry the generation and the visible position, or the generation alone for batch parts, so an
entry is never wrong, only unused (tests/contract/test_cache.py).
"""

from typing import Protocol


class Cache(Protocol):
    async def get(self, key: str) -> bytes | None: ...

    async def put(self, key: str, value: bytes) -> None: ...

    async def close(self) -> None: ...
