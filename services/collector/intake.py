"""Frames of a source -> what one append stores: sorted, counted, and with the cursor after them.

Every payload goes to exactly one place, and the tally says so:
received = appended (canaries among them) + filtered.* + rejected.*
"""

import hashlib
from collections import Counter
from typing import Final

from services.collector.filters import Filters
from services.collector.source.port import Frame
from services.shared.decode import TOO_LARGE, parse
from services.shared.domain.change import Canary, Rejected
from services.shared.log.port import DeadLetter, Entry, Gap

RECEIVED: Final = "received"
APPENDED: Final = "appended"
CANARIES: Final = "canaries"
FILTERED: Final = "filtered."
REJECTED: Final = "rejected."


class Intake:
    """Grows by payloads, and by other intakes that follow it."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.deadletters: list[DeadLetter] = []
        self.gaps: list[Gap] = []
        self.tally: Counter[str] = Counter()
        self.cursor: str | None = None
        self.newest: int | None = None  # event time, seconds
        self.bytes = 0

    def __bool__(self) -> bool:
        return self.cursor is not None

    def __len__(self) -> int:
        """Events to be stored."""
        return len(self.entries) + len(self.deadletters)

    def take(self, frame: Frame, some: range, source: str, filters: Filters) -> None:
        """Sort some payloads of the frame."""
        for index in some:
            raw = frame.payloads[index]
            self.tally[RECEIVED] += 1
            outcome = _oversized(frame.cut[index]) if index in frame.cut else parse(raw)
            if isinstance(outcome, Rejected):
                self._reject(raw, outcome, source, frame.cursor)
            elif isinstance(outcome, Canary):
                self.tally[CANARIES] += 1
                self._enter(outcome.id, raw)
            elif left_out_by := filters.leaving_out(outcome):
                self.tally[FILTERED + left_out_by] += 1
            else:
                self._enter(outcome.id, raw)
                self.newest = max(self.newest or 0, outcome.timestamp)

    def close(self, frame: Frame) -> None:
        """All payloads of the frame are in: the cursor moves with them."""
        self.gaps.extend(frame.gaps)
        self.cursor = frame.cursor

    def extend(self, following: "Intake") -> None:
        self.entries += following.entries
        self.deadletters += following.deadletters
        self.gaps += following.gaps
        self.tally += following.tally
        self.cursor = following.cursor
        self.newest = max(self.newest or 0, following.newest or 0) or None
        self.bytes += following.bytes

    def _enter(self, key: str, raw: bytes) -> None:
        self.tally[APPENDED] += 1
        self.entries.append(Entry(key, raw))
        self.bytes += len(raw)

    def _reject(self, raw: bytes, why: Rejected, source: str, cursor: str) -> None:
        self.tally[REJECTED + why.reason] += 1
        known = hashlib.sha256(raw).hexdigest()
        self.deadletters.append(DeadLetter(known, raw, why.reason, why.detail, source, cursor))
        self.bytes += len(raw)


def _oversized(size: int) -> Rejected:
    return Rejected(TOO_LARGE, f"{size} bytes, of which the first are kept")
