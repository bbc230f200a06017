"""The composition root: settings in, adapters out. The only file that names adapters.

Everything that is opened here closes with the `Resources` it is given, last opened first. The lake is
opened when it is first needed: its library takes a second to import, and serving never needs it.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
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
from services.shared.batchview import embedded as embedded_batchview
from services.shared.batchview.embedded import SqliteBatchView
from services.shared.batchview.port import BatchView
from services.shared.cache.embedded import MemoryCache
from services.shared.cache.port import Cache
from services.shared.decode import LARGEST_EVENT
from services.shared.fit import Parts, Taken
from services.shared.lake.embedded import IcebergLake
from services.shared.lake.port import RAW, Lake
from services.shared.log import embedded as embedded_log
from services.shared.log.embedded import SqliteLog
from services.shared.log.port import EventLog
from services.shared.runtime import datadir
from services.shared.runtime import settings as settings_module
from services.shared.runtime.clock import Clock, SystemClock
from services.shared.runtime.datadir import DEMO, LIVE, DataDirectory
from services.shared.runtime.exits import Refused
from services.shared.runtime.lifecycle import Resources
from services.shared.runtime.settings import Settings
from services.shared.speedview import embedded as embedded_speedview
from services.shared.speedview.embedded import SqliteSpeedView
from services.shared.speedview.port import SpeedView

AUTO: Final = "auto"
WIKIMEDIA: Final = "https://stream.wikimedia.org/v2/stream/recentchange"
REACHED_WITHIN: Final = 5.0
HOW_TO: Final = "make up CONTACT=you@example.org"
REAL_ONES: Final = f"Real changes, as they are made: {HOW_TO}"
LOG: Final = "log.sqlite"
SPEED: Final = "speed.sqlite"
BATCH: Final = "batch.sqlite"
LAKE: Final = "lake"
"""The parts of a data directory."""
_PART: Final = {"log_url": LOG, "speed_url": SPEED, "batch_url": BATCH}
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
    begun = bool(settings.log_url.get_secret_value())
    begun = begun or await asyncio.to_thread((_path(settings, LIVE) / LOG).exists)
    if not begun:
        why = await unreachable(settings, LIVE)
        if why is not None:
            return Chosen(DEMO, f"The live stream can't be reached now: {why}. Start again later.")
    return Chosen(LIVE)


async def unreachable(settings: Settings, source: str) -> str | None:
    """Why a stream can't be had now; None if it can."""
    options = _stream(settings, source)
    return await sse.unreachable(options, SystemClock(), within=REACHED_WITHIN)


def _named(source: str) -> Chosen:
    full = datadir.full_source(source)
    if full == DEMO or datadir.is_stream(full):
        return Chosen(full, REAL_ONES if full == DEMO else "")
    return Chosen(full, content=recording.find(Path(full), LARGEST_EVENT).identity)


def directory(settings: Settings, *, chosen: Chosen | None = None) -> DataDirectory:
    """The data directory of a source, made if need be.

    Tools choose none: theirs is the settings' one, or the directory used last.
    """
    named = chosen.source if chosen else _asked(settings)
    path = _path(settings, named) if named is not None else place(settings)
    content = chosen.content if chosen else ""
    return datadir.open_directory(path, source=named, content=content, create=chosen is not None)


def place(settings: Settings) -> Path:
    """Where the directory of a tool is; maybe there is none, or none that it could open."""
    if (named := _asked(settings)) is not None:
        return _path(settings, named)
    return settings.data_dir if _given(settings) else _last(settings)


def place_for(settings: Settings, source: str) -> Path:
    """Where data of this source is to be, if nobody gives another place."""
    return _path(settings, source)


def copy(part: str, source: Path, target: Path, *, log: str | None, earlier: Path | None) -> None:
    """A part of a data directory as it is at one moment, whoever writes it; see `keeping.copying`."""
    if part == LAKE:
        from services.shared.lake import settle

        lake = earlier and earlier / LAKE
        settle.copy(source / LAKE, target / LAKE, earlier=lake, log=log)
        return
    database = {
        BATCH: embedded_batchview.copy,
        SPEED: embedded_speedview.copy,
        LOG: embedded_log.copy,
    }
    database[part](source / part, target / part, log)


def on_servers(settings: Settings) -> list[str]:
    """The settings that put a store elsewhere than into the data directory."""
    return [name for name in _PART if getattr(settings, name).get_secret_value()]


