"""Named places where a process can be made to die, to prove that it survives dying there.

A test arms one point (`BVW_CRASH_AT=collector.after-append:3`) and the process ends at its third
pass without running a finally, closing a file or flushing a buffer, as under `kill -9`; what
was written so far is what the next start finds. A point that is not armed costs one comparison.

To add a point: a line in `POINTS` (sorted; the text completes "the process dies when …") and
`crash.point("name")` where it happens. tests/house compares the two.
"""

from __future__ import annotations

import difflib
import os

from services.shared.runtime.exits import Exit, Refused

POINTS: dict[str, str] = {
    "batch.cleaned": "a batch run has cleaned, but not counted",
    "batch.compacted": "the compacted generation is published",
    "batch.compacted-staged": "the compacted segment is staged, but not published",
    "batch.defined": "a batch run has defined, but not cleaned",
    "batch.expired": "a batch run has removed what has expired, but is not recorded as done",
    "batch.ingested": "a batch run has taken the log's events into the lake, but not defined them",
    "batch.published": "a new generation is published, but not compacted",
    "batch.renewed": "segments of another version are counted again, but not published",
    "batch.staged": "a new segment is staged, but not published",
    "batchview.copying": "some rows of a segment are copied or removed, others are not",
    "batchview.mapping": "some pages have their topic in a new map, others do not yet",
    "batchview.publishing": "a generation is listed, but not committed",
    "batchview.staging": "some rows of a segment are stored, others are not",
    "collector.after-append": "an append is durable, but the collector does not know yet",
    "collector.before-append": "a batch of events is about to be appended",
    "collector.frame-read": "a frame of the source is read, but not parsed",
    "collector.replay-appended": "dead letters are replayed into the log, but not yet removed",
    "keeping.part-copied": "a part of a backup or a restore is copied, others are not",
    "keeping.step-taken": "a step of a migration is taken, but the format is not written yet",
    "lake.before-commit": "a lake table's files are written, but the catalogue does not name them",
    "lake.committed": "a lake table is committed, but its caller does not know yet",
    "lake.ids-kept": "the ids of expired lake days are kept, but their rows are still there",
    "lake.in-sweep": "one of the lake's orphaned files is removed, the others are not",
    "lake.settling": "a moved lake's tables are written for their new place, but still stand elsewhere",
    "log.appended": "the log's transaction is committed, but its caller does not know yet",
    "log.in-append": "the log's transaction holds everything, but is not committed",
    "log.in-repack": "the log's small blocks are removed and the big one is in, not committed",
    "speed.after-write": "the speed view has taken a batch and says so",
    "speed.batch-read": "the speed layer has read a batch of the log",
    "speed.before-write": "a batch is prepared, but the speed view has nothing of it",
    "speed.in-write": "the speed view's transaction holds a batch, but is not committed",
    "speed.rebuild-begun": "the speed view is emptied to be rebuilt, and nothing is in it yet",
}

_armed: str | None = None
_passes_left = 0


def point(name: str) -> None:
    """Dies here if this point is armed and this is the pass it was armed for."""
    if _armed is not None and _armed == name:
        _pass()


def arm(spec: str) -> None:
    """Arms `name` or `name:n` (the n-th pass, from 1); the empty string disarms."""
    global _armed, _passes_left
    if not spec:
        _armed, _passes_left = None, 0
        return
    name, _, passes = spec.partition(":")
    if name not in POINTS:
        raise Refused(f"crash_at: no crash point {name!r}{_nearest(name)}; see: bvw crashpoints")
    if passes and not (passes.isascii() and passes.isdigit() and int(passes) > 0):
        raise Refused(f"crash_at: {spec!r} is not NAME or NAME:N with N from 1")
    _armed, _passes_left = name, int(passes or 1)


def _pass() -> None:
    global _passes_left  # noqa: PLW0603 - a process has one death
    _passes_left -= 1
    if _passes_left == 0:
        os._exit(Exit.CRASHED)


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, POINTS, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
