"""Vectors of next positions form a lattice, and an empty span is one that nothing lies in."""

from hypothesis import given
from hypothesis import strategies as st

from services.shared.domain.positions import (
    Position,
    Span,
    Vector,
    before,
    empty,
    lower,
    reaches,
    upper,
    zero,
)

vectors = st.tuples(*[st.integers(0, 5)] * 3)


@given(vectors, vectors, vectors)
def test_upper_and_lower_bound_both_and_are_the_closest_to(a: Vector, b: Vector, c: Vector) -> None:
    assert reaches(upper(a, b), a)
    assert reaches(a, lower(a, b))
    assert upper(a, b) == upper(b, a)
    assert lower(a, b) == lower(b, a)
    assert (reaches(c, a) and reaches(c, b)) == reaches(c, upper(a, b))
    assert (reaches(a, c) and reaches(b, c)) == reaches(lower(a, b), c)


@given(vectors, vectors)
def test_who_reaches_another_has_taken_in_all_that_it_has(a: Vector, b: Vector) -> None:
    positions = [Position(p, offset) for p in range(3) for offset in range(6)]
    taken_by_b = [position for position in positions if before(position, b)]
    assert reaches(a, b) == all(before(position, a) for position in taken_by_b)


@given(vectors, vectors)
def test_a_span_is_empty_when_no_position_lies_in_it(since: Vector, until: Vector) -> None:
    positions = [Position(p, offset) for p in range(3) for offset in range(6)]
    inside = [x for x in positions if before(x, until) and not before(x, since)]
    assert empty(Span(since, until)) == (not inside)


def test_nothing_is_before_the_start() -> None:
    assert not any(before(Position(p, 0), zero(3)) for p in range(3))