async def parts(path: Path, settings: Settings) -> Parts | None:
    """Where the parts of a directory stand, without making one that is missing; None without a log.

    Those that the settings have on servers are asked there.
    """
    there = await asyncio.to_thread(lambda: {part.name for part in path.iterdir()})
    there.update(_PART[name] for name in on_servers(settings))
    if LOG not in there:
        return None
    clock, current, visible, taken = SystemClock(), None, None, None
    async with Resources() as resources:
        if BATCH in there:
            batch = await _batch(settings, path, clock)
            resources.on_close("batch view", batch.close)
            current = await batch.current()
        if SPEED in there:
            speed = await _speed(settings, path)
            resources.on_close("speed view", speed.close)
            visible = await speed.visible()
        if LAKE in there:
            lake = await IcebergLake.open(path / LAKE, clock)
            resources.on_close("lake", lake.close)
            if (owner := await lake.identity()) is not None:
                taken = Taken(owner, (await lake.horizon(RAW)).positions)
        # Last, so that nothing that is appended meanwhile lets a part seem beyond its end.
        log = await _log(settings, path, clock)
        resources.on_close("log", log.close)
        start, end, time = await log.start(), await log.stable_end(), await log.time()
        return Parts(log.identity, start, end, time, current, visible, taken)


async def stores(
    resources: Resources, settings: Settings, *, chosen: Chosen | None = None
) -> Stores:
    """Open every store of a data directory; which one, see `directory`."""
    clock = SystemClock()
    found = await asyncio.to_thread(directory, settings, chosen=chosen)
    log = await _log(settings, found.path, clock)
    resources.on_close("log", log.close)
    speed = await _speed(settings, found.path)
    resources.on_close("speed view", speed.close)
    batch = await _batch(settings, found.path, clock)
    resources.on_close("batch view", batch.close)
    shared = cache(settings, clock)
    resources.on_close("cache", shared.close)
    return Stores(found, clock, log, speed, batch, shared, _once(resources, found.path, clock))


async def _log(settings: Settings, path: Path, clock: Clock) -> EventLog:
    url = settings.log_url.get_secret_value()
    if not url:
        return await SqliteLog.open(path / LOG, partitions=settings.partitions, clock=clock)
    with _driver_of("log_url"):
        from services.shared.log.kafka import KafkaLog
    if settings.origin("partitions") == settings_module.DEFAULT:
        return await KafkaLog.open(url, clock=clock)
    return await KafkaLog.open(url, partitions=settings.partitions, clock=clock)


async def _speed(settings: Settings, path: Path) -> SpeedView:
    url = settings.speed_url.get_secret_value()
    if not url:
        return await SqliteSpeedView.open(path / SPEED)
    with _driver_of("speed_url"):
        from services.shared.speedview.elasticsearch import ElasticSpeedView
    return await ElasticSpeedView.open(url)


async def _batch(settings: Settings, path: Path, clock: Clock) -> BatchView:
    url = settings.batch_url.get_secret_value()
    if not url:
        return await SqliteBatchView.open(path / BATCH, clock)
    with _driver_of("batch_url"):
        from services.shared.batchview.mongo import MongoBatchView
    return await MongoBatchView.open(url, clock)


def cache(settings: Settings, clock: Clock) -> Cache:
    """The cache that the settings ask for. It connects when it is first asked."""
    url = settings.cache_url.get_secret_value()
    if not url:
        return MemoryCache()
    with _driver_of("cache_url"):
        from services.shared.cache.redis import RedisCache
    return RedisCache(url, clock)


async def prove_cache(settings: Settings) -> str:
    """Writes to the shared cache and reads it back; what it says it is. Raises `Unavailable`."""
    with _driver_of("cache_url"):
        from services.shared.cache import redis
    return await redis.proved(settings.cache_url.get_secret_value())


@contextlib.contextmanager
def _driver_of(setting: str) -> Iterator[None]:
    """Around the import of an adapter: not every image has its driver."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise Refused(
            f"{setting}: needs the library {error.name}; pip install 'bots-vs-wiki[servers]'"
        ) from None


@contextlib.asynccontextmanager
async def log(settings: Settings) -> AsyncIterator[tuple[Path, EventLog]]:
    """The data directory and its log alone, for tools."""
    found = await asyncio.to_thread(directory, settings)
    opened = await _log(settings, found.path, SystemClock())
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
        options = _stream(settings, name)
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


def _stream(settings: Settings, source: str) -> sse.Options:
    return sse.Options(
        url=WIKIMEDIA if source == LIVE else source,
        contact=settings.contact,
        overlap=settings.resume_overlap,
        watchdog=settings.stream_watchdog,
        canary_alarm=settings.canary_alarm,
        largest=int(settings.largest_event),
    )


def _asked(settings: Settings) -> str | None:
    return None if settings.source == AUTO else settings.source


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
                made = await IcebergLake.open(path / LAKE, clock)
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
