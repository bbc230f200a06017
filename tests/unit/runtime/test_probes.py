from __future__ import annotations

import asyncio

import pytest

from services.shared.runtime import probes
from services.shared.runtime.clock import ManualClock
from services.shared.runtime.probes import Readiness, Verdict


async def _well() -> None:
    pass


async def _ill() -> None:
    raise OSError("secret detail of the back end")


async def test_each_dependency_has_its_own_verdict() -> None:
    readiness = Readiness(ManualClock())
    readiness.add("log", _well)
    readiness.add("lake", _ill)
    assert await readiness.verdicts() == [
        Verdict("log", ready=True, reason=""),
        Verdict("lake", ready=False, reason="OSError"),
    ]


async def test_a_hanging_dependency_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "TIMEOUT", 0.01)
    readiness = Readiness(ManualClock())
    readiness.add("log", asyncio.Event().wait)
    (verdict,) = await readiness.verdicts()
    assert not verdict.ready
    assert "no answer" in verdict.reason


async def test_verdicts_are_kept_for_two_seconds() -> None:
    clock = ManualClock()
    asked = []

    async def check() -> None:
        asked.append(clock.now())

    readiness = Readiness(clock)
    readiness.add("log", check)
    await asyncio.gather(*(readiness.verdicts() for _ in range(10)))
    clock.advance(1.9)
    await readiness.verdicts()
    assert asked == [0]
    clock.advance(0.1)
    await readiness.verdicts()
    assert asked == [0, 2]
