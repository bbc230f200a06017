"""The steps of a run that fill the lake, each from where its own table stands.

    ingest  log -> raw       parsed, canaries out, the lowest position of every id
    define  raw -> defined   the fields that analyses use
    clean   defined -> cleaned   words and hashtags

A step commits in pieces of bounded size: rows and horizon in one commit. After a crash it goes on
behind its last commit, so running a step again never repeats anything.
"""

import asyncio
from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from services.batch import derive, raw, spans
from services.batch.work import Skipped, Work
from services.shared.domain.positions import Span, empty
from services.shared.lake import schemas
from services.shared.lake.port import CLEANED, DEFINED, RAW, Horizon
from services.shared.log.port import Batch, OutOfRange
from services.shared.runtime import crash
from services.shared.runtime.exits import Refused


async def ingest(work: Work) -> None:
    """Takes the log in up to its stable end at the start of the step."""
    end = await work.log.stable_end()
    at = (await work.lake.horizon(RAW)).positions
    if empty(Span(at, end)):
        raise Skipped
    work.expect(Span(at, end))
    while not empty(Span(at, end)):
        batch = await _read(work, at, end)
        rows, days = await asyncio.to_thread(_raw_rows, batch)
        if len(rows):
            known = await work.lake.known(days, rows["digest"].combine_chunks())
            rows = rows.filter(pc.invert(known))
        await work.lake.append(RAW, rows, at, Horizon(batch.until, batch.times))
        await work.advance(len(batch.records), len(rows))
        at = batch.until
    crash.point("batch.ingested")


async def _read(work: Work, since: tuple[int, ...], until: tuple[int, ...]) -> Batch:
    try:
        batch = await work.log.read(since, limit=work.options.piece, until=until)
    except OutOfRange as error:
        raise Refused(
            f"lake: it has taken the log in up to {error.since}, but the log now starts at"
            f" {error.start}, so events between are gone; restore the lake from a backup,"
            " or start anew with another --data"
        ) from error
    if batch.until == since:
        raise RuntimeError(f"the log does not get beyond {since}, though its end is {until}")
    return batch


def _raw_rows(batch: Batch) -> tuple[pa.Table, list[int]]:
    taken = raw.changes(batch.records)
    return raw.rows(taken), sorted({change.day for _, change in taken})


async def define(work: Work) -> None:
    await _derive(work, RAW, derive.RAW_COLUMNS, derive.defined, DEFINED)
    crash.point("batch.defined")


async def clean(work: Work) -> None:
    await _derive(work, DEFINED, derive.DEFINED_COLUMNS, derive.cleaned, CLEANED)
    crash.point("batch.cleaned")


async def _derive(
    work: Work,
    source: str,
    columns: Sequence[str],
    function: Callable[[pa.Table], pa.Table],
    table: str,
) -> None:
    """Brings a table to where the table that it is made from stands."""
    end, at = await work.lake.horizon(source), await work.lake.horizon(table)
    span = Span(at.positions, end.positions)
    if empty(span):
        raise Skipped
    work.expect(span)

    def made(piece: Span) -> pa.Table:
        found = work.lake.scan(source, columns, span=piece)
        return derive.joined(map(function, found), schemas.ARROW[table])

    since = at.positions
    for until in spans.steps(span, work.options.piece):
        rows = await asyncio.to_thread(made, Span(since, until))
        # On the way, the log time where the step began is a bound that holds; at the end, the
        # one that the source knows.
        times = end.times if until == end.positions else at.times
        await work.lake.append(table, rows, since, Horizon(until, times))
        await work.advance(len(rows), len(rows))
        since = until
