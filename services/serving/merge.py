"""Batch part + speed part = one answer. Pure; the other half of the idea in `domain/views`.

The batch part covers the positions before the horizon, the speed part those from the horizon to the
visible position, so nothing is in both and `add` is all there is to it. What does not add, top lists
and distinct counts, is made from what does: keys that the speed part touches are looked up in the
batch part, and all others stand as the batch part says.
"""

from services.shared.domain.query import Having
from services.shared.domain.views import Key, Measures, Rows, View, add

Ranked = list[tuple[Key, Measures]]


def depth(speed: Rows, measure: int, limit: int) -> int:
    """How deep the batch top list must be for an exact merged top of `limit`.

    Only a speed key whose change is negative can fall and let a key from below `limit` rise.
    """
    return limit + sum(1 for measures in speed.values() if measures[measure] < 0)


def top(batch: Ranked, speed: Rows, known: Rows, *, measure: int, limit: int) -> Ranked:
    """The first `limit` of the sum, measure descending, key ascending.

    `batch` is the batch part's top, `depth` deep; `known` the batch part's rows of the speed keys.
    """
    touched = add({key: known[key] for key in speed if key in known}, speed)
    untouched = [row for row in batch if row[0] not in speed]
    ranked = sorted([*untouched, *touched.items()], key=lambda row: (-row[1][measure], row[0]))
    return ranked[:limit]


def count(batch: int, speed: Rows, known: Rows, *, view: View, having: Having) -> int:
    """How many groups of the sum meet `having`; `batch` counts those of the batch part."""
    met_before = sum(1 for key in speed if key in known and meets(known[key], view, having))
    met_now = sum(
        1 for key, row in add({k: known[k] for k in speed if k in known}, speed).items()
        if meets(row, view, having)
    )  # fmt: skip
    return batch - met_before + met_now


def meets(measures: Measures, view: View, having: Having) -> bool:
    value = measures[view.measures.index(having.measure)]
    return value >= having.low and (having.high is None or value < having.high)


def shown_forms(forms: Rows) -> dict[str, str]:
    """The form in which a stem is shown: its most frequent one, the first of equals.

    `forms` has the keys (stem, form) and edits as its first measure.
    """
    best: dict[str, tuple[int, str]] = {}
    for (stem, form), (edits, *_) in forms.items():
        rank = (-edits, str(form))
        if str(stem) not in best or rank < best[str(stem)]:
            best[str(stem)] = rank
    return {stem: form for stem, (_, form) in best.items()}
