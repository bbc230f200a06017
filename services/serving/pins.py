"""Where answers stand: reads the generation, then the visible position, and keeps both for a moment.

A warm answer costs no read of a store: within `live` (50 ms) requests share one reading. What is
read together is a `Standing`: the pin, the gaps known then, and what every answer there says of it.
"""

import asyncio
import hashlib
from dataclasses import dataclass
from functools import cached_property

from services.serving import pin
from services.serving.api import dates
from services.serving.pin import Pin, Token
from services.shared.batchview.port import BatchView, Gone
from services.shared.domain import generation
from services.shared.domain.generation import Generation
from services.shared.domain.positions import shown
from services.shared.log.port import EventLog, Gap
from services.shared.runtime.clock import Clock
from services.shared.runtime.unavailable import Unavailable
from services.shared.speedview.port import SpeedView, Visible


@dataclass(frozen=True)
class Standing:
    pin: Pin
    gaps: tuple[Gap, ...]

    @cached_property
    def key(self) -> str:
        """For caches and ETags: equal keys give equal answers."""
        gaps = ",".join(f"{gap.since}-{gap.until}" for gap in self.gaps)
        return hashlib.blake2b(f"{self.pin.key}:{gaps}".encode(), digest_size=12).hexdigest()

    @cached_property
    def time(self) -> int:
        """Log time (ms) at the newest position."""
        return max(self.pin.times, default=0)

    @cached_property
    def headers(self) -> dict[str, str]:
        return {
            "X-Generation": str(self.pin.generation.number),
            "X-Horizon": shown(self.pin.since),
            "X-As-Of": shown(self.pin.until),
            "X-As-Of-Time": dates.iso(self.time),
            "X-At": self.pin.token,
        }


class Pins:
    def __init__(
        self, log: EventLog, speed: SpeedView, batch: BatchView, clock: Clock, *, live: float
    ) -> None:
        self._log = log
        self._speed = speed
        self._batch = batch
        self._clock = clock
        self._live = live
        self._read_at = 0.0
        self._standing: Standing | None = None
        self._reading = asyncio.Lock()

    def fresh(self) -> Standing | None:
        """The last reading while it may be reused."""
        if self._clock.monotonic() - self._read_at < self._live:
            return self._standing
        return None

    def forget(self) -> None:
        """The last reading turned out not to hold any more."""
        self._standing = None

    async def now(self) -> Standing:
        async with self._reading:
            standing = self.fresh()
            if standing is None:
                # From the start of the reading: what is handed out is never older than `live`.
                started = self._clock.monotonic()
                standing = await self._read()
                self._standing, self._read_at = standing, started
            return standing

    async def at(self, token: Token) -> Standing | None:
        """Where a token points; None if that is no longer kept."""
        try:
            kept = await self._batch.generation(token.generation)
        except Gone:
            return None
        pinned = pin.pin_at(token, kept, await self._visible())
        return None if pinned is None else Standing(pinned, await self._gaps())

    async def _read(self) -> Standing:
        current = await self._current()
        pinned = pin.pin(current or self._nothing(), await self._visible())
        if current is None:
            pinned = pinned.but("batch view missing")
        return Standing(pinned, await self._gaps())

    async def _current(self) -> Generation | None:
        try:
            return await self._batch.current()
        except Unavailable:
            return None

    def _nothing(self) -> Generation:
        return generation.first(self._log.identity, self._log.partitions, 0)

    async def _visible(self) -> Visible | None:
        try:
            return await self._speed.visible()
        except Unavailable:
            return None

    async def _gaps(self) -> tuple[Gap, ...]:
        return tuple(await self._log.gaps())
