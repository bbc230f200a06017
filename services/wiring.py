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
from typing import Final, Literal, NamedTuple
from urllib.parse import urlsplit

from services.collector.source import recording, sse
from services.collector.source.pacing import Pacing
from services.collector.source.port import Source
from services.collector.source.recorded import Recorded
from services.collector.source.sse import Sse
from services.collector.source.synthetic import Synthetic
from services.shared.batchview.embedded import SqliteBatchView
from services.shared.batchview.port import BatchView
from services.shared.cache.embedded import MemoryCache
from services.shared.cache.port import Cache
from services.shared.decode import LARGEST_EVENT
from services.shared.lake.embedded import IcebergLake
from services.shared.lake.port import Lake
from services.shared.log.embedded import SqliteLog
from services.shared.log.port import EventLog
from services.shared.runtime import datadir
from services.shared.runtime import settings as settings_module
from services.shared.runtime.clock import Clock, SystemClock
from services.shared.runtime.datadir import DEMO, LIVE, DataDirectory
from services.shared.runtime.exits import Refused
from services.shared.runtime.lifecycle import Resources
from services.shared.runtime.settings import Settings
from services.shared.speedview.embedded import SqliteSpeedView
from services.shared.speedview.port import SpeedView

AUTO: Final = "auto"
WIKIMEDIA: Final = "https://stream.wikimedia.org/v2/stream/recentchange"
REACHED_WITHIN: Final = 5.0
HOW_TO: Final = "make up CONTACT=you@example.org"
REAL_ONES: Final = f"Real changes, as they are made: {HOW_TO}"
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
        if self.directory.source == DEMO:
            return "simulated"
        return "live" if datadir.is_stream(self.directory.source) else "recording"


class Chosen(NamedTuple):
    """A source by its full name, and what its content is known by if it has one. `note` tells people
    why it is this one, and what else there is.
    """

    source: str
    note: str = ""
    content: str = ""


async def chosen(settings: Settings) -> Chosen:
    """The source that the settings ask for; what `auto` means is decided here.

    The source of the directory, if one is given that has one; live, if a contact is given and the
    stream can be reached, or has been before; otherwise the simulator.
    """
    source = settings.source
    if source == AUTO and _given(settings):
        known = await asyncio.to_thread(datadir.source_at, settings.data_dir)
        source = known or AUTO
    if source != AUTO:
        if datadir.is_stream(source):
            _check(settings, source)
        return await asyncio.to_thread(_named, source)
    if not settings.contact:
        return Chosen(DEMO, REAL_ONES)
    if not await asyncio.to_thread((_path(settings, LIVE) / "log.sqlite").exists):
        options = _stream(settings, WIKIMEDIA)
        why = await sse.unreachable(options, SystemClock(), within=REACHED_WITHIN)
        if why is not None:
            return Chosen(DEMO, f"The live stream can't be reached now: {why}. Start again later.")
    return Chosen(LIVE)


def _named(source: str) -> Chosen:
    full = datadir.full_source(source)
    if full == DEMO or datadir.is_stream(full):
        return Chosen(full, REAL_ONES if full == DEMO else "")
    return Chosen(full, content=recording.find(Path(full), LARGEST_EVENT).identity)


def directory(settings: Settings, *, chosen: Chosen | None = None) -> DataDirectory:
    """The data directory of a source, made if need be.

    Tools choose none: theirs is the settings' one, or the directory used last.
    """
    source = None if settings.source == AUTO else settings.source
    named = chosen.source if chosen else source
    if named is not None:
        path = _path(settings, named)
    else:
        path = settings.data_dir if _given(settings) else _last(settings)
    content = chosen.content if chosen else ""
    return datadir.open_directory(path, source=named, content=content, create=chosen is not None)


async def stores(
    resources: Resources, settings: Settings, *, chosen: Chosen | None = None
) -> Stores:
    """Open every store of a data directory; which one, see `directory`."""
    clock = SystemClock()
    found = await asyncio.to_thread(directory, settings, chosen=chosen)
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
    found = await asyncio.to_thread(directory, settings)
    opened = await SqliteLog.open(found.path / "log.sqlite", clock=SystemClock())
    try:
        yield found.path, opened
    finally:
        await opened.close()


async def source(settings: Settings, found: Stores, *, events: int | None = None) -> Source:
    """The source that the data directory belongs to."""
    name = found.directory.source
    speed = None if settings.speed == "max" else float(settings.speed)
    if name == DEMO:
        paced = None if events is not None and speed is None else speed or 1.0
        return Synthetic(_SEED, found.clock, events=events, speed=paced)
    if events is not None:
        raise Refused("--events limits the simulator; a recording ends by itself")
    if datadir.is_stream(name):
        options = _stream(settings, WIKIMEDIA if name == LIVE else name)
        pacing = Pacing(settings.reconnect_wait, settings.reconnect_longest)
        return Sse(options, found.clock, pacing=pacing)
    largest = int(settings.largest_event)
    path, clock = Path(name), found.clock
    return await Recorded.open(path, speed=settings.speed, largest=largest, clock=clock)


def _check(settings: Settings, stream: str) -> None:
    if not settings.contact:
        raise Refused(
            "contact: the live stream refuses who does not say whom its operators can write to;"
            f" set BVW_CONTACT, or: {HOW_TO}"
        )
    if stream != LIVE and not _safe(stream):
        raise Refused(
            f"source: {stream} is not encrypted; accepted: https, or http on this machine or"
            " within the local network (a name without a dot)"
        )


def _safe(url: str) -> bool:
    parts = urlsplit(url)
    host = parts.hostname or ""
    return parts.scheme.lower() == "https" or "." not in host or host.startswith("127.")


def _stream(settings: Settings, url: str) -> sse.Options:
    return sse.Options(
        url=url,
        contact=settings.contact,
        overlap=settings.resume_overlap,
        watchdog=settings.stream_watchdog,
        canary_alarm=settings.canary_alarm,
        largest=int(settings.largest_event),
    )


def _given(settings: Settings) -> bool:
    return settings.origin("data_dir") != settings_module.DEFAULT


def _path(settings: Settings, source: str) -> Path:
    return settings.data_dir if _given(settings) else datadir.of_source(settings.data_dir, source)


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


def remember(found: DataDirectory) -> None:
    """Tools that name no directory take this one from now on."""
    base = settings_module.data_home()
    with contextlib.suppress(OSError):  # tools will have to name it: where home can't be written to
        base.mkdir(parents=True, exist_ok=True)
        (base / _LAST).write_text(json.dumps({"path": str(found.path.resolve())}), "utf-8")


def _last(settings: Settings) -> Path:
    try:
        return Path(json.loads((settings_module.data_home() / _LAST).read_text("utf-8"))["path"])
    except (OSError, ValueError, KeyError, TypeError):
        return datadir.of_source(settings.data_dir, DEMO)
