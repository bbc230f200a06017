"""Rows of the lake -> a staged segment, in bounded memory.

Pieces of the lake are summed up as they come. When the sums outgrow their share of memory they are
staged as a part of the segment, which no generation ever lists; at the end the parts are added up
by the batch view, by the same `combine` that compaction uses.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from services.batch import arrow, derive
from services.batch.work import Work, in_thread
from services.shared.domain.generation import Segment
from services.shared.domain.positions import Span
from services.shared.domain.views import BY_NAME, MINUTES, View
from services.shared.lake.port import CLEANED, DEFINED, RAW

_OF_RAW: Final = (*derive.RAW_COLUMNS, "day")
Summing = Callable[["Sums", pa.Table], None]


class Sums:
    """The rows of the views so far. Minutes before `minutes_from` are in no answer: left out."""

    def __init__(self, minutes_from: int) -> None:
        self._minutes_from = minutes_from
        self._pieces: dict[str, list[pa.Table]] = {}
        self.rows = 0

    def add_defined(self, defined: pa.Table) -> None:
        documents = arrow.documents(defined)
        for view in arrow.OF_DOCUMENTS:
            self._add(view, arrow.rows(view, documents))

    def add_cleaned(self, cleaned: pa.Table) -> None:
        for view in arrow.OF_CLEANED:
            self._add(view, arrow.rows(view, cleaned))

    def add_raw(self, raw: pa.Table) -> None:
        defined = derive.defined(raw)
        self.add_defined(defined.select(list(arrow.DEFINED_COLUMNS)))
        self.add_cleaned(derive.cleaned(defined))

    def _add(self, view: View, rows: pa.Table) -> None:
        if view is MINUTES:
            rows = rows.filter(pc.greater_equal(rows["minute"], pa.scalar(self._minutes_from)))
        if len(rows):
            self._pieces.setdefault(view.name, []).append(rows)
            self.rows += len(rows)

    def tables(self) -> dict[str, pa.Table]:
        """One table for each view, in the order in which a batch view stores its rows."""
        return {name: _ordered(BY_NAME[name], pieces) for name, pieces in self._pieces.items()}


def _ordered(view: View, pieces: list[pa.Table]) -> pa.Table:
    added = arrow.total(view, pa.concat_tables(pieces))
    first = ("day", "project")
    keys = (*first, *(key for key in view.keys if key not in first))
    return added.sort_by([(key, "ascending") for key in keys])


class Counting:
    """Counts pieces of the lake into the segment `into`."""

    def __init__(self, work: Work, into: Segment, minutes_from: int) -> None:
        self._work = work
        self._into = into
        self._minutes_from = minutes_from
        self._sums = Sums(minutes_from)
        self._parts: list[Segment] = []

    async def add(self, pieces: Iterator[pa.Table], summing: Summing, *, documents: bool) -> None:
        """Count every piece. `documents`: each of its rows stands for one, for the record."""
        async for piece in in_thread(pieces):
            before = self._sums.rows
            await asyncio.to_thread(summing, self._sums, piece)
            await self._work.advance(len(piece) if documents else 0, self._sums.rows - before)
            if self._sums.rows >= self._work.options.rows_a_part:
                self._parts.append(await self._stage(self._work.segment(self._into)))

    async def finish(self, also: Sequence[Segment] = ()) -> None:
        """Stage the segment: what was counted, and other parts if there are any."""
        if not self._parts and not also:
            await self._stage(self._into)
            return
        self._parts.append(await self._stage(self._work.segment(self._into)))
        await self._work.batchview.combine(
            [*self._parts, *also], self._into, minutes_from=self._minutes_from
        )

    async def _stage(self, segment: Segment) -> Segment:
        sums, self._sums = self._sums, Sums(self._minutes_from)
        tables = await asyncio.to_thread(sums.tables)
        registers = await asyncio.to_thread(arrow.all_registers, tables)
        rows = {name: arrow.items(BY_NAME[name], table) for name, table in tables.items()}
        await self._work.batchview.stage(segment, rows, registers)
        return segment


async def from_raw(
    work: Work, into: Segment, minutes_from: int, carried: Sequence[int]
) -> Counting:
    """Count what the raw table holds at the segment's positions, but for event days that are carried over.

    Everything is derived again, by today's code. The caller finishes the counting.
    """
    counting = Counting(work, into, minutes_from)
    span = Span(into.since, into.until)
    work.expect(span)
    pieces = work.lake.scan(RAW, _OF_RAW, span=span)
    await counting.add(_held(pieces, carried), Sums.add_raw, documents=True)
    return counting


def _held(pieces: Iterator[pa.Table], carried: Sequence[int]) -> Iterator[pa.Table]:
    days = pa.array(carried, pa.int32())
    for piece in pieces:
        yield piece.filter(pc.invert(pc.is_in(piece["day"], value_set=days)))


async def from_lake(work: Work, into: Segment, minutes_from: int) -> None:
    """Count what the lake holds at the segment's positions."""
    counting = Counting(work, into, minutes_from)
    span = Span(into.since, into.until)
    work.expect(span)
    defined = work.lake.scan(DEFINED, arrow.DEFINED_COLUMNS, span=span)
    await counting.add(defined, Sums.add_defined, documents=True)
    cleaned = work.lake.scan(CLEANED, arrow.CLEANED_COLUMNS, span=span)
    await counting.add(cleaned, Sums.add_cleaned, documents=False)
    await counting.finish()
