"""Events to measure with: the recorded ones, or simulated ones where there is no recording."""

import gzip
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from services.collector.simulator.stream import Stream

START_MS: Final = 1_767_614_400_000
"""2026-01-05 12:00 UTC."""
RECORDED: Final = "events-wikiticker-2015.jsonl.gz"


def folder() -> Path | None:
    """Where the recordings are, if they are anywhere: `BVW_RECORDINGS`."""
    named = os.environ.get("BVW_RECORDINGS")
    return Path(named) if named and (Path(named) / RECORDED).exists() else None


def payloads(count: int = 24_000) -> list[bytes]:
    """About so many recorded events, repeated under ids of their own if there are fewer."""
    found = folder()
    if found is None:
        return list(simulated(count))
    with gzip.open(found / RECORDED) as file:
        lines = [line.rstrip(b"\n") for line in file]
    copies = (
        line if copy == 0 else line.replace(b'"id":"', b'"id":"%d-' % copy, 1)
        for copy in itertools.count()
        for line in lines
    )
    return list(itertools.islice(copies, count))


def simulated(count: int, seed: int = 1, rate: float = 35.0) -> Iterator[bytes]:
    """The first events of a simulated stream, canaries and copies among them."""
    return (arrival.raw for arrival in itertools.islice(Stream(seed, rate, START_MS), count))


def origin() -> str:
    return "recorded changes" if folder() else "simulated changes (BVW_RECORDINGS is not set)"
