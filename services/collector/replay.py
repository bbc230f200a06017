"""Dead letters once more: those that are understood by now go to the log, the others stay.

A newer version may accept what an older one rejected. `replay` parses dead letters again, appends
what is accepted, and only then removes it from the dead letters. If it dies in between, the next
replay appends a copy, and copies count once.

Only the role that collects does this. A tool that finds the role taken leaves a request in the data
directory (`leave`), which `serve` carries out within a second; a request outlives both processes.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import structlog

from services.collector.filters import Filters
from services.shared.decode import parse
from services.shared.domain.change import Change, Rejected
from services.shared.log.port import DeadLetter, Entry, EventLog
from services.shared.runtime import crash, requests
from services.shared.runtime.unavailable import Unavailable

REPLAYED: Final = "replayed"
LOOK_EVERY: Final = 0.5

_PAGE: Final = 16  # of up to 1 MiB each
_NAME: Final = "deadletters-replay"

_log = structlog.get_logger(__name__)


class Outcome(NamedTuple):
    """Dead letters appended, left out by a filter, rejected again; hashes that are not there."""

    appended: int = 0
    filtered: int = 0
    rejected: int = 0
    unknown: tuple[str, ...] = ()


async def replay(
    log: EventLog, hashes: Sequence[str] | None, *, filters: Filters | None = None
) -> Outcome:
    """Replays dead letters by hash (a prefix will do); all of them if None."""
    total = Outcome()
    async for letters, unknown in _pages(log, hashes):
        page = await _replay_page(log, letters, filters or Filters())
        total = Outcome(
            total.appended + page.appended,
            total.filtered + page.filtered,
            total.rejected + page.rejected,
            total.unknown + unknown,
        )
    return total


async def _pages(
    log: EventLog, hashes: Sequence[str] | None
) -> AsyncIterator[tuple[list[DeadLetter], tuple[str, ...]]]:
    if hashes is None:
        after = ""
        while letters := await log.deadletters(after=after, limit=_PAGE):
            yield letters, ()
            after = letters[-1].hash
        return
    for wanted in hashes:
        found = await log.deadletter(wanted)
        yield ([], (wanted,)) if found is None else ([found], ())


async def _replay_page(log: EventLog, letters: list[DeadLetter], filters: Filters) -> Outcome:
    entries: list[Entry] = []
    settled: list[str] = []
    for letter in letters:
        outcome = await asyncio.to_thread(parse, letter.raw)
        if isinstance(outcome, Rejected):
            continue
        settled.append(letter.hash)
        if not (isinstance(outcome, Change) and filters.leaving_out(outcome)):
            entries.append(Entry(outcome.id, letter.raw))
    if entries:
        await log.append(entries, tally={REPLAYED: len(entries)})
        crash.point("collector.replay-appended")
    if settled:
        await log.remove_deadletters(settled)
    return Outcome(len(entries), len(settled) - len(entries), len(letters) - len(settled))


def leave(data: Path, hashes: Sequence[str] | None) -> Path:
    """A durable request to whoever collects into this data directory."""
    return requests.leave(data, _NAME, msgspec.json.encode(hashes))


async def serve(
    log: EventLog, data: Path, *, stop: asyncio.Event, filters: Filters | None = None
) -> None:
    """Carries out requests until `stop`; for the process that holds the collector's role."""
    while not stop.is_set():
        for path in await asyncio.to_thread(requests.left, data, _NAME):
            await _carry_out(path, log, filters)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), LOOK_EVERY)


async def _carry_out(path: Path, log: EventLog, filters: Filters | None) -> None:
    try:
        hashes = msgspec.json.decode(
            await asyncio.to_thread(path.read_bytes), type=list[str] | None
        )
        outcome = await replay(log, hashes, filters=filters)
    except Unavailable as error:
        _log.warning("replay_put_off", reason=str(error))
        return
    except msgspec.DecodeError as error:
        _log.error("replay_request_unreadable", file=path.name, reason=str(error))
    else:
        _log.info("deadletters_replayed", **outcome._asdict())
    await asyncio.to_thread(requests.done, [path])
