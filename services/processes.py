"""Which services one process runs, and how they hang together.

`bvw up` runs them all side by side, a service alone runs the same function; each is
`async def service(stop)`. They meet in the stores only, so it makes no difference how many
processes they are spread over. Each is imported when it starts: an installation needs the libraries of
those that it runs and of no others.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog
from rich.console import Console

from services.collector import collect as collecting
from services.collector import progress, replay, reporting, upkeep
from services.collector.filters import Filters
from services.collector.source.port import Reporting, Source
from services.shared import fit
from services.shared.batchview.port import Run
from services.shared.domain import generation
from services.shared.domain.positions import Vector, reaches
from services.shared.fit import Parts
from services.shared.lake import sweep
from services.shared.runtime import datadir, lifecycle, metrics, roles
from services.shared.runtime.exits import Refused
from services.shared.runtime.probes import Readiness
from services.shared.runtime.settings import DEFAULT, Settings
from services.shared.runtime.unavailable import Unavailable
from services.wiring import Stores, remember

if TYPE_CHECKING:
    from services.audit.background import BackgroundAudit
    from services.batch.run import Kind
    from services.serving.api.models.ours import AuditAnswer

CAUGHT_UP_LOOK: Final = 0.05
_LATER: Final = ("audit.background", "batch.run", "batch.schedule", "serving.serve", "speed.speed")

_log = structlog.get_logger(__name__)


def load() -> None:
    """Import every service now, rather than each when it starts, while others already run."""
    for name in _LATER:
        importlib.import_module(f"services.{name}")


@dataclass(slots=True)
class Process:
    """What the services of one process share."""

    settings: Settings
    stores: Stores
    readiness: Readiness = field(init=False)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the source has ended and everything of it is in the log."""

    def __post_init__(self) -> None:
        self.readiness = Readiness(self.stores.clock)

    async def collect(self, source: Source, stop: asyncio.Event) -> None:
        """Source -> log, with the role held; replays dead letters and keeps the log meanwhile."""
        async with roles.hold(self.stores.path, "collector"):
            await asyncio.to_thread(remember, self.stores.directory)
            gate = asyncio.Event()
            gate.set()
            health = collecting.Health()
            self.readiness.add("collector", health.check)
            filters = Filters(self.settings.projects, self.settings.types, self.settings.namespaces)
            beside = {
                "collect": lambda stop: self._collect(source, filters, gate, health, stop),
                "replay": lambda stop: replay.serve(
                    self.stores.log, self.stores.path, stop=stop, filters=filters
                ),
                "keep the log": lambda stop: upkeep.run(
                    self.stores.log,
                    self.stores.speed,
                    self.stores.batch,
                    settings=self.settings,
                    disk=upkeep.Disk(self.stores.path, self.settings, _used),
                    clock=self.stores.clock,
                    gate=gate,
                    stop=stop,
                ),
            }
            if isinstance(source, Reporting):
                beside["report"] = lambda stop: reporting.run(source, self.stores.log, stop=stop)
            await lifecycle.side_by_side(beside, stop)

    async def _collect(
        self,
        source: Source,
        filters: Filters,
        gate: asyncio.Event,
        health: collecting.Health,
        stop: asyncio.Event,
    ) -> None:
        async with progress.shown(source, Console(stderr=True)):
            await collecting.run(
                source,
                self.stores.log,
                stop=stop,
                clock=self.stores.clock,
                filters=filters,
                gate=gate,
                health=health,
            )
        if not stop.is_set():
            self.ended.set()

    async def until_ended(self, stop: asyncio.Event) -> None:
        """Stops all once the source has ended."""
        if await _either(self.ended, stop):
            stop.set()

    async def speed(self, stop: asyncio.Event, until: Vector | None = None) -> None:
        """Log -> speed view, with the role held; ends at `until`, if that is given."""
        from services.speed import speed as following

        async with roles.hold(self.stores.path, "speed"):
            await following.run(
                self.stores.log,
                self.stores.speed,
                self.stores.batch,
                settings=self.settings,
                clock=self.stores.clock,
                stop=stop,
                directory=self.stores.path,
                until=until,
            )

    async def batch(self, stop: asyncio.Event) -> None:
        """Log -> lake -> batch view, again and again; the role is held for each run."""
        from services.batch import schedule

        with contextlib.suppress(Unavailable):  # each run says so
            await self.stores.lake()  # takes its time: not from that of the first run
        await schedule.serve_schedule(
            lambda: self.batch_once(stop=stop),
            self.stores.log,
            self.stores.batch,
            self.stores.clock,
            stop,
            data=self.stores.path,
            every=self.settings.batch_every,
            first_after=self.settings.first_batch_after,
        )

    async def batch_once(
        self, kind: Kind = "run", *, stop: asyncio.Event | None = None, **options: Any
    ) -> Run:
        """One run; the caller holds the batch role."""
        from services.batch import run as batch_run
        from services.batch.work import Options

        stores = self.stores
        return await batch_run.run_once(
            stores.log,
            await stores.lake(),
            stores.batch,
            stores.speed,
            clock=stores.clock,
            options=Options.of(
                self.settings,
                keep_all_minutes=stores.kind == "recording",
                free_bytes=await self._over_budget(),
            ),
            kind=kind,
            stop=stop,
            **options,
        )

    async def _over_budget(self) -> int:
        """What the lake should give back, once the log has given what it can."""
        stores = self.stores
        if await self._bytes_over() <= 0:
            return 0
        await upkeep.shorten(
            stores.log, stores.speed, stores.batch, self.settings, keep_margin=False
        )
        return max(0, await self._bytes_over())

    async def _bytes_over(self) -> int:
        used = await asyncio.to_thread(_used, self.stores.path)
        return sum(used.values()) - int(self.settings.disk_budget)

    async def until_caught_up(self, stop: asyncio.Event) -> None:
        """Once the source has ended: speed at the log's end, a batch run to it, then stop all."""
        if not await _either(self.ended, stop):
            return
        end = await self.stores.log.stable_end()
        while not stop.is_set():
            visible = await self.stores.speed.visible()
            if visible is not None and reaches(visible.positions, end):
                break
            await asyncio.sleep(CAUGHT_UP_LOOK)
        while not stop.is_set():
            async with roles.hold(self.stores.path, "batch", wait=True):
                await self.batch_once(stop=stop)
            current = await self.stores.batch.current()
            if current is not None and reaches(current.horizon, end):
                _log.info("caught_up", end=end, generation=current.number)
                stop.set()
                return

    async def open_api(
        self, resources: lifecycle.Resources, description: str, note: str = ""
    ) -> str:
        """The API and the page, found by tools from now on, and the metrics; returns the URL.

        `description` is the source's, `note` what people should know about its choice.
        """
        await self.open_metrics(resources)
        host, port = self.settings.host, int(self.settings.port)
        url = await self._listen(resources, description, note, host, port)
        await resources.enter("announcement", announced(self.stores.path, url))
        return url

    async def api_for_tools(self, resources: lifecycle.Resources) -> str:
        """The URL of the API that serves this directory, or of one for this process alone."""
        url = await served_url(self.stores.path, self.stores.log.identity)
        if url is not None:
            return url
        await self.begin()
        return await self._listen(resources, self.stores.directory.source, "", "127.0.0.1", 0)

    async def _listen(
        self, resources: lifecycle.Resources, description: str, note: str, host: str, port: int
    ) -> str:
        from services.audit.background import BackgroundAudit
        from services.serving import serve
        from services.serving.api.app import Deps
        from services.serving.api.models.ours import SourceRow

        stores = self.stores
        audits = BackgroundAudit(stores.path, stores.clock)
        resources.on_close("audit", audits.close)
        deps = Deps(
            log=stores.log,
            speed=stores.speed,
            batch=stores.batch,
            cache=stores.cache,
            clock=stores.clock,
            audits=_Audits(audits),
            readiness=self.readiness,
            source=SourceRow(
                name=stores.directory.source,
                kind=stores.kind,
                description=description,
                note=note,
            ),
            cache_dir=stores.path / "cache",
            host=host,
            page_limit=self.settings.page_limit,
            pin_live=self.settings.pin_live,
            feed_readers=self.settings.feed_readers,
        )
        return await resources.enter("API", serve.listening(deps, host=host, port=port))

    async def serve(self, stop: asyncio.Event) -> None:
        """Serving needs no loop of its own: it listens from `open_api` on."""
        await stop.wait()

    async def open_metrics(self, resources: lifecycle.Resources) -> None:
        """Metrics on their own port."""
        settings = self.settings
        chosen = settings.origin("metrics_port") != DEFAULT
        port = int(settings.metrics_port)
        await resources.enter("metrics", metrics.serve(settings.host, port, chosen=chosen))

    async def begin(self) -> None:
        """Generation 0, so that a new directory has a batch layer from its first moment.

        Refuses views that were not made from this log, or from more of it than is there.
        """
        log, now = self.stores.log, round(self.stores.clock.now() * 1000)
        first = generation.first(log.identity, log.partitions, now)
        current, visible = await self.stores.batch.begin(first), await self.stores.speed.visible()
        end = await log.stable_end()
        parts = Parts(log.identity, end, end, now, current, visible, None)
        if odd := next(fit.misfits(parts, self.stores.path), None):
            raise Refused(f"{self.stores.path}: {odd}")


