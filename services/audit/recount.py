"""A recount of events by the plainest means: one loop, counters, no views and no merge.

It shares with the product only what decides what an event *is* (`decode`) and what its words are
(`documents`). Everything that could be wrong about positions, sums, segments, look-ups and tops is
done here in the obvious way instead.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from services.shared import decode, documents
from services.shared.domain import identity
from services.shared.domain.change import Change
from services.shared.domain.classes import is_bot_name
from services.shared.domain.views import Document


@dataclass(slots=True)
class Day:
    """The counters of one project and event day."""

    changes: Counter[tuple[str, str, str, int]] = field(default_factory=Counter)
    net_bytes: Counter[tuple[str, str]] = field(default_factory=Counter)
    abs_bytes: Counter[tuple[str, str]] = field(default_factory=Counter)
    minutes: Counter[tuple[str, int]] = field(default_factory=Counter)
    minor: Counter[str] = field(default_factory=Counter)
    flags: Counter[tuple[bool, bool]] = field(default_factory=Counter)
    pages: dict[str, Counter[str]] = field(default_factory=dict)
    editors: dict[str, Counter[str]] = field(default_factory=dict)
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
        _count(self.days[event.project, event.day], documents.document(event))


def _count(day: Day, document: Document) -> None:
    change = document.change
    who = change.editor_class
    hour = change.timestamp // 3600
    day.changes[who, change.page_class, change.type, hour] += 1
    if not change.is_edit:
        return
    day.minutes[who, change.timestamp // 60] += 1
    day.minor[who] += change.minor
    day.net_bytes[who, change.page_class] += change.net_bytes
    day.abs_bytes[who, change.page_class] += abs(change.net_bytes)
    day.flags[change.bot, is_bot_name(change.user)] += 1
    day.pages.setdefault(change.title, Counter())[who] += 1
    if change.user:
        day.editors.setdefault(change.user, Counter())[who] += 1
    day.words.update((who, word.stem, word.form) for word in document.words)
    day.hashtags.update((who, tag) for tag in document.hashtags)
