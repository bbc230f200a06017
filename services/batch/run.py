"""One batch run: its steps as a graph, each timed and recorded, CPU work in threads.

Every step starts from what the stores say, not from what an earlier step of the same run has told it:
a run that dies anywhere is continued by the next. Only the staged segment is passed on, because
nothing that is not published outlives its run.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from typing import Final, Literal

import structlog

from services.batch import expire, publish, rebuild, steps, topics
from services.batch.work import Options, Skipped, Stopped, Work, running
from services.shared import fit
from services.shared.batchview.port import BatchView, Run, Step
from services.shared.domain.generation import Generation, first
from services.shared.domain.positions import zero
from services.shared.fit import Taken
from services.shared.lake.port import RAW, Horizon, Lake
from services.shared.log.port import EventLog
from services.shared.runtime import memory, metrics
from services.shared.runtime.clock import Clock
from services.shared.runtime.exits import Refused
from services.shared.speedview.port import SpeedView

Kind = Literal["run", "rebuild"]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Node:
    work: Callable[[Work], Awaitable[None]]
    after: tuple[str, ...] = ()


GRAPHS: Final[Mapping[Kind, Mapping[str, _Node]]] = {
    "run": {
        "ingest": _Node(steps.ingest),
        "define": _Node(steps.define, ("ingest",)),
        "clean": _Node(steps.clean, ("define",)),
        "count": _Node(publish.count, ("define", "clean")),
        "renew": _Node(rebuild.renew, ("count",)),
        "topics": _Node(topics.topics, ("count", "renew")),
        "publish": _Node(publish.publish, ("topics",)),
        "compact": _Node(publish.compact, ("publish",)),
        "expire": _Node(expire.expire, ("compact",)),
    },
    "rebuild": {
        "recount": _Node(rebuild.recount),
        "publish": _Node(rebuild.replace_segments, ("recount",)),
        "expire": _Node(expire.expire, ("publish",)),
    },
}


async def run_once(
    log: EventLog,
    lake: Lake,
    batchview: BatchView,
    speedview: SpeedView | None,
    *,
    clock: Clock,
    options: Options,
    kind: Kind = "run",
    on_progress: Callable[[Run], None] = lambda _: None,
    stop: asyncio.Event | None = None,
) -> Run:
    """Run all steps of the kind. The caller holds the batch role.

    Raises what a step raises, after the run is recorded as failed; `Stopped` if `stop` was set.
    """
    base = await _begun(log, lake, batchview, clock)
    now = round(clock.now() * 1000)
    work = Work(
        log=log,
        lake=lake,
        batchview=batchview,
        speedview=speedview,
        clock=clock,
        options=options,
        run=Run(f"{now:013d}-{uuid.uuid4().hex[:8]}", kind, "running", now),
        base=base,
        on_progress=on_progress,
        stop=stop or asyncio.Event(),
    )
    await _close_dead_runs(work)
    started = clock.monotonic()
    graph = GRAPHS[kind]
    for name in TopologicalSorter({n: node.after for n, node in graph.items()}).static_order():
        await _step(work, name, graph[name])
    await work.record(replace(work.run, state="done", ended_at=work.now()))
    await asyncio.to_thread(memory.give_back)
    metrics.BATCH_RUN_SECONDS.observe(clock.monotonic() - started)
    metrics.BATCH_LAST_SUCCESS.set(clock.now())
    return work.run


async def _begun(log: EventLog, lake: Lake, batchview: BatchView, clock: Clock) -> Generation:
    """The current generation, once it is sure that log, lake and view belong together."""
    start = zero(log.partitions)
    base = await batchview.begin(first(log.identity, log.partitions, round(clock.now() * 1000)))
    end = await log.stable_end()
    if odd := fit.of_batch(base, log.identity, end):
        raise Refused(odd)
    try:
        await lake.begin(log.identity, Horizon(start, start))
    except ValueError as error:
        raise Refused(f"{error}: {fit.RESTORE}") from error
    at = (await lake.horizon(RAW)).positions
    if odd := fit.of_lake(Taken(log.identity, at), log.identity, end):
        raise Refused(odd)
    return base


async def _close_dead_runs(work: Work) -> None:
    """The role is ours alone, so a run that is recorded as running has died."""
    for run in await work.batchview.runs():
        if run.state == "running":
            ended = tuple(
                replace(step, state="failed", error="the process ended")
                if step.state == "running"
                else step
                for step in run.steps
            )
            await work.batchview.record(replace(run, state="failed", steps=ended))


async def _step(work: Work, name: str, node: _Node) -> None:
    started = work.clock.monotonic()
    await work.record(replace(work.run, steps=(*work.run.steps, running(name, work.now()))))

    def ended(state: str, error: str = "") -> Run:
        seconds = work.clock.monotonic() - started
        *before, step = work.run.steps
        metrics.BATCH_STEP_SECONDS.labels(name).observe(seconds)
        metrics.BATCH_ROWS.labels(name).inc(step.rows_out)
        return replace(
            work.run, steps=(*before, replace(step, state=state, seconds=seconds, error=error))
        )

    try:
        await node.work(work)
    except Skipped:
        await work.record(ended("skipped"))
    except Exception as error:
        if not isinstance(error, Stopped):
            metrics.BATCH_FAILURES.labels(name).inc()
        failed = ended("failed", _line(error))
        await work.record(replace(failed, state="failed", ended_at=work.now()))
        raise
    else:
        await work.record(ended("done"))


def _line(error: Exception) -> str:
    known = isinstance(error, Refused | Stopped)
    text = str(error) if known else f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:500]


def failed_step(run: Run) -> Step | None:
    """The step that ended the run, if it failed."""
    return next((step for step in run.steps if step.state == "failed"), None)
