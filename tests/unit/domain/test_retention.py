"""What may be removed: a copy that comes within the window must always meet its winner."""

from hypothesis import given
from hypothesis import strategies as st

from services.shared.domain.retention import removable_before, removable_everywhere

times = st.tuples(st.integers(0, 50), st.integers(0, 50))


@given(window=st.integers(0, 20), visible=times, horizon=times, winner=times, copy=times)
def test_no_copy_within_the_window_finds_its_winner_gone(
    window: int,
    visible: tuple[int, int],
    horizon: tuple[int, int],
    winner: tuple[int, int],
    copy: tuple[int, int],
) -> None:
    """A copy that is still to come is appended at or after the log time at both positions."""
    removable = removable_before(window, visible, horizon)
    for p in (0, 1):
        may_still_come = copy[p] >= min(visible[p], horizon[p])
        if may_still_come and winner[p] <= copy[p] <= winner[p] + window:
            assert winner[p] >= removable[p]
            assert winner[p] >= removable_everywhere(window, visible, horizon)


@given(window=st.integers(0, 20), visible=times, horizon=times)
def test_all_that_may_go_goes(
    window: int, visible: tuple[int, int], horizon: tuple[int, int]
) -> None:
    removable = removable_before(window, visible, horizon)
    for p, time in enumerate(removable):
        assert time - 1 + window < min(visible[p], horizon[p]) <= time + window
    assert removable_everywhere(window, visible, horizon) == min(removable)


def test_without_partitions_nothing_goes() -> None:
    assert removable_everywhere(0, (), ()) == 0
