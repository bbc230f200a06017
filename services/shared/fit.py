"""Whether the parts of a data directory belong together: the same rules for a start, a copy and a check-up.

All parts count positions of one log. A part that belongs to another log, or stands beyond the end of this one,
would answer with what never was, or take for known what is still to come; nothing may start on it. What to do
depends on the part: the speed view is made anew from the log, the others are not.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from services.shared.domain import generation
from services.shared.domain.generation import Generation
from services.shared.domain.positions import Vector, reaches
from services.shared.speedview.port import Visible

RESTORE: Final = (
    "the log has been replaced or cut; put back the one that all was made from, bring all of it back from a"
    " backup (bvw restore DIR --data NEW), or start anew with another --data"
)


@dataclass(frozen=True, slots=True)
class Taken:
    """What a lake says: the log that it is bound to, and how far its raw table has come."""

    log: str
    horizon: Vector


@dataclass(frozen=True, slots=True)
class Parts:
    """Where the parts of a directory stand; None for one that is not there, or has not begun."""

    log: str
    start: Vector
    end: Vector
    time: int
    """Log time (ms)."""
    batch: Generation | None
    speed: Visible | None
    lake: Taken | None


def of_batch(current: Generation, log: str, end: Vector) -> str | None:
    """Why the batch view can't be of this log, which ends there, and what to do; None if it can."""
    odd = generation.misfit(current, log, end)
    return odd and f"{odd}: {RESTORE}"


def of_lake(taken: Taken, log: str, end: Vector) -> str | None:
    if taken.log != log:
        return f"the lake belongs to log {taken.log}, not to {log}: {RESTORE}"
    if not reaches(end, taken.horizon):
        return f"the lake's horizon {taken.horizon} is beyond the log's end {end}: {RESTORE}"
    return None


def of_speed(visible: Visible, log: str, end: Vector, directory: Path) -> str | None:
    way_out = f"bvw speed rebuild --data {shlex.quote(str(directory))} makes it anew from the log"
    if visible.log != log:
        return f"the speed view belongs to log {visible.log}, not to {log}; {way_out}"
    if not reaches(end, visible.positions):
        return (
            f"the speed view stands at {visible.positions}, beyond the log's end {end}; {way_out}"
        )
    return None


def misfits(parts: Parts, directory: Path) -> Iterator[str]:
    """All that a start would refuse."""
    found = (
        parts.batch and of_batch(parts.batch, parts.log, parts.end),
        parts.lake and of_lake(parts.lake, parts.log, parts.end),
        parts.speed and of_speed(parts.speed, parts.log, parts.end, directory),
    )
    yield from (odd for odd in found if odd)


def missed(parts: Parts) -> str | None:
    """What a part needs and the others have let go of, so that answers would be partial, or runs end.

    Of a directory in use that can't be; of a copy it can, whose parts are of different moments.
    """
    if parts.lake and not reaches(parts.lake.horizon, parts.start):
        return f"the log begins at {parts.start}, after the lake's horizon {parts.lake.horizon}"
    if parts.batch and parts.speed and not reaches(parts.batch.horizon, parts.speed.floor):
        return f"the speed view begins at {parts.speed.floor}, after {parts.batch.horizon}"
    return None


def told(parts: Parts) -> str:
    """How far a directory has come, for people."""
    at = datetime.fromtimestamp(parts.time / 1000, UTC).isoformat(timespec="seconds")
    counted = f"generation {parts.batch.number}" if parts.batch else "no batch view"
    return f"all up to {at}, position {parts.end} of log {parts.log}, {counted}"
