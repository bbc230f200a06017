"""How long to wait before the stream is asked again. Pure.

Full jitter (M. Brooker, "Exponential Backoff And Jitter", 2015): a random part of a bound that doubles
with every connection in a row that brought nothing new. A connection that did bring something is the
upstream's ordinary cut and begins anew. Two connections never begin within the base of each other,
whatever happens, and what the upstream asks for (`Retry-After`, `retry:`) comes before all of it.
"""

import random
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST_ASKED: Final = 3600.0
"""Seconds: a `Retry-After` beyond this is taken for a mistake."""
SLOW: Final = 300.0
"""Seconds between tries where only a person can help."""
_MOST_DOUBLINGS: Final = 10


@dataclass(slots=True)
class Pacing:
    """`base` and `longest` are in seconds."""

    base: float = 1.0
    longest: float = 60.0
    failures: int = 0
    _random: random.Random = field(default_factory=random.Random)

    def obey(self, retry: float | None) -> None:
        """The stream's own `retry:` field, in seconds."""
        if retry is not None:
            self.base = min(max(self.base, retry), self.longest)

    def wait(self, *, progress: bool, lasted: float, asked: float | None = None) -> float:
        """Seconds to wait after a connection that began `lasted` seconds ago."""
        self.failures = 0 if progress else self.failures + 1
        bound = min(self.longest, self.base * 2 ** min(self.failures, _MOST_DOUBLINGS))
        wait = max(self._random.uniform(0, bound), self.base - lasted)
        return max(wait, min(asked or 0.0, LONGEST_ASKED))


def retry_after(header: str | None, now: float) -> float | None:
    """Seconds that a `Retry-After` header asks for: a number of them, or a date; None if neither."""
    if header is None:
        return None
    if header.strip().isascii() and header.strip().isdigit():
        return float(header)
    try:
        date = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, date.replace(tzinfo=date.tzinfo or UTC).timestamp() - now)
