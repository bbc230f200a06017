"""The declared views, evaluated over Arrow tables: what `views.rows_of` says, by columns.

Views of documents are summed over defined rows, views of words and hashtags over cleaned rows, of
which only edits have any.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from services.shared.domain import hll
from services.shared.domain.change import EDIT_TYPES, NEW
from services.shared.domain.views import (
    BY_NAME,
    DISTINCT,
    REGISTER_KEYS,
    VIEWS,
    Key,
    Measures,
    Registers,
    View,
)

OF_DOCUMENTS: Final = tuple(view for view in VIEWS if not view.each)
OF_CLEANED: Final = tuple(view for view in VIEWS if view.each)

DEFINED_COLUMNS: Final = (
    "project", "day", "timestamp", "editor_class", "bot", "bot_name", "page_class", "type",
    "title", "user", "net_bytes", "minor",
)  # fmt: skip
CLEANED_COLUMNS: Final = ("project", "day", "editor_class", "words", "hashtags")


def documents(defined: pa.Table) -> pa.Table:
    """The columns that a view of documents can name (`views.columns`)."""
    columns: dict[str, Any] = {
        name: defined[name] for name in ("project", "day", "editor_class", "page_class", "type")
    }
    columns |= {
        "title": defined["title"],
        "user": defined["user"],
        "hour": _floor(defined["timestamp"], 3600),
        "minute": _floor(defined["timestamp"], 60),
        "bot": defined["bot"].cast(pa.int64()),
        "bot_name": defined["bot_name"].cast(pa.int64()),
        "edits": pa.array([1] * len(defined), pa.int64()),
        "net_bytes": defined["net_bytes"],
        "abs_bytes": pc.abs(defined["net_bytes"]),
        "minor": defined["minor"].cast(pa.int64()),
        "new_pages": pc.equal(defined["type"], pa.scalar(NEW)).cast(pa.int64()),
    }
    return pa.table(columns)


def _floor(seconds: pa.ChunkedArray[Any], unit: int) -> Any:
    # Never negative (`identity.event_day`), so that cutting off is rounding down.
    return pc.divide(seconds, unit)


def rows(view: View, table: pa.Table) -> pa.Table:
    """The view's rows over `documents(...)` or over cleaned rows: keys, then measures, summed."""
    if view.each:
        return total(view, _exploded(view.each, table))
    if view.edits_only:
        table = table.filter(pc.is_in(table["type"], value_set=pa.array(EDIT_TYPES)))
    if view.needs:
        table = table.filter(pc.not_equal(table[view.needs], pa.scalar("")))
    return total(view, table)


def _exploded(each: str, cleaned: pa.Table) -> pa.Table:
    """A row for every word or hashtag."""
    lists = cleaned[each].combine_chunks()
    owners = cleaned.select(["project", "day", "editor_class"]).take(pc.list_parent_indices(lists))
    items = pc.list_flatten(lists)
    if each == "words":
        found = {name: pc.struct_field(items, name) for name in ("stem", "form")}
    else:
        found = {"hashtag": items}
    for name, column in found.items():
        owners = owners.append_column(name, column)
    return owners.append_column("edits", pa.array([1] * len(items), pa.int64()))


def total(view: View, table: pa.Table) -> pa.Table:
    """Rows of equal keys added up."""
    grouped = table.group_by(list(view.keys)).aggregate([(name, "sum") for name in view.measures])
    names = {f"{measure}_sum": measure for measure in view.measures}
    renamed = grouped.rename_columns([names.get(name, name) for name in grouped.column_names])
    return renamed.select([*view.keys, *view.measures])


def items(view: View, table: pa.Table) -> Iterator[tuple[Key, Measures]]:
    """The rows as values, made as they are asked for."""
    width = len(view.keys)
    for batch in table.to_batches(max_chunksize=20_000):
        columns: list[list[Any]] = [column.to_pylist() for column in batch.columns]
        keys = zip(*columns[:width], strict=True)
        yield from zip(keys, zip(*columns[width:], strict=True), strict=True)


def registers(view: View, table: pa.Table) -> Registers:
    """The registers of the keys that the view's rows name."""
    counted = DISTINCT[view.name]
    group = [name for name in REGISTER_KEYS if name != "of"]
    members = table.group_by(group).aggregate([(counted, "list")])
    keys: Sequence[list[Any]] = [members[name].to_pylist() for name in group]
    names = members[f"{counted}_list"]
    return {
        (view.name, *key): hll.registers(names[index].as_py())
        for index, key in enumerate(zip(*keys, strict=True))
    }


def all_registers(tables: dict[str, pa.Table]) -> Registers:
    """The registers of all views that have some."""
    joined: Registers = {}
    for name in DISTINCT:
        if name in tables:
            joined |= registers(BY_NAME[name], tables[name])
    return joined
