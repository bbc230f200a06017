"""The law of the product, against every order of things that can happen.

    answer = recount of the distinct changes before as_of, the lowest position of each id

Hypothesis plays the upstream (copies, late and reordered events), the speed layer (any batch size,
half-written, repeated and delayed writes), the batch layer (runs, compaction, rebuilds, deaths at
any crash point), topic models that come and go, retention, the clock, and readers who come back with an
old pin.
"""

import asyncio
import tempfile
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.serving.pin import Pin, pin
from services.shared.batchview.port import Gone
from services.shared.domain.positions import reaches
from services.shared.runtime import crash
from tests.laws.world import SETTINGS, WINDOW, World, event

_numbers = st.lists(st.integers(0, 40), min_size=1, max_size=12)
_free = st.sampled_from([0, 1, 1 << 40])
_deaths = st.sampled_from(
    [
        "",
        *(
            f"{point}:{n}"
            for point in sorted(crash.POINTS)
            if point.startswith(("batch", "lake"))
            for n in (1, 2)
        ),
    ]
)


class Machine(RuleBasedStateMachine):
    """A world in a folder of its own, and a loop to do things in."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.world = World(Path(self.folder.name))
        self.pins: list[tuple[Pin, Any]] = []
        self.do(self.world.open())

    def do(self, work: Awaitable[Any]) -> Any:
        async def main() -> Any:
            return await work

        return self.runner.run(main())

    def teardown(self) -> None:
        self.do(self.world.close())
        self.runner.close()
        self.folder.cleanup()


class Product(Machine):
    @rule(numbers=_numbers)
    def append(self, numbers: list[int]) -> None:
        self.do(self.world.append(map(event, numbers)))
        self.do(self.world.learn())

    @rule(numbers=_numbers, n=st.integers(1, 2), point=st.sampled_from(["in-append", "appended"]))
    def die_appending(self, numbers: list[int], n: int, point: str) -> None:
        work = lambda: self.world.append(map(event, numbers))  # noqa: E731
        self.do(self.world.surviving(work, f"log.{point}:{n}"))
        self.do(self.world.learn())

    @rule(limit=st.integers(1, 30), half=st.booleans(), again=st.booleans())
    def index(self, limit: int, half: bool, again: bool) -> None:
        self.do(self.world.index(limit, half=half, again=again))

    @rule(limit=st.integers(1, 30))
    def die_indexing(self, limit: int) -> None:
        self.do(self.world.surviving(lambda: self.world.index(limit), "speed.in-write"))

    @rule()
    def come_back_with_delayed_writes(self) -> None:
        self.do(self.world.write_delayed())

    @rule(piece=st.sampled_from([3, 10, 1000]), free=_free, death=_deaths)
    def run(self, piece: int, free: int, death: str) -> None:
        self.do(self.world.surviving(lambda: self.world.run("run", piece, free=free), death))

    @rule(free=_free, death=_deaths)
    def rebuild(self, free: int, death: str) -> None:
        self.do(self.world.surviving(lambda: self.world.run("rebuild", 1000, free=free), death))

    @rule(seed=st.integers(0, 9), known=st.sampled_from([0, 2, 100]))
    def another_topic_model(self, seed: int, known: int) -> None:
        self.do(self.world.publish_topics(seed, known))

    @rule(seconds=st.sampled_from([-3600.0, -1.0, 0.5, 15.0, 45.0, 120.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.clock.set(self.world.clock.now() + seconds)

    @rule(free=_free, rebuilt=st.booleans(), copies=_numbers)
    def everything_ages(self, free: int, rebuilt: bool, copies: list[int]) -> None:
        self.do(self.world.age(free, rebuilt=rebuilt))
        self.append(copies)

    @rule(death=st.sampled_from(["", "log.in-repack"]))
    def let_go(self, death: str) -> None:
        self.do(self.world.surviving(self.world.let_go, death))

    @rule(death=st.sampled_from(["", "speed.rebuild-begun"]))
    def lose_the_speed_view(self, death: str) -> None:
        self.do(self.world.surviving(self.world.lose_speed_view, death))

    @rule()
    def lose_the_batch_view(self) -> None:
        self.pins.clear()
        self.do(self.world.lose_batch_view())

    @rule()
    def keep_a_pin(self) -> None:
        at = self.do(self.world.pinned())
        if not at.reasons:
            self.pins = [*self.pins[-2:], (at, self.do(self.world.check(at)))]

    @precondition(lambda self: self.pins)
    @rule()
    def come_back_with_a_pin(self) -> None:
        at, _ = self.pins[0]
        now = self.do(self.world.pinned())
        try:
            self.do(self.world.batch.generation(at.generation.number))
        except Gone:
            return
        if reaches(now.until, at.until) and not now.reasons:
            self.do(self.world.check(at))

    @rule()
    def catch_up(self) -> None:
        self.do(self.world.index(100_000))
        at = self.do(self.world.pinned())
        assert at.until == self.do(self.world.log.stable_end())
        if at.reasons:  # the batch view was lost: it says so until a run has counted the lake
            self.do(self.world.run("run", 1000))
            at = self.do(self.world.pinned())
        assert not at.reasons

    @invariant()
    def every_answer_is_a_recount(self) -> None:
        at = self.do(self.world.pinned())
        if not at.reasons:
            self.do(self.world.check(at))
        self.do(self.world.forward())


class Copies(Machine):
    """The same few events again and again, while what precedes them is let go of: what must still be
    there for a late copy to lose against is there, whatever was lost and rebuilt meanwhile.
    """

    @rule(
        numbers=st.lists(st.integers(0, 4), min_size=1, max_size=3),
        part=st.sampled_from([0.05, 0.3, 0.6, 0.95]),
        then=st.sets(st.sampled_from(["run", "run late", "let go", "lose the speed view"])),
    )
    def go_on(self, numbers: list[int], part: float, then: set[str]) -> None:
        """Some time passes, which is a part of the dedupe window, and some copies come."""
        self.world.clock.advance(part * WINDOW)
        self.do(self.world.append(map(event, numbers)))
        self.do(self.world.learn())
        self.do(self.world.index(100_000))
        if "run late" in then:  # so late that no earlier generation stays readable
            self.world.clock.advance(1.1 * SETTINGS.generation_keep)
        if then & {"run", "run late"}:
            self.do(self.world.run("run", 1000))
        if "let go" in then:
            self.do(self.world.let_go())
        if "lose the speed view" in then:
            self.do(self.world.lose_speed_view())
            self.do(self.world.index(100_000))

    @rule(numbers=st.lists(st.integers(0, 4), min_size=1, max_size=3), limit=st.integers(1, 3))
    def be_slow(self, numbers: list[int], limit: int) -> None:
        self.do(self.world.append(map(event, numbers)))
        self.do(self.world.learn())
        self.do(self.world.index(limit, half=True, again=True))
        self.do(self.world.write_delayed())

    @invariant()
    def every_answer_is_a_recount(self) -> None:
        """Of every generation that can be read; and none is partial but while a view is rebuilt."""
        for readable in self.do(self.world.batch.generations()):
            at = pin(readable, self.do(self.world.speed.visible()))
            assert at.reasons == ()
            self.do(self.world.check(at))


Product.TestCase.settings = settings(
    max_examples=12,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
Copies.TestCase.settings = settings(Product.TestCase.settings, max_examples=14)
TestProduct = Product.TestCase
TestCopies = Copies.TestCase
