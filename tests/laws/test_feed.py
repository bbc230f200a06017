"""The law of the live feed, against every order of things that can happen.

    what a reader has got = the changes that count from where it began up to its last id

at each of its events, whichever id it came back with, whatever filter it has, and whatever became of the
feed and the view meanwhile; but for the stretches that `event: gap` names. So a reader that is cut off
anywhere and comes back with its last id gets every change exactly once.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from services.serving.feed import catching_up, fanout, follower, recent
from services.shared import decode
from services.shared.domain.change import Change
from services.shared.domain.positions import Vector, reaches
from services.shared.log.embedded import SqliteLog
from services.shared.log.port import Entry, Record
from services.shared.runtime.clock import ManualClock
from services.shared.runtime.unavailable import Unavailable
from services.shared.speedview.embedded import SqliteSpeedView
from services.shared.speedview.port import Search, Visible
from services.speed.prepare import prepare
from tests.frames import position
from tests.laws.world import event
from tests.unit.feed.made import LOOK, Attached, Served

T = TypeVar("T")

SEARCHES: Final[dict[Search, Callable[[Change], bool]]] = {
    Search(): lambda _: True,
    Search(projects=("pt.wikipedia",)): lambda change: change.project == "pt.wikipedia",
    Search(terms=("roma",)): lambda change: "Roma" in change.title,
}
SMALL: Final = (
    (follower, "STEP", 4),
    (follower, "AT_HAND", 5),
    (recent, "MOST_EVENTS", 12),
    (catching_up, "PAGE", 3),
    (catching_up, "PAGE_BYTES", 1_000),
    (catching_up, "AGAIN", 0.05),
    (fanout, "AGAIN", 0.05),
)
"""So that few changes are many steps and pages, and most of them soon far back."""
_numbers = st.lists(st.integers(0, 60), min_size=1, max_size=12)
_any = st.integers(0, 1_000)
"""One of what there is: how much that is depends on how quick the machine is, and no draw may."""
_searches = st.sampled_from(list(SEARCHES))


class Stores:
    """A log, the speed view over it, and a naive model of what is in them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = ManualClock(1_700_000_000.0)
        self.stored: list[Record] = []

    async def open(self) -> None:
        self.log = await SqliteLog.open(self.path / "log", partitions=2, clock=self.clock)
        self.speed = await SqliteSpeedView.open(self.path / "speed")
        await self.speed.begin(self.log.identity, (0, 0), None, text_version=1)

    async def close(self) -> None:
        await self.log.close()
        await self.speed.close()

    async def append(self, numbers: Iterable[int]) -> None:
        changes = [(raw, decode.parse(raw)) for raw in map(event, numbers)]
        since = await self.log.stable_end()
        await self.log.append([Entry(c.id, raw) for raw, c in changes if isinstance(c, Change)])
        self.stored += (await self.log.read(since, limit=1_000)).records

    async def index(self, limit: int, *, half: bool = False) -> None:
        """One batch of the speed layer; `half` of it may be written before it is done whole."""
        visible = await self.visible()
        batch = await self.log.read(visible.positions, limit=limit)
        prepared = await asyncio.to_thread(prepare, batch)
        if half:
            await self.speed.write(
                prepared.documents[1::2], prepared.since, prepared.since, visible.times
            )
        await self.speed.write(prepared.documents, prepared.since, prepared.until, prepared.times)

    async def let_go(self) -> None:
        """Of the documents that there are."""
        visible = await self.visible()
        await self.speed.shrink(visible.positions, tuple(time + 1 for time in visible.times))

    async def lose_the_view(self) -> None:
        visible = await self.visible()
        await self.speed.begin(self.log.identity, (0, 0), visible.positions, text_version=1)

    async def visible(self) -> Visible:
        visible = await self.speed.visible()
        assert visible is not None
        return visible

    def counting(self, since: Vector, until: Vector) -> Iterator[Record]:
        """Of each id the copy at the lowest position, where that is in the span."""
        seen = set[str]()
        for record in sorted(self.stored, key=lambda r: (r.partition, r.offset)):
            if record.key not in seen and _within(record, since, until):
                yield record
            seen.add(record.key)


