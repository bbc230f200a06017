from math import log2

from hypothesis import given
from hypothesis import strategies as st

from services.batch.compaction import FEW, plan
from services.shared.domain.generation import Segment


def chain(count: int, versions: str = "") -> list[Segment]:
    names = versions or "1" * count
    return [Segment(f"s{i}", (i,), (i + 1,), names[i]) for i in range(count)]


def grown(sizes: list[int]) -> tuple[list[int], list[int], int]:
    """Stages one segment after the other: sizes left, most segments ever, rows written again."""
    held: list[int] = []
    most, rewritten = 0, 0
    for size in sizes:
        held.append(size)
        most = max(most, len(held))
        start = plan(chain(len(held)), held)
        if start is not None:
            rewritten += sum(held[start:])
            held[start:] = [sum(held[start:])]
    return held, [most], rewritten


def test_few_segments_are_left_alone() -> None:
    assert plan([], []) is None
    assert plan(chain(3), [1, 1, 1]) is None
    assert plan(chain(4), [1, 1, 1, 1]) == 0


def test_a_long_segment_stays_until_what_follows_is_as_long() -> None:
    assert plan(chain(5), [1000, 1, 1, 1, 1]) == 1
    assert plan(chain(4), [1000, 1, 1, 1]) is None
    assert plan(chain(5), [4, 1, 1, 1, 1]) == 0


def test_segments_of_another_version_are_left_to_a_rebuild() -> None:
    assert plan(chain(5, "12222"), [1, 1, 1, 1, 1]) == 1
    assert plan(chain(5, "11222"), [1, 1, 1, 1, 1]) is None


@given(st.lists(st.integers(0, 1000), max_size=300))
def test_segments_stay_few_and_rows_are_rewritten_seldom(sizes: list[int]) -> None:
    held, (most,), rewritten = grown(sizes)
    total = sum(sizes)
    assert sum(held) == total
    assert most <= FEW + log2(total + 2) + 2
    assert rewritten <= total * (log2(total + 1) + 2)


def test_equal_runs_cost_log_n_each() -> None:
    for runs in (32, 512):
        assert grown([100] * runs)[2] <= 100 * runs * log2(runs)
