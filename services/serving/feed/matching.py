"""The filters of a search as a function of a change: what it says is what the speed view would find."""

from collections.abc import Callable
from typing import Any

from services.serving.feed.events import Event
from services.shared.speedview.port import Search

Matches = Callable[[Event], bool]


def matcher(search: Search) -> Matches:
    """True for a change for which every filter that is given holds."""
    wanted = [
        (name, frozenset[Any](values))
        for name, values in (
            ("project", search.projects),
            ("type", search.types),
            ("editor_class", search.editor_classes),
            ("namespace", search.namespaces),
        )
        if values
    ]
    low, high, terms = search.low, search.high, frozenset(search.terms)

    def matches(event: Event) -> bool:
        change = event.found.document.change
        return (
            all(getattr(change, name) in values for name, values in wanted)
            and (low is None or change.timestamp >= low)
            and (high is None or change.timestamp < high)
            and (not terms or terms <= event.terms)
        )

    return matches