class Feed(RuleBasedStateMachine):
    """A feed over these in a folder of its own, and a loop for all of it."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        for module, name, value in SMALL:
            self.patch.setattr(module, name, value)
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.stores = Stores(Path(self.folder.name))
        self.do(self.stores.open())
        self.served = Served(self.stores.speed, self.stores.log)
        self.readers: list[Attached] = []
        self.reading: list[Attached] = []

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def teardown(self) -> None:
        self.everybody_has_everything()
        self.do(self.served.close())
        self.do(self.stores.close())
        self.runner.close()
        self.folder.cleanup()
        self.patch.undo()

    @rule(
        numbers=_numbers,
        seconds=st.sampled_from([-3600.0, 0.0, 0.001, 15.0]),
        indexed=st.sampled_from([0, 3, 100, 100]),
    )
    def append(self, numbers: list[int], seconds: float, indexed: int) -> None:
        self.stores.clock.set(self.stores.clock.now() + seconds)
        self.do(self.stores.append(numbers))
        if indexed:
            self.index(indexed, half=False)

    @rule(limit=st.integers(1, 30), half=st.booleans())
    def index(self, limit: int, half: bool) -> None:
        self.do(self.stores.index(limit, half=half))

    @rule()
    def documents_are_let_go_of(self) -> None:
        self.do(self.stores.let_go())

    @rule()
    def the_speed_view_is_lost(self) -> None:
        self.do(self.stores.lose_the_view())

    @rule()
    def a_moment_passes(self) -> None:
        self.do(asyncio.sleep(LOOK))

    @initialize()
    def somebody_reads_everything(self) -> None:
        self.come(Search(), 0)

    @rule(search=_searches, last=st.sampled_from([0, 0, 2, 1000]))
    def come(self, search: Search, last: int) -> None:
        with contextlib.suppress(Unavailable):  # a view that is being rebuilt has no newest changes
            self._took(self.do(self.served.attach(search, last=last)))

    @rule(search=_searches, which=_any)
    def come_back(self, search: Search, which: int) -> None:
        """With any id that anybody has ever been given."""
        ids = sorted({id_ for reader in self.readers for id_ in _ids(reader)})
        if ids:
            self._took(self.do(self.served.attach(search, at=ids[which % len(ids)])))

    @rule(which=_any)
    def leave(self, which: int) -> None:
        if self.reading:
            self.do(self.reading.pop(which % len(self.reading)).leave())

    @rule()
    def serving_begins_anew(self) -> None:
        self.do(self.served.close())
        self.reading.clear()
        self.served = Served(self.stores.speed, self.stores.log)

    @rule()
    def everybody_has_everything(self) -> None:
        self.do(self.stores.index(100_000))
        end = self.do(self.stores.log.stable_end())
        for reader in self.reading:
            self.do(reader.until(lambda it: reaches(it.reached, end)))
        for reader in self.readers:
            self.check(reader)

    def check(self, reader: Attached) -> None:
        """That it has got what its ids say, after each event and now."""
        got, gaps = Counter[str](), list[tuple[Vector, Vector]]()
        for frame in reader.frames:
            if frame.event == "gap":
                gaps.append((tuple(frame.data["since"]), tuple(frame.data["until"])))
            else:
                assert frame.event == "message"
                got[frame.data["id"]] += 1
                self._right(reader, got, gaps, position(frame.id))
        self._right(reader, got, gaps, reader.reached)

    def _right(
        self,
        reader: Attached,
        got: Counter[str],
        gaps: list[tuple[Vector, Vector]],
        until: Vector,
    ) -> None:
        assert got == Counter(
            record.key
            for record in self.stores.counting(reader.begun, until)
            if SEARCHES[reader.search](_change(record))
            and not any(_within(record, *gap) for gap in gaps)
        )

    def _took(self, reader: Attached) -> None:
        self.readers.append(reader)
        self.reading.append(reader)


def _ids(reader: Attached) -> Iterable[str]:
    return [frame.id for frame in reader.frames if frame.id] + [reader.id] * bool(reader.id)


def _within(record: Record, since: Vector, until: Vector) -> bool:
    return since[record.partition] <= record.offset < until[record.partition]


def _change(record: Record) -> Change:
    change = decode.parse(record.raw)
    assert isinstance(change, Change)
    return change


Feed.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestFeed = Feed.TestCase
