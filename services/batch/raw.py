"""Records of the log -> rows of the lake's raw table: the first copy of every change, whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from services.batch import payload
from services.shared.decode import parse
from services.shared.domain.change import Canary, Change, Rejected
from services.shared.domain.identity import digest
from services.shared.lake import schemas
from services.shared.lake.port import RAW
from services.shared.log.port import Record


class Unreadable(Exception):
    """The log holds what `parse` does not accept: a defect, because it has accepted it before."""


def changes(records: Iterable[Record]) -> list[tuple[Record, Change]]:
    """The first copy of every change; canaries count nowhere.

    All copies of an event are in one partition, in which records come in order of offset.
    """
    taken: dict[str, tuple[Record, Change]] = {}
    for record in records:
        match parse(record.raw):
            case Change() as change:
                taken.setdefault(change.id, (record, change))
            case Canary():
                pass
            case Rejected(reason, detail):
                raise Unreadable(
                    f"the log's record at partition {record.partition}, offset {record.offset}"
                    f" cannot be read: {reason} ({detail})"
                )
    return list(taken.values())


def rows(taken: Sequence[tuple[Record, Change]]) -> pa.Table:
    """The raw table's rows of changes."""
    columns: dict[str, Any] = {
        "partition": [record.partition for record, _ in taken],
        "offset": [record.offset for record, _ in taken],
        "appended_at": [record.appended_at for record, _ in taken],
        "day": [change.day for _, change in taken],
        "event_id": [change.id for _, change in taken],
        "digest": [digest(change.id) for _, change in taken],
        "json": [record.raw for record, _ in taken],
    }
    columns |= payload.columns([payload.payload(record.raw) for record, _ in taken])
    columns["received_at"] = _times(columns["meta_dt"])
    schema = schemas.ARROW[RAW]
    return pa.table([pa.array(columns[f.name], f.type) for f in schema], schema=schema)


def _times(texts: Sequence[str | None]) -> Any:
    kind = schemas.ARROW[RAW].field("received_at").type
    try:
        return pa.array(texts, pa.string()).cast(kind)
    except pa.ArrowInvalid:
        return pa.array([_time(text) for text in texts], kind)


def _time(text: str | None) -> datetime | None:
    try:
        time = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
