"""The history that the real service had when it was recorded, and one that needs no recording."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.collector.simulator.stream import Stream
from services.collector.upstream import arrivals
from services.collector.upstream.happenings import Arrival
from services.collector.upstream.history import History

START_MS = 1_767_614_400_000


@pytest.fixture
def polars(recordings: Path) -> History:
    """A hundred events of seconds, some of which share one. The file is sorted by time; the service
    had them in the order of their offsets, which is not quite that.
    """
    events = arrivals.recorded(recordings / "events-polars-guide-2023.jsonl.gz")
    return filled(sorted(events, key=lambda arrival: json.loads(arrival.raw)["meta"]["offset"]))


@pytest.fixture(scope="session")
def made() -> list[Arrival]:
    """Simulated events."""
    return list(arrivals.simulated(Stream(7, 50.0, START_MS), 400))


@pytest.fixture
def history(made: list[Arrival]) -> History:
    return filled(made)


def filled(events: list[Arrival]) -> History:
    history = History()
    for arrival in events:
        history.append(arrival.raw, arrival.at_ms)
    return history
