"""What brings a data directory of an older format to the one of this version, in place.

`STEPS[n]` lead from format n to n + 1. A step is small, knows the directory alone, and changes nothing where it
has been taken before; the format is written after the last of them. So a migration that dies anywhere is
begun again and ends well. All writers are kept out meanwhile.

At last the lake settles where it is, which has nothing to do with formats: a directory that was moved or
copied needs no more than that.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from services.keeping import steps
from services.shared.runtime import crash, datadir, description, roles
from services.shared.runtime.description import FORMAT, Description
from services.wiring import LAKE


class Step(NamedTuple):
    """`what` completes "from now on …"."""

    what: str
    take: Callable[[Path], None]


STEPS: Final[Mapping[int, Sequence[Step]]] = {
    1: (
        Step("the lake's list of condemned files names them by their place in it", steps.condemned),
    ),
}


async def migrate(path: Path, tell: Callable[[str], None]) -> None:
    """Refuses a newer format, and while somebody writes. `tell` hears of each thing that is done."""
    described = await asyncio.to_thread(datadir.described, path)
    if described.format > FORMAT:
        description.check(path, described)
    async with contextlib.AsyncExitStack() as held:
        for role in roles.WRITERS:
            await held.enter_async_context(roles.hold(path, role))
        for done in await asyncio.to_thread(list, _migrated(path, described)):
            tell(done)


def _migrated(path: Path, described: Description) -> Iterator[str]:
    for version in range(described.format, FORMAT):
        for step in STEPS[version]:
            step.take(path)
            crash.point("keeping.step-taken")
            yield f"format {version + 1}: {step.what}"
        description.write(path, replace(described, format=version + 1))
    yield from _settled(path)


def _settled(path: Path) -> Iterator[str]:
    if (path / LAKE).exists():
        from services.shared.lake import settle

        if moved := settle.settle(path / LAKE):
            yield f"the lake stands at {path / LAKE}: {', '.join(moved)}"
