"""What a fake upstream consists of while it runs: the history, what is left of the script, its readers, its counts."""

import asyncio
from typing import Any

from services.collector.upstream.audience import Audience
from services.collector.upstream.feed import Feed
from services.collector.upstream.history import TOPICS, History, Place
from services.collector.upstream.mishaps import Mishaps
from services.collector.upstream.request import STREAM_PATH, Request
from services.collector.upstream.stats import Asking, Stats
from services.shared.runtime.clock import Clock


class Upstream:
    """What a test holds. `address` is known once it listens."""

    def __init__(self, history: History, mishaps: Mishaps, clock: Clock) -> None:
        self.history = history
        self.mishaps = mishaps
        self.stats = Stats()
        self.audience = Audience()
        self.address = ""
        self.feed: Feed | None = None
        self.fed: asyncio.Future[None] | None = None
        """The feed's task: raises what is wrong with the arrivals, ends when nothing more will come."""
        self._clock = clock
        self._began = asyncio.get_running_loop().time()

    @property
    def url(self) -> str:
        """The stream's."""
        return f"{self.address}{STREAM_PATH}recentchange"

    def now(self) -> float:
        return self._clock.now()

    def asking(self, asked: Request) -> Asking:
        """Writes down a request for a stream."""
        headers, wanted = asked.headers, asked.asked
        at = asyncio.get_running_loop().time() - self._began
        asking = Asking(
            at, asked.method, asked.uri, wanted.last_event_id, wanted.since,
            headers.get("accept"), headers.get("user-agent"),
        )  # fmt: skip
        self.stats.requests.append(asking)
        return asking

    def as_json(self) -> dict[str, Any]:
        """What /_fake/stats answers."""
        ends = {topic: self.history.end(Place(topic)) for topic in TOPICS}
        return self.stats.as_json() | {
            "open": len(self.audience),
            "behind": self.audience.behind,
            "faults": dict(self.mishaps.happened),
            "history": {
                "topics": ends,
                "own": self.feed.own if self.feed else 0,
                "finished": self.feed is None or self.feed.finished,
                "latest_ms": self.history.latest_ms,
            },
        }
