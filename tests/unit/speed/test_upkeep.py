"""What the speed layer lets go of, and what it tells an operator."""

from services.shared.domain import generation
from services.shared.domain.query import Query
from services.shared.domain.views import EDITS
from services.shared.runtime import metrics
from services.speed import upkeep
from tests.unit.speed.conftest import NOW, Scene
from tests.unit.speed.made import PARTITIONS

HOUR = 3600


async def indexed(scene: Scene, *events: str) -> None:
    await scene.append(*events)
    scene.start()
    await scene.caught_up()
    await scene.stop()


async def let_go(scene: Scene) -> None:
    await upkeep.let_go(scene.view, scene.batchview, scene.settings)


async def test_documents_stay_until_they_are_old_and_every_readable_answer_has_them(
    scene: Scene,
) -> None:
    await scene.batchview.begin(generation.first(scene.log.identity, PARTITIONS, NOW * 1000))
    await indexed(scene, "old")
    horizon = await scene.log.stable_end()
    scene.clock.advance(23 * HOUR)
    await scene.publish(horizon, (NOW * 1000,) * PARTITIONS)
    await indexed(scene, "tick")
    await scene.forget_generations()
    await let_go(scene)
    assert await scene.events() == ["old", "tick"]  # not old enough in log time
    scene.clock.advance(2 * HOUR)
    await indexed(scene, "tock")
    await let_go(scene)
    assert await scene.events() == ["tick", "tock"]
    scene.clock.advance(48 * HOUR)
    await indexed(scene, "end")
    await let_go(scene)
    assert await scene.events() == ["end", "tick", "tock"]  # behind the horizon


async def test_a_readable_old_generation_keeps_its_documents(scene: Scene) -> None:
    await scene.batchview.begin(generation.first(scene.log.identity, PARTITIONS, NOW * 1000))
    await indexed(scene, "old")
    await scene.publish(await scene.log.stable_end(), (NOW * 1000,) * PARTITIONS)
    scene.clock.advance(48 * HOUR)
    await indexed(scene, "new")
    await let_go(scene)
    assert await scene.events() == ["new", "old"]


async def test_an_id_is_remembered_for_a_window_before_both_ends(scene: Scene) -> None:
    await scene.batchview.begin(generation.first(scene.log.identity, PARTITIONS, NOW * 1000))
    await indexed(scene, "old")
    scene.clock.advance(6 * 24 * HOUR)
    await scene.append(*(f"fill {n}" for n in range(20)))
    first = await scene.log.stable_end()
    await scene.publish(first, (NOW * 1000,) * PARTITIONS)
    scene.clock.advance(6 * 24 * HOUR)
    await indexed(scene, *(f"tick {n}" for n in range(20)))
    await scene.forget_generations()

    async def edits() -> int:
        visible = await scene.visible()
        sums = await scene.view.sums(Query(EDITS), first, visible.positions)
        return sums[()][0]

    await let_go(scene)  # the horizon's time is less than a window after "old"
    before = await edits()
    await indexed(scene, "old")
    assert await edits() == before
    times = (int(scene.clock.now() * 1000),) * PARTITIONS
    await scene.publish((await scene.visible()).positions, times)
    await scene.forget_generations()
    await let_go(scene)
    await indexed(scene, "old")
    assert await edits() == before + 1  # "old" is new again


async def test_the_age_of_what_is_not_visible_is_told(scene: Scene) -> None:
    await indexed(scene, "a")
    await upkeep.measure(scene.log, scene.view, scene.clock)
    assert (metrics.SPEED_LAG._value.get(), metrics.VISIBLE_AGE._value.get()) == (0, 0)
    await scene.append("b")
    scene.clock.advance(30)
    await scene.append("c", "d")
    scene.clock.advance(12)
    await upkeep.measure(scene.log, scene.view, scene.clock)
    assert metrics.SPEED_LAG._value.get() == 3
    assert metrics.VISIBLE_AGE._value.get() == 42
