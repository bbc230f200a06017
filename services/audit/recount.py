"""A recount of events by the plainest means: one loop, counters, no views and no merge.

It shares with the product only what decides what an event *is* (`decode`) and what its words are
(`documents`). Everything that could be wrong about positions, sums, segments, look-ups and tops is
done here in the obvious way instead.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Final

from services.shared import decode, documents
from services.shared.domain import identity
from services.shared.domain.change import NEW, Change
from services.shared.domain.classes import is_bot_name

Who = tuple[str, str]
"""Editor class and page class."""
SUMMED: Final = ("net_bytes", "abs_bytes", "minor", "new_pages")


@dataclass(slots=True)
class Day:
    """The counters of one project and event day."""

    changes: Counter[tuple[str, str, str, int]] = field(default_factory=Counter)
    net_bytes: Counter[tuple[str, str]] = field(default_factory=Counter)
    abs_bytes: Counter[tuple[str, str]] = field(default_factory=Counter)
    minutes: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    by_minute: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    """Of each of `SUMMED`, by editor class and minute."""
    minor: Counter[str] = field(default_factory=Counter)
    flags: Counter[tuple[bool, bool]] = field(default_factory=Counter)
    pages: dict[str, Counter[Who]] = field(default_factory=dict)
    editors: dict[str, Counter[Who]] = field(default_factory=dict)
    words: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    hashtags: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add_keys(self, other: "Day") -> None:
        """Take another day's pages and editors in: what a month has to know."""
        for own, theirs in ((self.pages, other.pages), (self.editors, other.editors)):
            for key, edits in theirs.items():
                own.setdefault(key, Counter()).update(edits)


class Recount:
    """Counters over the distinct changes that it was shown, in order of position.

    `copies` counts what was left out. `late` are copies that came later than the dedupe window at
    positions that only the speed layer answers: they may show until the next batch run.
    """

    def __init__(self, window_ms: int) -> None:
        self._window_ms = window_ms
        self._seen: dict[bytes, int] = {}
        self.days: dict[tuple[str, int], Day] = defaultdict(Day)
        self.events = 0
        self.copies = 0
        self.late: set[tuple[str, int]] = set()

    def take(self, raw: bytes, appended_at: int, *, settled: bool) -> None:
        """Count one stored event, unless a copy of it has been counted.

        `settled` tells that the batch layer answers for its position.
        """
        event = decode.parse(raw)
        if not isinstance(event, Change):
            return
        key = identity.digest(event.id)
        if key in self._seen:
            self.copies += 1
            if not settled and appended_at - self._seen[key] > self._window_ms:
                self.late.add((event.project, event.day))
            return
        self._seen[key] = appended_at
        self.events += 1
        day, document = self.days[event.project, event.day], documents.document(event)
        _count(day, event)
        who = event.editor_class
        day.words.update((who, word.stem, word.form) for word in document.words)
        day.hashtags.update((who, tag) for tag in document.hashtags)


def _count(day: Day, change: Change) -> None:
    who, where = change.editor_class, change.page_class
    day.changes[who, where, change.type, change.timestamp // 3600] += 1
    if not change.is_edit:
        return
    minute = change.timestamp // 60
    day.minutes[who, where, minute] += 1
    size = change.net_bytes
    for name, value in zip(
        SUMMED, (size, abs(size), change.minor, change.type == NEW), strict=True
    ):
        day.by_minute[name, who, minute] += value
    day.minor[who] += change.minor
    day.net_bytes[who, where] += change.net_bytes
    day.abs_bytes[who, where] += abs(change.net_bytes)
    day.flags[change.bot, is_bot_name(change.user)] += 1
    day.pages.setdefault(change.title, Counter())[who, where] += 1
    if change.user:
        day.editors.setdefault(change.user, Counter())[who, where] += 1
