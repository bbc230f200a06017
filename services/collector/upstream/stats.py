"""What clients did to a fake upstream, for tests and journeys to read: in process, or as JSON at `PATH`."""

from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any, Final

PATH: Final = "/_fake/stats"

_REMEMBERED: Final = 10_000  # requests; a test has fewer, and a process that stays up is bounded
_WINDOW_S: Final = 1.0


@dataclass
class Asking:
    """One request for a stream. `at` is in seconds since the start; `status` None: given none."""

    at: float
    method: str
    uri: str
    last_event_id: str | None
    since: str | None
    accept: str | None
    user_agent: str | None
    status: int | None = None
    sent: int = 0


@dataclass
class Stats:
    """`largest_rate` is the largest number of connections within any second."""

    connections: int = 0
    largest_rate: int = 0
    events: int = 0
    bytes: int = 0
    skipped: int = 0
    """Messages that an expired resume point took from clients."""
    requests: deque[Asking] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    _recent: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    def connected(self, at: float) -> None:
        """A connection, at a time that never goes back."""
        self.connections += 1
        self._recent.append(at)
        while self._recent[0] <= at - _WINDOW_S:
            self._recent.popleft()
        self.largest_rate = max(self.largest_rate, len(self._recent))

    def as_json(self) -> dict[str, Any]:
        return {
            "connections": self.connections,
            "largest_rate": self.largest_rate,
            "events": self.events,
            "bytes": self.bytes,
            "skipped": self.skipped,
            "requests": [asdict(asking) for asking in self.requests],
        }
