"""How fast a recording is replayed: the time between its events, divided by the speed.

Events keep their distance from the first one, so small delays don't add up. Where the recording
itself pauses for long, the replay waits a few seconds and goes on. An event that is older than its
predecessors comes at once, and so does one that tells no time.
"""

from datetime import datetime
from typing import Any, Final

import msgspec

LONGEST_WAIT: Final = 5.0
SHORTEST_WAIT: Final = 0.01  # less is not worth a frame of its own


class Pace:
    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._start: float | None = None  # of the replay's clock, where the event time is 0

    def wait(self, event_time: float | None, now: float) -> float:
        """Seconds from `now` (any monotonic clock) until the event is due; 0 if it is."""
        if event_time is None:
            return 0.0
        played = event_time / self._speed
        if self._start is None:
            self._start = now - played
        wait = self._start + played - now
        if wait > LONGEST_WAIT:
            self._start -= wait - LONGEST_WAIT
            wait = LONGEST_WAIT
        return wait if wait >= SHORTEST_WAIT else 0.0


class _Meta(msgspec.Struct):
    dt: Any = None


class _Timed(msgspec.Struct):
    meta: _Meta | None = None
    timestamp: Any = None


_decode = msgspec.json.Decoder(_Timed).decode


def event_time(payload: bytes) -> float | None:
    """When the upstream got the event, or when it happened; None if it doesn't tell."""
    try:
        event = _decode(payload)
        if event.meta is not None and isinstance(event.meta.dt, str):
            return datetime.fromisoformat(event.meta.dt).timestamp()
        return float(event.timestamp)
    except (msgspec.DecodeError, RecursionError, ValueError, TypeError, OverflowError):
        return None
