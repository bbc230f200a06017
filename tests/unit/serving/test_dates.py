from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.serving.api import dates
from services.serving.api.dates import Granularity, Span

_times = st.datetimes(
    datetime(2001, 1, 1),  # noqa: DTZ001 (hypothesis wants bounds without a zone)
    datetime(2099, 12, 31),  # noqa: DTZ001
    timezones=st.just(UTC),
).map(lambda time: time.replace(second=0, microsecond=0))
_granularities = st.sampled_from([dates.HOURLY, dates.DAILY, dates.MONTHLY])


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("20240229", datetime(2024, 2, 29, tzinfo=UTC)),
        ("2024022923", datetime(2024, 2, 29, 23, tzinfo=UTC)),
        ("202402292359", datetime(2024, 2, 29, 23, 59, tzinfo=UTC)),
        ("21000101", datetime(2100, 1, 1, tzinfo=UTC)),
        *[
            (text, None)
            for text in (
                "20230229", "2024-02-29", "2024022924", "202402290060", "20001231", "21000102",
                "", "2024", "٢٠٢٤٠٢٢٩", "20240229 ", "+2024022",
            )
        ],
    ],
)  # fmt: skip
def test_dates_are_read_strictly(text: str, time: datetime | None) -> None:
    assert dates.parse(text) == time


@given(start=_times, days=st.integers(0, 800), granularity=_granularities)
def test_steps_fill_what_was_cut_and_nothing_else(
    start: datetime, days: int, granularity: Granularity
) -> None:
    asked = Span(start, min(start + timedelta(days), dates.LATEST))
    whole = dates.cut(asked, granularity)
    steps = list(dates.steps(whole, granularity))
    assert dates.cut(whole, granularity) == whole or not steps
    assert whole.end <= asked.end
    if granularity is dates.MONTHLY:
        assert whole.start >= asked.start
    assert all(whole.start <= step < whole.end for step in steps)
    assert steps == sorted(set(steps))
    assert bool(steps) == (whole.start < whole.end)


@given(time=_times)
def test_a_day_is_read_back(time: datetime) -> None:
    assert dates.from_day(dates.to_day(time)).date() == time.date()


@given(start=_times, hours=st.integers(1, 100), other=_times)
def test_conditions_hold_for_the_hours_of_a_span_and_no_others(
    start: datetime, hours: int, other: datetime
) -> None:
    span = dates.cut(Span(start, start + timedelta(hours=hours)), dates.HOURLY)

    def holds(time: datetime) -> bool:
        row = {"day": dates.to_day(time), "hour": int(time.timestamp()) // 3600}
        conditions = dates.within(span, "hour")
        return all(c.low <= row[c.column] < c.high for c in conditions)  # type: ignore[union-attr]

    for time in (span.start, span.end - timedelta(minutes=1)):
        assert holds(time)
    for time in (span.start - timedelta(minutes=1), span.end, other):
        assert holds(time) == (span.start <= time < span.end)
