"""A topic model by a process of its own (`fit`), seen from the process that runs the batch.

Whatever becomes of that process, a run goes on: without a model, or with the one that there was.
"""

import asyncio
import contextlib
from asyncio.subprocess import PIPE, Process
from typing import Final

import msgspec
import structlog

from services.batch.sample import Task
from services.batch.work import Stopped
from services.shared.domain.topics import TopicModel
from services.shared.runtime import child, metrics

LONGEST: Final = 600.0

_log = structlog.get_logger(__name__)


async def fitted(task: Task, stop: asyncio.Event) -> TopicModel | None:
    """The model of a sample, None where it could not be made. Raises `Stopped` once `stop` is set."""
    try:
        process = await child.started("services.batch.fit", stdin=PIPE, stdout=PIPE, stderr=PIPE)
    except OSError as error:
        _failed(str(error))
        return None
    made, complaints = await _told(process, msgspec.msgpack.encode(task), stop)
    if stop.is_set():
        raise Stopped("stopped while topics were being found; the next run finds them")
    if process.returncode:
        lines = complaints.decode(errors="replace").strip().splitlines()
        _failed(lines[-1] if lines else f"exit code {process.returncode}")
        return None
    model = msgspec.msgpack.decode(made, type=TopicModel)
    _tell(model)
    return model


async def _told(process: Process, task: bytes, stop: asyncio.Event) -> tuple[bytes, bytes]:
    """What the process has written to its two outputs; it is ended at `stop`, or when it takes too long."""
    talk = asyncio.ensure_future(process.communicate(task))
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({talk, stopped}, timeout=LONGEST, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
        if not talk.done():
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await asyncio.wait({talk})
    return talk.result()


def _failed(reason: str) -> None:
    metrics.TOPIC_MODELS.labels("failed").inc()
    _log.error("topic_model_failed", reason=reason)


def _tell(model: TopicModel) -> None:
    metrics.TOPIC_MODELS.labels("made").inc()
    metrics.TOPIC_SILHOUETTE.set(model.silhouette)
    metrics.TOPIC_LARGEST_SHARE.set(model.largest_share)
    _log.info(
        "topic_model",
        id=model.id,
        topics=len(model.topics),
        pages=model.pages,
        sample=model.sample,
        covered=model.covered,
        largest_share=round(model.largest_share, 3),
        silhouette=round(model.silhouette, 3),
        verdict=model.verdict,
    )
