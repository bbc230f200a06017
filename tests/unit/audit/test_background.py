"""An audit on request: another process does it, this one tells how it went."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.audit.background import BackgroundAudit, State
from services.shared.runtime import metrics
from services.shared.runtime.clock import ManualClock
from tests.unit.conftest import Product


@pytest.fixture
async def background(product: Product) -> AsyncIterator[BackgroundAudit]:
    opened = BackgroundAudit(product.data, ManualClock(1_000))
    yield opened
    await opened.close()


async def ended(background: BackgroundAudit) -> State:
    async with asyncio.timeout(60):
        while background.latest().state == "running":  # noqa: ASYNC110 - it runs elsewhere
            await asyncio.sleep(0.05)
    return background.latest()


async def test_it_runs_once_at_a_time_and_keeps_its_result(background: BackgroundAudit) -> None:
    assert background.latest() == State("none")
    background.start()
    background.start()
    assert background.latest() == State("running", 1_000_000)
    done = await ended(background)
    assert done.state == "done"
    assert done.result is not None
    assert done.result.exact
    assert done.result.events > 10
    assert metrics.REGISTRY.get_sample_value("bvw_audit_cells") == done.result.cells
    assert metrics.REGISTRY.get_sample_value("bvw_audit_differences") == 0
    background.start()
    assert background.latest() == State("running", 1_000_000, done.result), "the last one stays"


async def test_what_went_wrong_is_one_line(tmp_path: Path) -> None:
    background = BackgroundAudit(tmp_path / "none", ManualClock(1_000))
    background.start()
    failed = await ended(background)
    assert (failed.state, failed.result) == ("failed", None)
    assert "there is no data here" in failed.error
    assert "\n" not in failed.error
    await background.close()


async def test_closing_ends_the_process(background: BackgroundAudit) -> None:
    background.start()
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await background.close()