def _used(data: Path) -> dict[str, int]:
    """Bytes on disk by part, without the lake's files that are given back already."""
    parts = datadir.used_by_part(data)
    return parts | {"lake": parts["lake"] - sweep.waiting((data / "lake").resolve())}


@dataclass(frozen=True, slots=True)
class _Audits:
    """The audit as serving shows it: the two services know nothing of each other."""

    background: BackgroundAudit

    def start(self) -> None:
        self.background.start()

    def latest(self) -> AuditAnswer:
        from services.serving.api import dates
        from services.serving.api.models.ours import AuditAnswer, DifferenceRow

        state = self.background.latest()
        result = state.result
        return AuditAnswer(
            state=state.state,
            started_at=None if state.started_at is None else dates.iso(state.started_at),
            seconds=result.seconds if result else None,
            at=result.at if result else None,
            cells=result.cells if result else 0,
            events=result.events if result else 0,
            copies=result.copies if result else 0,
            different=result.differences if result else 0,
            differences=[
                DifferenceRow(
                    cell=f"{found.question} {found.cell}",
                    answered=str(found.answered),
                    recounted=str(found.recounted),
                )
                for found in (result.listed if result else ())
            ],
            not_recounted_days=result.days_not_recounted if result else [],
            late_days=result.late_days if result else [],
            exact=result.exact if result else None,
            error=state.error,
        )


