"""Work on a lake that can be cut off anywhere and carried on."""

from pathlib import Path

from services.shared.lake.embedded import IcebergLake
from services.shared.lake.port import TABLES
from services.shared.runtime.clock import ManualClock
from tests.unit.lake.rows import DAY, LOG, at, rows, step

RUNS = 2
HOUR = 3600


async def carry_on(root: Path) -> None:
    """Fill the tables from where each stands, expire the first day, maintain."""
    clock = ManualClock(1_700_000_000)
    lake = await IcebergLake.open(root, clock)
    await lake.begin(LOG, at(0, 0))
    for table in TABLES:
        (n, _) = (await lake.horizon(table)).positions
        for k in range(n, RUNS):
            taken = rows(table, step((k, k), (k + 1, k + 1)), DAY if k == 0 else DAY + 1)
            await lake.append(table, taken, (k, k), at(k + 1, k + 1))
    if DAY in [day.day for day in await lake.days()]:
        await lake.expire([DAY])
    await lake.maintain()
    clock.advance(HOUR)
    await lake.maintain()
    await lake.close()
