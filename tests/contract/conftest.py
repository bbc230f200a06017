"""What contract tests of one port share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from services.shared.batchview.port import BatchView
from services.shared.runtime.clock import ManualClock
from tests.contract.batchviews import backend_of

REAL_ONLY = {"test_mongo.py"}
"""Files about what a server alone can meet: collected where real backends are asked for."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    backends = config.getoption("--backends").split(",")
    return True if collection_path.name in REAL_ONLY and "real" not in backends else None


@pytest.fixture
async def opener(
    backend: str, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[Callable[[], Awaitable[BatchView]]]:
    """Opens the same batch view once more, as another process would."""
    place = backend_of(backend, tmp_path)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(place.drop)

        async def open_it() -> BatchView:
            view = await place.open(clock)
            stack.push_async_callback(view.close)
            return view

        yield open_it
