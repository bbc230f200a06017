"""Whether parts belong together: what a start refuses, and what a copy warns of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from services.shared import fit
from services.shared.domain.generation import Generation, Segment
from services.shared.fit import Parts, Taken
from services.shared.speedview.port import Visible

DATA = Path("some data")
HORIZON = (2, 3)
GENERATION = Generation(
    4, "log", (Segment("s", (0, 0), HORIZON, "1"),), HORIZON, (5, 5), 0, published_at=9
)
VISIBLE = Visible("log", (4, 3), (6, 6), (1, 0))
PARTS = Parts("log", (0, 0), (4, 4), 1_700_000_000_000, GENERATION, VISIBLE, Taken("log", (3, 3)))


def test_what_belongs_together_is_taken_with_or_without_each_part() -> None:
    for parts in (PARTS, replace(PARTS, batch=None, speed=None, lake=None)):
        assert list(fit.misfits(parts, DATA)) == []
        assert fit.missed(parts) is None
    assert fit.told(PARTS).startswith("all up to 2023-11-14T22:13:20+00:00, position (4, 4) of")
    assert fit.told(replace(PARTS, batch=None)).endswith("no batch view")


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (
            replace(PARTS, end=(1, 9)),
            ["batch view's horizon", "lake's horizon", "speed view stands"],
        ),
        (replace(PARTS, end=(2, 3)), ["lake's horizon", "speed view stands"]),
        (replace(PARTS, end=(3, 3)), ["speed view stands"]),
        (replace(PARTS, log="other"), ["batch view belongs", "lake belongs", "speed view belongs"]),
        (replace(PARTS, lake=Taken("other", (0, 0))), ["lake belongs"]),
    ],
)
def test_what_does_not_is_refused_each_with_its_way_out(parts: Parts, said: list[str]) -> None:
    found = list(fit.misfits(parts, DATA))
    assert len(found) == len(said)
    for line, part in zip(found, said, strict=True):
        assert part in line
        way_out = line.rpartition("; ")[2]
        assert way_out.startswith(
            "bvw speed rebuild --data 'some data'" if "speed" in part else "put back the one"
        )


def test_what_the_parts_have_let_go_of_is_missed() -> None:
    assert "the log begins at (4, 0)" in str(fit.missed(replace(PARTS, start=(4, 0))))
    late = replace(VISIBLE, floor=(3, 0))
    assert "the speed view begins at (3, 0)" in str(fit.missed(replace(PARTS, speed=late)))
