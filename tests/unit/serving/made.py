"""A served world: changes in a real log, both views filled through their ports, and the API over it.

`World.counted` are the changes that an answer must stand on; tests recount them the plain way.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from aiohttp.test_utils import TestClient, TestServer

from services.serving.api.app import Deps, build
from services.serving.api.models.ours import AuditAnswer, SourceRow
from services.serving.files import VEGA, File, Files, file
from services.shared.batchview.embedded import SqliteBatchView
from services.shared.cache.embedded import MemoryCache
from services.shared.domain import generation
from services.shared.domain.change import EDIT_TYPES, TYPES, Change
from services.shared.domain.classes import editor_class, page_class
from services.shared.domain.generation import Generation, Segment
from services.shared.domain.identity import event_day
from services.shared.domain.positions import Vector, zero
from services.shared.domain.topics import Page, PageMap, TopicModel
from services.shared.domain.views import DISTINCT, VIEWS, Document, Word, registers_of, rows_of
from services.shared.log.embedded import SqliteLog
from services.shared.log.port import Entry
from services.shared.runtime.clock import ManualClock
from services.shared.runtime.probes import Readiness
from services.shared.speedview.embedded import SqliteSpeedView
from services.shared.speedview.port import Indexed
from services.shared.text import search_terms
from tests.unit.serving import described

PARTITIONS = 2
NOW = datetime(2024, 3, 1, 18, tzinfo=UTC).timestamp()
FIRST = int(datetime(2024, 2, 28, tzinfo=UTC).timestamp())
HOSTILE = '"><img src=x onerror=alert(1)>\u202e'
TITLES = ("Lisboa", "Porto", "Évora", HOSTILE, "東京", 'O\'Neill \\ "x"')
USERS = ("Ana", "Rui", "CleanupBot", "10.0.0.1", "2001:db8::1", "~2024-1-1", "Abbot", "")
PROJECTS = ("pt.wikipedia", "pt.wikipedia", "en.wikipedia", "wikidata")
WORDS = (Word("lisbo", "Lisboa"), Word("lisbo", "lisboeta"), Word("port", "Porto"), Word("x", "X"))

Client = TestClient[Any, Any]


def change(number: int, **fields: Any) -> Change:
    """An edit of Lisboa by Ana, unless said otherwise."""
    given: dict[str, Any] = {
        "timestamp": FIRST,
        "type": "edit",
        "project": "pt.wikipedia",
        "wiki": "ptwiki",
        "namespace": 0,
        "title": "Lisboa",
        "user": "Ana",
        "bot": False,
        "minor": False,
        "net_bytes": 7,
        "comment": "",
        "revision": number,
    } | fields
    day = event_day(given["timestamp"]) or 0
    return Change(
        id=f"{day}:{number}",
        day=day,
        editor_class=editor_class(given["user"], bot=given["bot"]),
        page_class=page_class(given["namespace"]),
        **given,
    )


def documents(count: int, seed: int = 7) -> list[Document]:
    """Changes of three days around the end of a February, of all kinds."""
    chance = random.Random(seed)
    return [_document(number, chance) for number in range(count)]


def _document(number: int, chance: random.Random) -> Document:
    kind = chance.choices(TYPES, (10, 3, 2, 2, 1, 1))[0]
    edit = kind in EDIT_TYPES
    made = change(
        number,
        timestamp=FIRST + chance.randrange(3 * 86_400),
        type=kind,
        project=chance.choice(PROJECTS),
        namespace=chance.choice((0, 0, 1, 14)),
        title=chance.choice(TITLES),
        user=chance.choice(USERS),
        bot=chance.random() < 0.4,
        minor=chance.random() < 0.3,
        net_bytes=chance.randint(-500, 900) if edit else 0,
        comment=chance.choice(("", "typo", "wpwp çedilha", HOSTILE)),
    )
    if not edit:
        return Document(made)
    tags = tuple(chance.sample(("wpwp", "1lib1ref"), chance.randrange(3)))
    return Document(made, tuple(chance.sample(WORDS, chance.randrange(3))), tags)


class Audits:
    """Stands for a recount that runs elsewhere."""

    def __init__(self) -> None:
        self.started = 0

    def start(self) -> None:
        self.started += 1

    def latest(self) -> AuditAnswer:
        return AuditAnswer(
            state="running" if self.started else "none",
            started_at=None,
            seconds=None,
            at=None,
            cells=0,
            events=0,
            copies=0,
            different=0,
            differences=[],
            not_recounted_days=[],
            late_days=[],
            exact=None,
            error="",
        )


@dataclass
class World:
    log: SqliteLog
    speed: SqliteSpeedView
    batch: SqliteBatchView
    clock: ManualClock
    path: Path
    audits: Audits = field(default_factory=Audits)
    counted: list[Indexed] = field(default_factory=list)
    until: Vector = field(default_factory=lambda: zero(PARTITIONS))
    times: Vector = field(default_factory=lambda: zero(PARTITIONS))

    async def append(self, added: Iterable[Document]) -> None:
        """Into the log; visible once `follow` has run."""
        added = list(added)
        # Only copies share a key in the log, and here there are none.
        positions = await self.log.append([Entry(d.change.id, b"{}") for d in added])
        batch = await self.log.read(self.until, limit=10_000)
        times = {(r.partition, r.offset): r.appended_at for r in batch.records}
        self.counted += [
            Indexed(*place, times[place], document, _terms(document.change))
            for place, document in zip(positions, added, strict=True)
        ]
        self.until, self.times = batch.until, batch.times

    async def follow(self) -> None:
        """The speed layer takes everything in."""
        await self.speed.write(self.counted, zero(PARTITIONS), self.until, self.times)

    async def publish(self, *, minutes_from: int = 0) -> Generation:
        """The batch layer takes everything in that it has not."""
        before = await self.batch.current()
        assert before is not None
        number = before.number + 1
        segment = Segment(f"segment-{number}", before.horizon, self.until, "1")
        taken = [d.document for d in self.counted if d.offset >= before.horizon[d.partition]]
        rows = {view.name: rows_of(view, taken) for view in VIEWS}
        registers = {
            key: value
            for view in VIEWS
            if view.name in DISTINCT
            for key, value in registers_of(view, rows[view.name]).items()
        }
        await self.batch.stage(segment, {n: r.items() for n, r in rows.items()}, registers)
        published = Generation(
            number,
            self.log.identity,
            (*before.segments, segment),
            self.until,
            self.times,
            minutes_from,
            self.now_ms,
        )
        await self.batch.publish(before.number, published)
        return published

    async def publish_topics(self, model: TopicModel, known: dict[Page, int]) -> Generation:
        """The batch layer has another model, and knows these pages by it."""
        before = await self.batch.current()
        assert before is not None
        page_map = PageMap(f"map-{before.number + 1}", model.id)
        await self.batch.stage_model(model)
        await self.batch.stage_map(page_map, known)
        published = replace(
            before, number=before.number + 1, topic_model=model.id, topic_map=page_map.id
        )
        await self.batch.publish(before.number, published)
        return published

    @property
    def now_ms(self) -> int:
        return int(self.clock.now() * 1000)

    def where(self, wanted: Callable[[Change], bool]) -> list[Document]:
        return [d.document for d in self.counted if wanted(d.document.change)]

    @contextlib.asynccontextmanager
    async def served(self, **more: Any) -> AsyncIterator[Client]:
        """The API; `more` replaces what it is given."""
        given: dict[str, Any] = {
            "log": self.log,
            "speed": self.speed,
            "batch": self.batch,
            "cache": MemoryCache(),
            "clock": self.clock,
            "audits": self.audits,
            "readiness": Readiness(self.clock),
            "source": SourceRow(name="made", kind="simulated", description="made for a test"),
            "cache_dir": self.path,
            "pin_live": 0.0,
        } | more
        vega = asyncio.ensure_future(_made(file(VEGA, b"export {}")))
        pages = {tag: file("index.html", tag.encode()) for tag in ("en", "pt-BR")}
        files = Files({}, pages, vega)
        app = build(Deps(**given), files)
        app.on_response_prepare.append(described.check)
        async with TestClient(TestServer(app)) as client:
            yield client


async def _made(made: File) -> File:
    return made


def _terms(of: Change) -> tuple[str, ...]:
    return tuple(search_terms(f"{of.title}\n{of.comment}\n{of.user}"))


@contextlib.asynccontextmanager
async def world(path: Path) -> AsyncIterator[World]:
    """Empty, with generation 0 and a speed view that has begun."""
    clock = ManualClock(NOW)
    async with contextlib.AsyncExitStack() as stack:
        log = await SqliteLog.open(path / "log.sqlite", partitions=PARTITIONS, clock=clock)
        stack.push_async_callback(log.close)
        speed = await SqliteSpeedView.open(path / "speed.sqlite")
        stack.push_async_callback(speed.close)
        batch = await SqliteBatchView.open(path / "batch.sqlite", clock)
        stack.push_async_callback(batch.close)
        await batch.begin(generation.first(log.identity, PARTITIONS, int(NOW * 1000)))
        await speed.begin(log.identity, zero(PARTITIONS), None, text_version=1)
        yield World(log, speed, batch, clock, path)


async def get(client: Client, path: str, status: int = 200, **headers: str) -> Any:
    """The decoded body."""
    async with client.get(path, headers=headers) as response:
        body = await response.read()
        assert response.status == status, (path, response.status, body)
        return msgspec.json.decode(body) if body else None
