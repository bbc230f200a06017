"""What the lake does, step by step and blocking; `embedded` calls it in its thread.

**Append**: load the table, compare its horizon, write the files, commit. The commit is taken only
on the snapshot whose horizon was compared, so of two that start from one horizon one gets `Stale`.

**Copies**: an id is looked for in the digests of its event day alone, of rows and of removed rows.

**Expiry**: the digests of the rows go to a table of their own first, then the rows go, from the last
table to the first; a crash in between leaves the day in the raw table, so the next expiry ends it.

**Maintenance**: small files become larger ones (`compaction`), lost files go (`sweep`).
"""

from __future__ import annotations

import functools
import operator
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from services.shared.domain import positions
from services.shared.domain.positions import Span, Vector
from services.shared.lake import compaction, files, schemas, sweep, tables
from services.shared.lake.port import RAW, TABLES, Day, Horizon, Stale
from services.shared.runtime import crash, datadir, metrics

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table

_ALL: Final = (*TABLES, schemas.EXPIRED_IDS)
_ROWS_REWRITTEN: Final = files.ROWS_A_GROUP
_DIGESTS_AT_ONCE: Final = 500_000  # 8 MB


class Warehouse:
    def __init__(self, root: Path) -> None:
        self._tables = tables.Tables(root)
        self._swept_at: int | None = None

    def close(self) -> None:
        self._tables.close()

    def begin(self, identity: str, horizon: Horizon) -> None:
        for name in _ALL:
            self._tables.create(name)
        for name in TABLES:
            self._begin(name, identity, horizon)

    def _begin(self, name: str, identity: str, horizon: Horizon) -> None:
        table = self._tables.load(name)
        if tables.identity(table) is None:
            try:
                tables.commit(table, properties=tables.origin(identity, horizon))
            except Stale:  # another process began it a moment ago, maybe for another log
                table = self._tables.load(name)
        if (owner := tables.identity(table)) not in {None, identity}:
            raise ValueError(f"the lake at {self._tables.root} belongs to log {owner}")

    def identity(self) -> str | None:
        raw = self._tables.find(RAW)
        return None if raw is None else tables.identity(raw)

    def horizon(self, name: str) -> Horizon:
        return tables.horizon(self._tables.load(name))

    def append(self, name: str, rows: pa.Table, since: Vector, until: Horizon) -> None:
        if not positions.reaches(until.positions, since):
            raise ValueError(f"{name}: an append from {since} cannot end at {until.positions}")
        table = self._tables.load(name)
        at = tables.horizon(table).positions
        if at != since:
            raise Stale(f"{name} is at {at}, the append starts at {since}")
        schema = schemas.ARROW[name]
        rows = rows.select(schema.names).cast(schema)
        added = _written(table, ((day, [part]) for day, part in files.by_day(rows)))
        try:
            tables.commit(table, added=added, properties=tables.moved(until))
        except Stale:
            _forget(added)
            raise

    def known(self, days: Collection[int], digests: pa.Array[Any]) -> pa.Array[Any]:
        wanted = pc.unique(digests)
        found = []
        for name in (RAW, schemas.EXPIRED_IDS):
            for piece in self._on_days(name, days, ["digest"], rows=_DIGESTS_AT_ONCE):
                held = piece["digest"]
                found.append(held.filter(pc.is_in(held, value_set=wanted)).combine_chunks())
        values = pa.concat_arrays(found) if found else pa.array([], schemas.DIGEST)
        return pc.is_in(digests, value_set=values)

    def scan(
        self,
        name: str,
        columns: Sequence[str],
        span: Span | None,
        days: Sequence[int] | None,
    ) -> Iterator[pa.Table]:
        nothing = (span is not None and positions.empty(span)) or (days is not None and not days)
        table = None if nothing else self._tables.find(name)
        if table is None:
            return iter(())
        held, condition = tables.live(table, days), None
        if span is not None:
            held = [file for file in held if tables.meets(table, file, span)]
            condition = _inside(span)
        return files.read(held, schemas.ARROW[name], columns, condition)

    def _on_days(
        self,
        name: str,
        days: Collection[int] | None,
        columns: Sequence[str],
        condition: pc.Expression | None = None,
        rows: int = files.ROWS_A_PIECE,
    ) -> Iterator[pa.Table]:
        held = tables.live(self._tables.load(name), days)
        return files.read(held, schemas.ARROW[name], columns, condition, rows=rows)

    def days(self) -> list[Day]:
        raw = self._tables.find(RAW)
        if raw is None:
            return []
        rows: Counter[int] = Counter()
        newest: dict[int, int] = {}
        for file in tables.live(raw):
            day, last = tables.day_of(file), tables.greatest(raw, "appended_at", file)
            rows[day] += file.record_count
            newest[day] = max(last, newest.get(day, last))
        size = self._bytes_by_day()
        return [Day(day, rows[day], size[day], newest[day]) for day in sorted(rows)]

    def _bytes_by_day(self) -> Counter[int]:
        size: Counter[int] = Counter()
        for name in TABLES:
            for file in tables.live(self._tables.load(name)):
                size[tables.day_of(file)] += file.file_size_in_bytes
        return size

    def expire(self, days: Collection[int], now: int) -> None:
        self._keep_ids(days)
        crash.point("lake.ids-kept")
        for name in reversed(TABLES):
            table = self._tables.load(name)
            if removed := tables.live(table, days):
                # No older snapshot stays: the point of it is the space on the disk.
                tables.commit(table, removed=removed, keep=1)
        self.sweep(now)

    def _keep_ids(self, days: Collection[int]) -> None:
        ids = self._tables.load(schemas.EXPIRED_IDS)
        columns = schemas.ARROW[schemas.EXPIRED_IDS].names
        per_day = []
        for day in sorted(days):
            kept = list(self._on_days(schemas.EXPIRED_IDS, [day], ["digest"]))
            new = None
            if kept:  # of an expiry that did not end, or before late events of the day
                new = ~ds.field("digest").isin(pa.concat_tables(kept)["digest"].combine_chunks())
            per_day.append((day, self._on_days(RAW, [day], columns, new)))
        if added := _written(ids, per_day):
            tables.commit(ids, added=added)

    def expired(self) -> list[int]:
        ids = self._tables.find(schemas.EXPIRED_IDS)
        return [] if ids is None else sorted({tables.day_of(file) for file in tables.live(ids)})

    def maintain(self, now: int) -> None:
        for name in _ALL:
            metrics.LAKE_FILES.labels(name).set(self._compact(name))
        if self._swept_at is None or not 0 <= now - self._swept_at < sweep.EVERY_MS:
            self.sweep(now)

    def _compact(self, name: str) -> int:
        """Put small files together; how many files the table has then."""
        table = self._tables.load(name)
        held = {file.file_path: file for file in tables.live(table)}
        groups = [
            [held[file.path] for file in group]
            for group in compaction.plan(_measured(table, file) for file in held.values())
        ]
        if not groups:
            return len(held)
        schema = schemas.ARROW[name]
        rewritten = (
            (tables.day_of(group[0]), files.read(group, schema, schema.names, rows=_ROWS_REWRITTEN))
            for group in groups
        )
        added = _written(table, rewritten)
        try:
            tables.commit(table, added=added, removed=[file for group in groups for file in group])
        except Stale:
            _forget(added)  # the table is right as it is; the next maintenance tries again
            return len(held)
        metrics.COMPACTIONS.labels("lake").inc(len(groups))
        return len(held) - sum(map(len, groups)) + len(added)

    def sweep(self, now: int) -> None:
        root = self._tables.root
        found = sweep.files(root)
        referenced = {path for name in _ALL for path in tables.referenced(self._tables.load(name))}
        sweep.sweep(root, found, referenced, now)
        self._swept_at = now

    def size(self) -> int:
        return datadir.used_bytes(self._tables.root) - sweep.waiting(self._tables.root)


def _written(table: Table, parts: Iterable[tuple[int, Iterable[pa.Table]]]) -> list[DataFile]:
    """A durable file for every day that has rows; no table refers to it yet."""
    schema = tables.file_schema(table)
    paths = [files.write(tables.data_directory(table, day), schema, rows) for day, rows in parts]
    return [tables.described(table, path) for path in paths if path is not None]


def _forget(written: Iterable[DataFile]) -> None:
    for file in written:
        Path(file.file_path).unlink()


def _measured(table: Table, file: DataFile) -> compaction.File:
    return compaction.File(
        tables.day_of(file),
        file.file_path,
        file.record_count,
        file.file_size_in_bytes,
        tables.least(table, "offset", file),
    )


def _inside(span: Span) -> pc.Expression:
    """The rows at positions of the span."""
    parts = [
        (ds.field("partition") == partition)
        & (ds.field("offset") >= since)
        & (ds.field("offset") < until)
        for partition, (since, until) in enumerate(zip(*span, strict=True))
        if since < until
    ]
    return functools.reduce(operator.or_, parts)
