"""Raw rows -> defined rows -> cleaned rows: the same pure functions for a run and a rebuild."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, Final

import pyarrow as pa

from services.batch.raw import Unreadable
from services.shared import text
from services.shared.decode import parse
from services.shared.documents import document
from services.shared.domain.change import Change
from services.shared.domain.classes import is_bot_name
from services.shared.domain.views import Word
from services.shared.lake import schemas
from services.shared.lake.port import CLEANED, DEFINED

RAW_COLUMNS: Final = ("partition", "offset", "appended_at", "json")
"""What `defined` needs of the raw table."""

DEFINED_COLUMNS: Final = tuple(
    name for name in schemas.ARROW[DEFINED].names if name != "appended_at"
)
"""What `cleaned` and the views need of the defined table."""

_POSITION: Final = ("partition", "offset", "appended_at")
_, *_OF_CHANGE = Change._fields  # all but the id, which is `event_id` in the lake


def defined(raw: pa.Table) -> pa.Table:
    """The fields that analyses use, by the one parser that decides what an event says."""
    payloads: list[Any] = raw["json"].to_pylist()
    changes = [_change(each) for each in payloads]
    columns: dict[str, Any] = {name: raw[name] for name in _POSITION}
    columns["event_id"] = [change.id for change in changes]
    columns |= {name: [getattr(change, name) for change in changes] for name in _OF_CHANGE}
    columns["bot_name"] = [is_bot_name(change.user) for change in changes]
    return _table(DEFINED, columns)


def _change(raw: bytes) -> Change:
    change = parse(raw)
    if isinstance(change, Change):
        return change
    raise Unreadable(f"the raw table holds what cannot be read as a change: {change}")


def cleaned(rows: pa.Table) -> pa.Table:
    """Words of the titles and hashtags of the comments of defined rows."""
    documents = [document(change) for change in _changes(rows)]
    names = ("partition", "offset", "day", "project", "editor_class", "title")
    columns: dict[str, Any] = {name: rows[name] for name in names}
    columns["language"] = [text.language(each.change.project) for each in documents]
    columns["words"] = _words([each.words for each in documents])
    columns["hashtags"] = [each.hashtags for each in documents]
    return _table(CLEANED, columns)


def _words(lists: Sequence[Sequence[Word]]) -> Any:
    flat = [word for words in lists for word in words]
    parts = [pa.array([word[index] for word in flat], pa.string()) for index in (0, 1)]
    offsets = pa.array(accumulate(map(len, lists), initial=0), pa.int32())
    return pa.ListArray.from_arrays(
        offsets, pa.StructArray.from_arrays(parts, fields=[*schemas.WORD])
    )


def _changes(rows: pa.Table) -> Iterator[Change]:
    columns = (rows[name].to_pylist() for name in ("event_id", *_OF_CHANGE))
    return map(Change._make, zip(*columns, strict=True))


def _table(name: str, columns: dict[str, Any]) -> pa.Table:
    schema = schemas.ARROW[name]
    return pa.table([_column(columns[field.name], field) for field in schema], schema=schema)


def _column(values: Any, field: pa.Field[Any]) -> Any:
    made = isinstance(values, pa.Array | pa.ChunkedArray)
    return values if made else pa.array(values, field.type)


def joined(pieces: Iterable[pa.Table], schema: pa.Schema) -> pa.Table:
    """Pieces as one table; no pieces make an empty one."""
    return pa.concat_tables([schema.empty_table(), *pieces])
