"""The composition root: settings in, adapters out. The only file that names adapters.

Everything that is opened here closes with the `Resources` it is given, last opened first. The lake is
opened when it is first needed: its library takes a second to import, and serving never needs it.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from services.collector.source.port import Source
from services.collector.source.recorded import Recorded
from services.collector.source.synthetic import Synthetic
from services.shared.batchview.embedded import SqliteBatchView
from services.shared.batchview.port import BatchView
from services.shared.cache.embedded import MemoryCache
from services.shared.cache.port import Cache
from services.shared.lake.embedded import IcebergLake
from services.shared.lake.port import Lake
from services.shared.log.embedded import SqliteLog
from services.shared.log.port import EventLog
from services.shared.runtime import datadir
from services.shared.runtime import settings as settings_module
from services.shared.runtime.clock import Clock, SystemClock
from services.shared.runtime.datadir import DataDirectory
from services.shared.runtime.exits import Refused
from services.shared.runtime.lifecycle import Resources
from services.shared.runtime.settings import Settings
from services.shared.speedview.embedded import SqliteSpeedView
from services.shared.speedview.port import SpeedView

AUTO: Final = "auto"
DEMO: Final = "demo"
LIVE: Final = "live"
_SEED: Final = 1
_LAST: Final = "last.json"

Kind = Literal["live", "recording", "simulated"]


@dataclass(frozen=True, slots=True)
class Stores:
    """The opened adapters of one data directory."""

    directory: DataDirectory
    clock: Clock
    log: EventLog
    speed: SpeedView
    batch: BatchView
    cache: Cache
    lake: Callable[[], Awaitable[Lake]]

    @property
    def path(self) -> Path:
        return self.directory.path

    @property
    def kind(self) -> Kind:
        """What the data is, for people."""
        known: dict[str, Kind] = {LIVE: "live", DEMO: "simulated"}
        return known.get(self.directory.source, "recording")


def directory(settings: Settings, *, create: bool) -> DataDirectory:
    """The data directory of the settings' source; of tools that name none, the one used last."""
    given = settings.origin("data_dir") != settings_module.DEFAULT
    named = settings.origin("source") != settings_module.DEFAULT
    source = DEMO if settings.source == AUTO else settings.source
    if create or named:
        path = settings.data_dir if given else datadir.of_source(settings.data_dir, source)
        found = datadir.open_directory(path, source=source, create=create)
    else:
        path = settings.data_dir if given else _last(settings)
        found = datadir.open_directory(path, create=False)
    if create:
        _remember(found)
    return found


async def stores(resources: Resources, settings: Settings, *, create: bool) -> Stores:
    """Open every store of the data directory."""
    clock = SystemClock()
    found = await asyncio.to_thread(directory, settings, create=create)
    log = await SqliteLog.open(
        found.path / "log.sqlite", partitions=settings.partitions, clock=clock
    )
    resources.on_close("log", log.close)
    speed = await SqliteSpeedView.open(found.path / "speed.sqlite")
    resources.on_close("speed view", speed.close)
    batch = await SqliteBatchView.open(found.path / "batch.sqlite", clock)
    resources.on_close("batch view", batch.close)
    cache = MemoryCache()
    resources.on_close("cache", cache.close)
    return Stores(found, clock, log, speed, batch, cache, _once(resources, found.path, clock))


@contextlib.asynccontextmanager
async def log(settings: Settings) -> AsyncIterator[tuple[Path, EventLog]]:
    """The data directory and its log alone, for tools."""
    found = await asyncio.to_thread(directory, settings, create=False)
    opened = await SqliteLog.open(found.path / "log.sqlite", clock=SystemClock())
    try:
        yield found.path, opened
    finally:
        await opened.close()


async def source(settings: Settings, found: Stores, *, events: int | None = None) -> Source:
    """The source that the data directory belongs to."""
    name = found.directory.source
    speed = None if settings.speed == "max" else float(settings.speed)
    if name == LIVE:
        raise Refused(
            "source: the live stream is not part of this version; use demo or a recording"
        )
    if name == DEMO:
        paced = None if events is not None and speed is None else speed or 1.0
        return Synthetic(_SEED, found.clock, events=events, speed=paced)
    if events is not None:
        raise Refused("--events limits the simulator; a recording ends by itself")
    return await Recorded.open(Path(name), speed=settings.speed, clock=found.clock)


def _once(resources: Resources, path: Path, clock: Clock) -> Callable[[], Awaitable[Lake]]:
    opening = asyncio.Lock()
    opened: list[Lake] = []

    async def lake() -> Lake:
        async with opening:
            if not opened:
                made = await IcebergLake.open(path / "lake", clock)
                resources.on_close("lake", made.close)
                opened.append(made)
        return opened[0]

    return lake


def _remember(found: DataDirectory) -> None:
    base = settings_module.data_home()
    base.mkdir(parents=True, exist_ok=True)
    (base / _LAST).write_text(json.dumps({"path": str(found.path.resolve())}), "utf-8")


def _last(settings: Settings) -> Path:
    try:
        return Path(json.loads((settings_module.data_home() / _LAST).read_text("utf-8"))["path"])
    except (OSError, ValueError, KeyError, TypeError):
        return datadir.of_source(settings.data_dir, DEMO)
