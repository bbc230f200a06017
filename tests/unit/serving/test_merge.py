"""Top lists and counts of a sum, from its parts: laws over arbitrary rows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.serving import merge
from services.shared.domain.query import Having
from services.shared.domain.views import PAGES, Rows, add

_keys = st.tuples(st.sampled_from("abcdefgh"))
# Net bytes may fall, so a key of the speed part can leave the top.
_measures = st.tuples(st.integers(0, 9), st.integers(-9, 9), st.integers(0, 9))
_rows = st.dictionaries(_keys, _measures, max_size=8)


def ranked(rows: Rows, measure: int, limit: int) -> merge.Ranked:
    return sorted(rows.items(), key=lambda row: (-row[1][measure], row[0]))[:limit]


@given(batch=_rows, speed=_rows, measure=st.integers(0, 2), limit=st.integers(1, 9))
def test_a_merged_top_is_the_top_of_the_sum(
    batch: Rows, speed: Rows, measure: int, limit: int
) -> None:
    deep = ranked(batch, measure, merge.depth(speed, measure, limit))
    known = {key: row for key, row in batch.items() if key in speed}
    top = merge.top(deep, speed, known, measure=measure, limit=limit)
    assert top == ranked(add(batch, speed), measure, limit)


@given(
    batch=_rows,
    speed=_rows,
    low=st.integers(0, 9),
    high=st.none() | st.integers(0, 20),
)
def test_a_merged_count_is_the_count_of_the_sum(
    batch: Rows, speed: Rows, low: int, high: int | None
) -> None:
    having = Having("edits", low, high)

    def counted(rows: Rows) -> int:
        return sum(1 for row in rows.values() if merge.meets(row, PAGES, having))

    known = {key: row for key, row in batch.items() if key in speed}
    merged = merge.count(counted(batch), speed, known, view=PAGES, having=having)
    assert merged == counted(add(batch, speed))


def test_a_stem_is_shown_as_it_is_seen_most_and_the_first_of_equals() -> None:
    forms: Rows = {
        ("gat", "gatos"): (2,), ("gat", "gato"): (2,), ("gat", "Gata"): (1,), ("x", "X"): (1,)
    }  # fmt: skip
    assert merge.shown_forms(forms) == {"gat": "gato", "x": "X"}
