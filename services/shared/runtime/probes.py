"""Readiness is a list: whoever opens a dependency adds a probe for it, `/readyz` asks them all.

A probe is a name and an async check that returns when the dependency can do its work and raises
when not. All run at once, each bounded, and the result is kept for two seconds, so that an
eager prober does not become the load. Liveness needs no probes: a loop that answers is alive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple

import structlog

if TYPE_CHECKING:
    from services.shared.runtime.clock import Clock

KEEP = 2.0
TIMEOUT = 1.5

_log = structlog.get_logger(__name__)


class Probe(NamedTuple):
    name: str
    check: Callable[[], Awaitable[object]]


class Verdict(NamedTuple):
    name: str
    ready: bool
    reason: str  # empty when ready


class Readiness:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._probes: list[Probe] = []
        self._kept: tuple[float, list[Verdict]] | None = None
        self._asking = asyncio.Lock()

    def add(self, name: str, check: Callable[[], Awaitable[object]]) -> None:
        self._probes.append(Probe(name, check))
        self._kept = None

    async def verdicts(self) -> list[Verdict]:
        """One verdict a dependency, at most two seconds old; ready means all are."""
        async with self._asking:
            now = self._clock.monotonic()
            if self._kept is None or now - self._kept[0] >= KEEP:
                self._kept = now, await asyncio.gather(*map(_verdict, self._probes))
            return self._kept[1]


async def _verdict(probe: Probe) -> Verdict:
    try:
        async with asyncio.timeout(TIMEOUT):
            await probe.check()
    except TimeoutError:
        return Verdict(probe.name, ready=False, reason=f"no answer within {TIMEOUT} s")
    except Exception as error:  # noqa: BLE001 - not ready, whatever the reason
        _log.warning("not_ready", dependency=probe.name, exc_info=error)
        # The kind only: messages of back ends are for the log, not for whoever may ask.
        return Verdict(probe.name, ready=False, reason=type(error).__name__)
    return Verdict(probe.name, ready=True, reason="")
