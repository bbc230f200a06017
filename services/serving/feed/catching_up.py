"""The way of a reader from where it begins to where the follower stands, at its own pace.

What lies before `recent` is read from the speed view, a page at a time and a few readers at once; what
lies in it comes from there. The reader joins with its last page: between the two nothing is waited for.
"""

import asyncio
from typing import Final

from services.serving.feed import events, frames, gaps, places
from services.serving.feed.fanout import AGAIN, FanOut
from services.serving.feed.frames import Block
from services.serving.feed.reader import Reader
from services.serving.feed.recent import Recent
from services.shared.domain.positions import reaches, upper
from services.shared.runtime.unavailable import Unavailable
from services.shared.speedview.port import SpeedView

PAGE: Final = 256
PAGE_BYTES: Final = 64 * 1024
_HEARTBEAT: Final = frames.block([frames.HEARTBEAT])


class CatchingUp:
    """`at_once` is how many may read from the view side by side: answers need its threads too."""

    def __init__(self, speed: SpeedView, log: str, *, beat: float, at_once: int = 2) -> None:
        self._speed = speed
        self._log = log
        self._beat = beat
        self._reading = asyncio.Semaphore(at_once)

    async def run(self, reader: Reader, fan_out: FanOut, recent: Recent) -> None:
        """Returns once the reader has joined, or has ended."""
        while not reader.ended.is_set():
            if not reaches(recent.position, reader.position):
                await self._wait(reader, fan_out, self._beat)
            elif reaches(reader.position, recent.start):
                page = recent.page(self._log, reader.position, reader.matches, PAGE_BYTES)
                reader.position = page.position
                if page.last:
                    reader.push(page.block)
                    fan_out.join(reader)
                    return
                await reader.send(page.block)
            elif reaches(reader.position, fan_out.floor):
                await self._read(reader, fan_out, recent)
            else:
                await self._skip(reader, fan_out)

    async def _skip(self, reader: Reader, fan_out: FanOut) -> None:
        since, reader.position = reader.position, upper(reader.position, fan_out.floor)
        await reader.send(await gaps.gap(self._speed, self._log, since, reader.position))

    async def _wait(self, reader: Reader, fan_out: FanOut, seconds: float) -> None:
        if not await fan_out.moved(within=seconds):
            reader.push(_HEARTBEAT)

    async def _read(self, reader: Reader, fan_out: FanOut, recent: Recent) -> None:
        try:
            async with self._reading:
                block = await self._page(reader, recent)
        except Unavailable:
            # Emptied, let go of, or not rebuilt as far yet: the follower hears of it too.
            await self._wait(reader, fan_out, AGAIN)
        else:
            await reader.send(block)

    async def _page(self, reader: Reader, recent: Recent) -> Block:
        since, until = reader.position, recent.position
        found = await self._speed.scan(reader.search, since, until, limit=PAGE)
        made = await asyncio.to_thread(events.made, self._log, found, since)
        reader.position = places.after(since, found)
        listed = [event.frame for event in made]
        if len(found) < PAGE:
            reader.position = upper(since, until)
            listed.append(frames.moved(places.written(self._log, reader.position)))
        return frames.block(listed, len(made))
