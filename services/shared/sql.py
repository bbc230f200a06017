"""A question to a view -> SQL, for every adapter that answers in SQL.

Column names come from the declared views alone and are checked again here; values are bound, never
written into the text. A long list of values travels as one JSON parameter, because databases limit
how many parameters a statement may have.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from services.shared.domain.query import Between, Condition, OneOf, Query
from services.shared.domain.views import COLUMNS, REGISTER_KEYS, TOPICS, Rows

Parameters = list[int | str]

_LONGEST_LIST: Final = 100
_DECLARED: Final = frozenset({*COLUMNS, *REGISTER_KEYS, *TOPICS.keys})


def conditions(where: Sequence[Condition]) -> tuple[str, Parameters]:
    """The conditions joined by AND, `TRUE` if there is none, and the values to bind in order."""
    parts: list[str] = []
    values: Parameters = []
    for condition in where:
        text, bound = _condition(condition)
        parts.append(text)
        values.extend(bound)
    return " AND ".join(parts) or "TRUE", values


def sums(query: Query, source: str, restriction: str = "TRUE") -> tuple[str, Parameters]:
    """The statement that adds the query's measures up over `source`.

    `source` is what follows FROM and `restriction` a further condition; their own parameters come
    before the returned ones.
    """
    where, values = conditions(query.where)
    keys = "".join(f"{key}, " for key in query.group)
    measures = ", ".join(f"SUM({measure})" for measure in query.view.measures)
    group = f" GROUP BY {', '.join(query.group)}" if query.group else ""
    return f"SELECT {keys}{measures} FROM {source} WHERE {restriction} AND {where}{group}", values


def rows(query: Query, fetched: Iterable[tuple[Any, ...]]) -> Rows:
    """What such a statement returned, as rows; none at all where nothing met the conditions.

    The sum of nothing is NULL in SQL, which only a query without a group can return.
    """
    width = len(query.group)
    return {row[:width]: row[width:] for row in fetched if row[width] is not None}


def _condition(condition: Condition) -> tuple[str, Parameters]:
    if condition.column not in _DECLARED:
        raise ValueError(f"no view has a column {condition.column!r}")
    match condition:
        case Between(column, low, high):
            return f"({column} >= ? AND {column} < ?)", [low, high]
        case OneOf(column, values) if len(values) > _LONGEST_LIST:
            return f"{column} IN (SELECT value FROM json_each(?))", [json.dumps(values)]
        case OneOf(column, values):
            return f"{column} IN ({', '.join('?' * len(values))})", list(values)
