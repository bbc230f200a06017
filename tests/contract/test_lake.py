"""What every lake promises (services/shared/lake/port.py), over every adapter."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from services.shared.domain.positions import Span
from services.shared.lake import schemas
from services.shared.lake.embedded import IcebergLake
from services.shared.lake.port import DEFINED, RAW, TABLES, Horizon, Lake, Stale
from services.shared.runtime.clock import ManualClock
from tests.contract.backends import chosen
from tests.unit.lake.rows import (
    DAY,
    LOG,
    at,
    digests,
    event_id,
    held,
    rows,
    scanned,
    step,
)

NEXT_DAY = DAY + 1
Opener = Callable[[], Awaitable[Lake]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_700_000_000)


@pytest.fixture
async def opener(backend: str, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Opener]:
    """Opens the same lake once more, as another process would."""
    async with AsyncExitStack() as stack:

        async def embedded() -> Lake:
            lake = await IcebergLake.open(tmp_path / "lake", clock)
            stack.push_async_callback(lake.close)
            return lake

        yield chosen("lake", backend, {"embedded": embedded})


@pytest.fixture
async def lake(opener: Opener) -> Lake:
    lake = await opener()
    await lake.begin(LOG, at(0, 0))
    return lake


async def put(lake: Lake, table: str, since: Horizon, until: Horizon, day: int = DAY) -> None:
    taken = step(since.positions, until.positions)
    await lake.append(table, rows(table, taken, day), since.positions, until)


async def test_a_lake_begins_where_it_is_told(lake: Lake) -> None:
    assert [await lake.horizon(table) for table in TABLES] == [at(0, 0)] * 3
    assert await lake.days() == []
    assert await lake.expired() == []
    assert await lake.identity() == LOG


async def test_a_lake_that_has_not_begun_holds_nothing(opener: Opener) -> None:
    lake = await opener()
    assert await lake.identity() is None
    assert await lake.days() == []
    assert await lake.expired() == []
    assert await held(lake, RAW) == await held(lake, RAW, Span((0, 0), (9, 9))) == []
    assert await held(lake, DEFINED, days=[DAY]) == []
    with pytest.raises(ValueError, match="has no table"):
        await lake.horizon(RAW)


async def test_beginning_again_changes_nothing(lake: Lake) -> None:
    await put(lake, RAW, at(0, 0), at(2, 2))
    await lake.begin(LOG, at(0, 0))
    assert await lake.horizon(RAW) == at(2, 2)


async def test_another_log_is_refused(lake: Lake, opener: Opener) -> None:
    other = await opener()
    with pytest.raises(ValueError, match=LOG):
        await other.begin("another-log", at(0, 0))


@pytest.mark.parametrize("table", TABLES)
async def test_what_is_appended_is_there_for_everybody(
    lake: Lake, opener: Opener, table: str
) -> None:
    await put(lake, table, at(0, 0), at(3, 2))
    other = await opener()
    assert await other.horizon(table) == at(3, 2)
    (piece,) = await scanned(other, table, schemas.ARROW[table].names)
    assert piece.sort_by([("partition", "ascending"), ("offset", "ascending")]).equals(
        rows(table, step((0, 0), (3, 2)))
    )


async def test_tables_have_their_own_horizons(lake: Lake) -> None:
    await put(lake, RAW, at(0, 0), at(5, 5))
    await put(lake, DEFINED, at(0, 0), at(2, 2))
    assert await lake.horizon(RAW) == at(5, 5)
    assert await lake.horizon(DEFINED) == at(2, 2)


async def test_a_range_without_rows_moves_the_horizon(lake: Lake) -> None:
    await put(lake, RAW, at(0, 0), at(1, 1))
    await lake.append(RAW, rows(RAW, []), (1, 1), at(9, 4))
    assert await lake.horizon(RAW) == at(9, 4)
    assert await held(lake, RAW) == [(0, 0), (1, 0)]


async def test_an_append_from_elsewhere_is_refused_and_leaves_nothing(lake: Lake) -> None:
    await put(lake, RAW, at(0, 0), at(2, 2))
    for since in [(0, 0), (1, 2), (3, 3)]:
        with pytest.raises(Stale):
            await lake.append(RAW, rows(RAW, [(0, 77)]), since, at(9, 9))
    assert await lake.horizon(RAW) == at(2, 2)
    assert await held(lake, RAW) == step((0, 0), (2, 2))


async def test_an_append_never_goes_back(lake: Lake) -> None:
    await put(lake, RAW, at(0, 0), at(2, 2))
    with pytest.raises(ValueError, match="cannot end at"):
        await lake.append(RAW, rows(RAW, []), (2, 2), at(1, 3))
    assert await lake.horizon(RAW) == at(2, 2)


async def test_of_two_that_race_one_wins(lake: Lake, opener: Opener) -> None:
    other = await opener()
    winners: list[tuple[int, int]] = []
    for n in range(6):
        since, until = (n, n), at(n + 1, n + 1)
        attempts = await asyncio.gather(
            lake.append(RAW, rows(RAW, [(0, n)]), since, until),
            other.append(RAW, rows(RAW, [(1, n)]), since, until),
            return_exceptions=True,
        )
        failed = [error for error in attempts if error is not None]
        assert [type(error) for error in failed] == [Stale]
        winners.append((attempts.index(None), n))
        assert await lake.horizon(RAW) == until
    assert await held(lake, RAW) == sorted(winners)


async def test_rows_that_do_not_fit_are_refused_whole(lake: Lake) -> None:
    holes = rows(RAW, [(0, 0)]).set_column(
        5, schemas.ARROW[RAW].field(5), pa.nulls(1, pa.binary(16))
    )
    with pytest.raises((ValueError, pa.ArrowInvalid)):
        await lake.append(RAW, holes, (0, 0), at(1, 1))
    assert await lake.horizon(RAW) == at(0, 0)
    assert await held(lake, RAW) == []


async def test_known_ids_are_those_of_the_day(lake: Lake) -> None:
    await put(lake, RAW, at(0, 0), at(2, 0))
    await put(lake, RAW, at(2, 0), at(4, 0), NEXT_DAY)
    asked = digests(event_id(0, 1), event_id(0, 3, NEXT_DAY), event_id(0, 9))

    async def known(*days: int) -> list[Any]:
        return (await lake.known(days, asked)).to_pylist()

    assert await known(DAY) == [True, False, False]
    assert await known(DAY, NEXT_DAY) == [True, True, False]
    assert await known(20200101) == [False, False, False]
    assert (await lake.known([DAY], digests())).to_pylist() == []


@pytest.mark.parametrize(
    "span",
    [
        Span((0, 0), (30, 30)),
        Span((0, 0), (0, 0)),
        Span((12, 4), (17, 9)),
        Span((10, 30), (20, 30)),
        Span((29, 0), (30, 1)),
        Span((20, 0), (20, 30)),
        Span((30, 30), (90, 90)),
    ],
)
async def test_a_span_is_scanned_exactly(lake: Lake, span: Span) -> None:
    for n, day in enumerate([DAY, NEXT_DAY, DAY]):
        await put(lake, RAW, at(10 * n, 10 * n), at(10 * n + 10, 10 * n + 10), day)
    everything = step((0, 0), (30, 30))
    wanted = [(p, o) for p, o in everything if span.since[p] <= o < span.until[p]]
    assert await held(lake, RAW, span) == wanted
    of_the_day = [(p, o) for p, o in wanted if not 10 <= o < 20]
    assert await held(lake, RAW, span, [DAY]) == of_the_day


async def test_days_are_scanned_alone(lake: Lake) -> None:
    await put(lake, RAW, at(0, 0), at(2, 2))
    await put(lake, RAW, at(2, 2), at(3, 3), NEXT_DAY)
    assert await held(lake, RAW, days=[NEXT_DAY]) == [(0, 2), (1, 2)]
    assert await held(lake, RAW, days=[]) == []
    (piece,) = await scanned(lake, RAW, ["title", "offset"], days=[NEXT_DAY])
    assert piece.column_names == ["title", "offset"]


async def test_pieces_are_bounded(lake: Lake) -> None:
    many = 120_000
    wide = rows(DEFINED, [(0, 0)]).take(pa.array([0] * many))
    numbered = wide.set_column(
        1, schemas.ARROW[DEFINED].field(1), pa.array(range(many), pa.int64())
    )
    await lake.append(DEFINED, numbered, (0, 0), at(many, 0))
    sizes = [len(piece) for piece in await scanned(lake, DEFINED, ["offset"])]
    assert sum(sizes) == many
    assert max(sizes) <= 50_000
    assert len(sizes) < 10


async def test_days_say_what_they_hold(lake: Lake) -> None:
    await put(lake, RAW, at(0, 0), at(2, 2))
    await put(lake, RAW, at(2, 2), at(5, 2), NEXT_DAY)
    await put(lake, RAW, at(5, 2), at(6, 2))
    before = await lake.days()
    assert [(day.day, day.rows, day.newest) for day in before] == [
        (DAY, 5, 5000),
        (NEXT_DAY, 3, 4000),
    ]
    await put(lake, DEFINED, at(0, 0), at(2, 2))
    after = await lake.days()
    assert after[0].bytes > before[0].bytes > 0
    assert after[1] == before[1]


async def test_an_expired_day_is_gone_but_its_ids_are_known(lake: Lake) -> None:
    for table in TABLES:
        await put(lake, table, at(0, 0), at(4, 4))
        await put(lake, table, at(4, 4), at(5, 5), NEXT_DAY)
    await lake.expire([DAY])
    assert await lake.expired() == [DAY]
    assert [day.day for day in await lake.days()] == [NEXT_DAY]
    for table in TABLES:
        assert await held(lake, table) == [(0, 4), (1, 4)]
        assert await lake.horizon(table) == at(5, 5)
    asked = digests(event_id(1, 3), event_id(1, 9))
    assert (await lake.known([DAY], asked)).to_pylist() == [True, False]


async def test_expiry_gives_the_space_back(lake: Lake) -> None:
    bulk = 1_000_000
    named = schemas.ARROW[RAW].names.index("json")
    row = rows(RAW, [(0, 0)])
    row = row.set_column(named, row.schema.field(named), pa.array([os.urandom(bulk)]))
    await lake.append(RAW, row, (0, 0), at(1, 1))
    full = await lake.size()
    await lake.expire([DAY])
    assert full - await lake.size() > bulk * 0.9


async def test_late_events_of_an_expired_day_expire_too(lake: Lake) -> None:
    await put(lake, RAW, at(0, 0), at(2, 0))
    await lake.expire([DAY])
    await put(lake, RAW, at(2, 0), at(3, 0))
    assert [day.rows for day in await lake.days()] == [1]
    await lake.expire([DAY])
    await lake.expire([DAY])
    assert await lake.days() == []
    assert await lake.expired() == [DAY]
    asked = digests(*(event_id(0, offset) for offset in range(4)))
    assert (await lake.known([DAY], asked)).to_pylist() == [True, True, True, False]


async def test_maintenance_changes_no_answer(lake: Lake, clock: ManualClock) -> None:
    for n in range(20):
        await put(lake, RAW, at(n, n), at(n + 1, n + 1), DAY + n % 2)
    days = [(day.day, day.rows, day.newest) for day in await lake.days()]
    for _ in range(3):
        await lake.maintain()
        clock.advance(3600)
    assert await held(lake, RAW) == step((0, 0), (20, 20))
    assert await lake.horizon(RAW) == at(20, 20)
    assert [(day.day, day.rows, day.newest) for day in await lake.days()] == days
    assert (await lake.known([DAY], digests(event_id(1, 18)))).to_pylist() == [True]
    await put(lake, RAW, at(20, 20), at(21, 21))


async def test_a_reader_keeps_reading_while_files_are_replaced(
    lake: Lake, clock: ManualClock
) -> None:
    count = 60_000
    one = rows(DEFINED, [(0, 0)])
    for n in range(9):
        part = one.take(pa.array([0] * count)).set_column(
            1, one.schema.field(1), pa.array(range(n * count, (n + 1) * count), pa.int64())
        )
        await lake.append(DEFINED, part, (n, 0), at(n + 1, 0))
    reader = lake.scan(DEFINED, ["offset"])
    seen = len(await asyncio.to_thread(next, reader))
    await lake.maintain()
    for n in range(9, 19):
        await lake.append(DEFINED, rows(DEFINED, []), (n, 0), at(n + 1, 0))
    clock.advance(600)
    await lake.maintain()
    rest = await asyncio.to_thread(lambda: sum(len(piece) for piece in reader))
    assert seen + rest == 9 * count
