from hypothesis import given
from hypothesis import strategies as st

from services.batch.spans import steps
from services.shared.domain.positions import Span, reaches

vectors = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=4)


@given(pairs=vectors, at_most=st.integers(1, 200))
def test_steps_lead_to_the_end_and_are_small(pairs: list[tuple[int, int]], at_most: int) -> None:
    since = tuple(first for first, _ in pairs)
    until = tuple(first + width for first, width in pairs)
    ends = list(steps(Span(since, until), at_most))
    assert not ends if since == until else ends[-1] == until
    at = since
    for end in ends:
        assert reaches(end, at)
        assert sum(end) - sum(at) < at_most + len(pairs)
        at = end
