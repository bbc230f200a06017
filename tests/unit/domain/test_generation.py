"""A generation is a chain of segments without overlap or gap, and cannot be anything else."""

from dataclasses import replace

import msgspec
import pytest

from services.shared.domain.generation import Generation, Segment, first

A = Segment("a", (0, 0), (3, 1), "1")
B = Segment("b", (3, 1), (3, 9), "1")
WHOLE = Generation(2, "log", (A, B), (3, 9), (5, 5), 0, 7)


def test_generation_0_is_a_present_and_empty_layer() -> None:
    assert first("log", 2, 7) == Generation(0, "log", (), (0, 0), (0, 0), 0, 7)


@pytest.mark.parametrize(
    ("segments", "wrong"),
    [
        ((A, replace(B, since=(3, 2))), "b starts at"),
        ((A, replace(B, since=(2, 1))), "b starts at"),
        ((B, A), "a starts at"),
        ((A,), "end at"),
        ((A, replace(B, until=(4, 9))), "end at"),
    ],
)
def test_a_gap_an_overlap_or_another_end_is_refused(
    segments: tuple[Segment, ...], wrong: str
) -> None:
    with pytest.raises(ValueError, match=wrong):
        replace(WHOLE, segments=segments)


def test_what_was_stored_before_there_were_topics_can_still_be_read() -> None:
    stored = msgspec.json.decode(msgspec.json.encode(WHOLE), type=dict[str, object])
    del stored["topic_model"], stored["topic_map"]
    assert msgspec.convert(stored, Generation) == WHOLE