@contextlib.asynccontextmanager
async def announced(data: Path, url: str) -> AsyncIterator[None]:
    """Tools find the running API by a file in the data directory; whether it answers they ask it."""
    path = data / "serving.json"
    text = json.dumps({"url": url, "pid": os.getpid()})
    await asyncio.to_thread(_write, path, text)
    try:
        yield
    finally:
        if await asyncio.to_thread(_read, path) == text:
            await asyncio.to_thread(path.unlink, missing_ok=True)


def announced_url(data: Path) -> str | None:
    """Where the API of this directory was last announced."""
    try:
        return str(json.loads(_read(data / "serving.json"))["url"])
    except (ValueError, KeyError, TypeError):
        return None


async def served_url(data: Path, log: str) -> str | None:
    """Where the API of this directory, which has this log, is served now."""
    from services.audit import client

    url = await asyncio.to_thread(announced_url, data)
    return url if url is not None and await client.answers(url, log) else None


def _write(path: Path, text: str) -> None:
    """In one step: whoever waits for the file must not read half of it."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_text(text, "utf-8")
    new.rename(path)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError:
        return ""


async def _either(event: asyncio.Event, stop: asyncio.Event) -> bool:
    """Waits for either; True if it was not the stop."""
    waits = [asyncio.create_task(e.wait()) for e in (event, stop)]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    return event.is_set() and not stop.is_set()
