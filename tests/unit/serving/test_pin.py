"""What a pin says of two views that stand at different positions."""

from dataclasses import replace

import pytest
from msgspec import structs

from services.serving.pin import EXACT, PARTIAL, pin, pin_at
from services.shared.domain.generation import Generation, Segment
from services.shared.domain.positions import Vector, upper
from services.shared.speedview.port import Visible

GENERATION = Generation(1, "log", (Segment("s", (0, 0), (5, 5), "1"),), (5, 5), (50, 50), 0, 0)
VISIBLE = Visible("log", (8, 3), (80, 30), (0, 0))


def test_as_of_is_the_further_of_horizon_and_visible_position_in_each_partition() -> None:
    pinned = pin(GENERATION, VISIBLE)
    assert (pinned.since, pinned.until, pinned.times) == ((5, 5), (8, 5), (80, 50))
    assert pinned.completeness == EXACT


@pytest.mark.parametrize(
    ("visible", "why"),
    [
        (None, "speed view missing"),
        (replace(VISIBLE, log="other"), "speed view belongs to another log"),
        (replace(VISIBLE, rebuilding_until=(8, 4)), "speed view is being rebuilt"),
        (replace(VISIBLE, floor=(0, 6)), "speed view begins after the horizon"),
    ],
)
def test_a_layer_that_is_not_whole_makes_it_partial(visible: Visible | None, why: str) -> None:
    pinned = pin(GENERATION, visible)
    assert (pinned.completeness, pinned.reasons) == (PARTIAL, (why,))


@pytest.mark.parametrize("floor", [(0, 0), (5, 5)])
def test_a_view_that_begins_at_or_before_the_horizon_is_whole(floor: Vector) -> None:
    assert pin(GENERATION, replace(VISIBLE, floor=floor)).completeness == EXACT


@pytest.mark.parametrize(
    ("visible", "stands"),
    [((8, 3), True), ((6, 3), True), ((5, 0), True), ((9, 3), False), ((8, 4), False)],
)
def test_a_token_stands_up_to_what_is_visible(visible: Vector, stands: bool) -> None:
    token = structs.replace(pin(GENERATION, VISIBLE).position, visible=visible)
    pinned = pin_at(token, GENERATION, VISIBLE)
    assert (pinned is not None) == stands
    assert pinned is None or pinned.until == upper(visible, GENERATION.horizon)


def test_a_token_outlives_documents_that_are_let_go_of_but_a_search_does_not() -> None:
    token = pin(GENERATION, VISIBLE).position
    later = pin_at(token, GENERATION, replace(VISIBLE, floor=(4, 3)))
    assert later is not None
    assert (later.completeness, later.shrunk, later.floor) == (EXACT, True, (0, 0))
    assert pin_at(token, GENERATION, replace(VISIBLE, floor=(6, 3))) is None, "sums need them"
    forged = structs.replace(token, floor=(6, 6))
    assert (pin_at(forged, GENERATION, VISIBLE) or later).completeness == PARTIAL
