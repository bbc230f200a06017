from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shared.runtime.duration import Duration


@pytest.mark.parametrize(
    ("written", "seconds", "shown"),
    [
        ("250ms", 0.25, "250ms"),
        ("15", 15, "15s"),
        ("90s", 90, "90s"),
        (" 5 m ", 300, "5m"),
        ("1.5h", 5400, "90m"),
        ("24h", 86_400, "1d"),
        (7, 7, "7s"),
        (0, 0, "0s"),
    ],
)
def test_durations_are_read_and_shown(written: str | float, seconds: float, shown: str) -> None:
    duration = Duration.of(written)
    assert duration == seconds
    assert str(duration) == shown


@pytest.mark.parametrize("wrong", ["", "m", "5 weeks", "-1", "1e3", "٣s", "nan", "inf"])
def test_other_texts_are_no_durations(wrong: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        Duration.of(wrong)


@pytest.mark.parametrize("wrong", [-1, float("inf"), float("nan"), True])
def test_other_numbers_are_no_durations(wrong: float) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        Duration.of(wrong)


@given(st.integers(0, 10**9))
def test_what_is_shown_reads_back(milliseconds: int) -> None:
    duration = Duration.of(milliseconds / 1000)
    assert Duration.of(str(duration)) == pytest.approx(duration)


@given(st.text(max_size=20))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    try:
        assert Duration.of(text) >= 0
    except ValueError as error:
        assert "is not a duration" in str(error)  # noqa: PT017 - either outcome is right
