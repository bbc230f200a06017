"""Days of the lake go only when nobody can need them, and only as many as asked for."""

from hypothesis import given
from hypothesis import strategies as st

from services.batch.expire import removable
from services.shared.domain.positions import upper
from services.shared.lake.port import Day
from tests.unit.batch.conftest import DAY, HOUR_MS, NOW, Stores, event, recount

WINDOW = 7 * 24 * HOUR_MS
held_days = st.lists(st.tuples(st.integers(1, 50), st.integers(0, 100)), max_size=8).map(
    lambda found: [Day(20240101 + i, 1, size, newest) for i, (size, newest) in enumerate(found)]
)


@given(days=held_days, before=st.integers(0, 100), wanted=st.integers(1, 200))
def test_the_oldest_removable_days_go_until_it_is_enough(
    days: list[Day], before: int, wanted: int
) -> None:
    chosen = removable(days, before, wanted)
    assert all(day.newest < before for day in chosen)
    allowed = [day for day in days if day.newest < before]
    assert chosen == allowed[: len(chosen)]
    given_back = sum(day.bytes for day in chosen)
    assert given_back >= wanted or chosen == allowed
    assert sum(day.bytes for day in chosen[:-1]) < wanted


async def see_everything(stores: Stores) -> None:
    """The speed view has come to the log's end at this very log time."""
    end = await stores.log.stable_end()
    now = round(stores.clock.now() * 1000)
    if await stores.speedview.visible() is None:
        await stores.speedview.begin(stores.log.identity, (0,) * len(end), None, text_version=1)
    await stores.speedview.write(
        [], (0,) * len(end), end, upper((now,) * len(end), (0,) * len(end))
    )


async def test_a_day_goes_once_a_window_has_passed_on_both_sides(stores: Stores) -> None:
    old, new = event(1, at=NOW - 86_400), event(2)
    await stores.append(old, new)
    await stores.run(free_bytes=1)
    assert len(await stores.lake.days()) == 2, "no speed view: nothing may go"

    stores.clock.advance(WINDOW / 1000 + 1)
    await stores.append(event(3, at=NOW + WINDOW // 1000))
    await see_everything(stores)
    await stores.run(free_bytes=1)
    assert len(await stores.lake.days()) == 3, "an old generation is still readable"

    stores.clock.advance(3600)
    await stores.append(event(4, at=NOW + WINDOW // 1000))
    await stores.run(free_bytes=1)
    assert await stores.lake.expired() == [DAY - 1]
    assert DAY in [day.day for day in await stores.lake.days()], "one was enough"

    await stores.append(old)
    await stores.run()
    everything = [old, new, *(event(n, at=NOW + WINDOW // 1000) for n in (3, 4))]
    assert await stores.rows() == recount(everything), "a late copy is still known"


async def test_nothing_goes_unless_space_is_asked_for(stores: Stores) -> None:
    await stores.append(event(1))
    await stores.run()
    stores.clock.advance(3 * WINDOW / 1000)
    await stores.append(event(2))
    await see_everything(stores)
    await stores.run()
    stores.clock.advance(3600)
    await stores.run()
    assert await stores.lake.expired() == []
