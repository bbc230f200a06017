"""The identity of an event: a pure function of its payload, so that every copy has the same one.

The id is the event day and `meta.id` where that is 1 to 128 printable ASCII characters, otherwise
the day and the SHA-256 of the raw bytes. The same `meta.id` on two days is two events. The id is
the log's key, so that all copies of an event land in one partition.
"""

import hashlib
import zlib
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

DIGEST_BYTES: Final = 16
LONGEST_META_ID: Final = 128
FIRST_YEAR: Final = 2001
LAST_YEAR: Final = 2099
_FIRST_SECOND: Final = int(datetime(FIRST_YEAR, 1, 1, tzinfo=UTC).timestamp())
_END_SECOND: Final = int(datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC).timestamp())
SECONDS_A_DAY: Final = 86_400


def event_day(timestamp: int) -> int | None:
    """YYYYMMDD (UTC) of seconds since 1970, or None outside 2001-2099."""
    if not _FIRST_SECOND <= timestamp < _END_SECOND:
        return None
    return _day(timestamp // SECONDS_A_DAY)


@lru_cache(maxsize=4096)
def _day(days: int) -> int:
    date = datetime.fromtimestamp(days * SECONDS_A_DAY, UTC)
    return date.year * 10_000 + date.month * 100 + date.day


def day_start(day: int) -> int:
    """The first second (since 1970) of an event day."""
    date = datetime(day // 10_000, day // 100 % 100, day % 100, tzinfo=UTC)
    return int(date.timestamp())


def event_id(meta_id: str | None, raw: bytes, day: int | None) -> str:
    """The id of an event; `day` is None for a canary, whose id has no day."""
    own = meta_id if meta_id and _usable(meta_id) else "h:" + hashlib.sha256(raw).hexdigest()
    return own if day is None else f"{day}:{own}"


def _usable(meta_id: str) -> bool:
    return len(meta_id) <= LONGEST_META_ID and meta_id.isascii() and meta_id.isprintable()


def digest(event: str) -> bytes:
    """16 bytes that stand for an event id in indexes."""
    return hashlib.blake2b(event.encode(), digest_size=DIGEST_BYTES).digest()


def partition(key: str, partitions: int) -> int:
    """The partition of a key."""
    return zlib.crc32(key.encode()) % partitions
