"""What is true of a run: exact counts, kept while it is made and not by looking at its events.

Copies count once and canaries never, as in the product's answers: whoever reads the run's output with
whatever tool can compare. `changes` are of all types, `edits` of types edit and new.
"""

from collections import Counter
from typing import Any

from services.collector.simulator.stream import Simulated
from services.shared.domain.change import EDIT_TYPES


class Truth:
    def __init__(self) -> None:
        self.events = 0
        self.canaries = 0
        self.duplicates = 0
        self.late = 0
        self.types: Counter[str] = Counter()
        self.projects: Counter[str] = Counter()
        self.classes: Counter[str] = Counter()
        self.edits: Counter[tuple[str, str, str]] = Counter()
        self.themes: dict[str, dict[str, str]] = {}

    @property
    def distinct(self) -> int:
        """How many different changes there were."""
        return self.events - self.canaries - self.duplicates

    def add(self, simulated: Simulated) -> None:
        self.events += 1
        facts = simulated.facts
        if facts is None:
            self.canaries += 1
            return
        if simulated.copy_of is not None:
            self.duplicates += 1
            return
        self.late += facts.late
        self.types[facts.type] += 1
        self.projects[facts.project] += 1
        self.classes[facts.editor_class] += 1
        if facts.type in EDIT_TYPES:
            self.edits[facts.project, facts.editor_class, facts.theme] += 1
        self.themes.setdefault(facts.project, {})[facts.title] = facts.theme

    def as_json(self) -> dict[str, Any]:
        return {
            "events": self.events,
            "distinct": self.distinct,
            "duplicates": self.duplicates,
            "canaries": self.canaries,
            "late": self.late,
            "changes": {
                "by_type": _sorted(self.types),
                "by_project": _sorted(self.projects),
                "by_editor_class": _sorted(self.classes),
            },
            "edits": {
                "by_editor_class": _sorted(self._edits_by(1)),
                "by_project_and_editor_class": self._nested(0, 1),
                "by_theme_and_editor_class": self._nested(2, 1),
            },
            "theme_of_page": {name: _sorted(self.themes[name]) for name in sorted(self.themes)},
        }

    def _edits_by(self, column: int) -> Counter[str]:
        sums: Counter[str] = Counter()
        for key, count in self.edits.items():
            sums[key[column]] += count
        return sums

    def _nested(self, outer: int, inner: int) -> dict[str, dict[str, int]]:
        sums: dict[str, Counter[str]] = {}
        for key, count in self.edits.items():
            sums.setdefault(key[outer], Counter())[key[inner]] += count
        return {name: _sorted(sums[name]) for name in sorted(sums)}


def _sorted(table: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted(table.items()))
