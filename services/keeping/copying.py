"""A copy of a data directory, made while it is in use: a backup, or what is restored from one.

All parts count positions of one log, and each is taken as it is at a moment of its own. So they are
taken in the order in which they follow each other: the batch view, the lake, the speed view, and the log last.
What a part has taken in is in each part that is copied after it, and nothing stands beyond the end
of the log. Batch runs wait until lake and view are copied, because a run removes from the lake what only the
newer view has counted; collecting, indexing and answering go on.

Until the last part is there the copy has no description, so nothing starts on it (`datadir.claim`). One
that was cut off is gone on with by the same command: the databases anew, the lake from where it was.

What is restored gets an identity of its own. From the backup on two logs go their own ways, and give the
same positions to different events; so a token or a view of the one must mean nothing to the other.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Final

from services import wiring
from services.shared import fit
from services.shared.fit import Parts
from services.shared.runtime import crash, datadir, description, roles
from services.shared.runtime.description import Description
from services.shared.runtime.exits import Exit, Refused
from services.shared.runtime.settings import Settings
from services.wiring import BATCH, LAKE, LOG, SPEED

Tell = Callable[[str], None]

_COUNTED: Final = (BATCH, LAKE)
_FOLLOWED: Final = (SPEED, LOG)


async def backup(source: Path, target: Path, tell: Tell, *, earlier: Path | None = None) -> Parts:
    """`earlier` is a backup on the disk of this one: data files that it has take no more space."""
    return await _copied(source, target, tell, earlier=earlier)


async def restore(source: Path, target: Path, tell: Tell) -> Parts:
    return await _copied(source, target, tell, log=str(uuid.uuid4()))


def described(source: Path) -> Description:
    """What a directory that is to be copied says of itself; refuses one that can't be."""
    told = datadir.described(source)
    description.check(source, told)
    if not (source / LOG).exists():
        raise Refused(f"{source}: has no log yet, so there is nothing to copy; start it first")
    if not os.access(source, os.W_OK):
        raise Refused(
            f"{source}: can't be written to, which its databases need even to be read; copy it to where"
            " they can, and name that place"
        )
    return told


async def _copied(
    source: Path, target: Path, tell: Tell, *, log: str | None = None, earlier: Path | None = None
) -> Parts:
    told = await asyncio.to_thread(described, source)
    await asyncio.to_thread(_claim, source, target, told)

    async def copy(part: str) -> None:
        await asyncio.to_thread(_copy, part, source, target, log=log, earlier=earlier)
        crash.point("keeping.part-copied")
        tell(f"copied {part}")

    async with roles.hold(target, "copy"):
        # Whoever had the role until now may have made it whole.
        await asyncio.to_thread(_claim, source, target, told)
        async with roles.hold(source, "batch", wait=True):
            for part in _COUNTED:
                await copy(part)
        for part in _FOLLOWED:
            await copy(part)
        parts = await _fitting(target)
        await asyncio.to_thread(description.finish, target)
    if (less := fit.missed(parts)) is not None:
        tell(f"answers of the copy will be partial, as those of the original may be: {less}")
    return parts


def _claim(source: Path, target: Path, told: Description) -> None:
    if target.resolve().is_relative_to(source.resolve()):
        raise Refused(f"{target}: is in the directory that is copied; choose another one")
    datadir.claim(target, told)


def _copy(part: str, source: Path, target: Path, *, log: str | None, earlier: Path | None) -> None:
    if not (source / part).exists():
        return
    try:
        wiring.copy(part, source, target, log=log, earlier=earlier)
    except OSError as error:
        raise Refused(
            f"{target}: {part} could not be copied ({error.strerror}); the same command again goes on",
            Exit.TEMPORARY,
        ) from error


async def _fitting(target: Path) -> Parts:
    """The parts as the copy has them; what a start would refuse is refused now."""
    parts = await wiring.parts(target, Settings())
    if parts is None or (odd := next(fit.misfits(parts, target), None)):
        raise Refused(f"{target}: the copy is not whole: {odd if parts else 'it has no log'}")
    return parts
