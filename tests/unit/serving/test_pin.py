"""What a pin says of two views that stand at different positions."""

from dataclasses import replace

import pytest

from services.serving.pin import EXACT, PARTIAL, Token, pin, pin_at
from services.shared.domain.generation import Generation, Segment
from services.shared.domain.positions import Vector
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
    ("until", "stands"),
    [((8, 5), True), ((6, 5), True), ((5, 5), True), ((9, 5), False), ((4, 5), False)],
)
def test_a_token_stands_between_the_horizon_and_what_is_visible(
    until: Vector, stands: bool
) -> None:
    token = replace_until(pin(GENERATION, VISIBLE).position, until)
    pinned = pin_at(token, GENERATION, VISIBLE)
    assert (pinned is not None) == stands
    assert pinned is None or pinned.until == until


def replace_until(token: Token, until: Vector) -> Token:
    return Token(token.log, token.generation, until, token.times)
