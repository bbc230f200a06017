"""A question to a view -> an aggregation pipeline, and what that returns -> rows. Pure.

Column names come from the declared views alone; values are strings and integers. Servers that speak
MongoDB's protocol differ in how they compare strings (UTF-8 or UTF-16), so nothing here leaves an order
of strings to them; and some look into strings that begin with a dollar, so none is stored (see `stored`).
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from operator import index
from typing import Any, Final

from services.shared.domain import hll
from services.shared.domain.query import Between, Condition, Having, OneOf, Query
from services.shared.domain.views import (
    COLUMNS,
    REGISTER_KEYS,
    TEXT_COLUMNS,
    Key,
    Measures,
    Registers,
    Rows,
    View,
)

Document = dict[str, Any]
Row = tuple[Key, Measures]

LONGEST_LIST: Final = 10_000
"""Values that one request may name: of the longest titles some 10 MB, where 16 are the limit."""
_DECLARED: Final = frozenset({*COLUMNS, *REGISTER_KEYS})
_TEXTS: Final = TEXT_COLUMNS | {"of"}


# Asking


def within(numbers: Iterable[int], days: Iterable[int]) -> list[Document]:
    """The rows of segments on event days, both as lists, which lets the index serve the project as well."""
    return [{"segment": {"$in": list(numbers)}}, {"day": {"$in": list(days)}}]


def answered(view: View, restriction: list[Document], minutes_from: int) -> list[Document]:
    """Without the rows that are in no answer."""
    if "minute" not in view.keys:
        return restriction
    return [*restriction, {"minute": {"$gte": minutes_from}}]


def conditions(where: Iterable[Condition]) -> list[Document]:
    return list(map(_condition, where))


def _condition(condition: Condition) -> Document:
    if condition.column not in _DECLARED:
        raise ValueError(f"no view has a column {condition.column!r}")
    match condition:
        case Between(column, low, high):
            return {column: {"$gte": low, "$lt": high}}
        case OneOf(column, values):
            return {column: {"$in": list(map(stored, values))}}


def sums(query: Query, restriction: Sequence[Document]) -> list[Document]:
    """Adds the query's measures up over the rows that meet the restriction as well."""
    keys = {key: f"${key}" for key in query.group}
    measures = {measure: {"$sum": f"${measure}"} for measure in query.view.measures}
    return [
        {"$match": {"$and": [*restriction, *conditions(query.where)]}},
        {"$group": {"_id": keys or None, **measures}},
    ]


def counted(having: Having) -> list[Document]:
    """Behind `sums`: how many groups meet it, as `n`; no document if none does."""
    bounds = {"$gte": having.low} | ({} if having.high is None else {"$lt": having.high})
    return [{"$match": {having.measure: bounds}}, {"$count": "n"}]


def descending(measure: str) -> list[Document]:
    """Behind `sums`: the largest first, equal ones in any order."""
    return [{"$sort": {measure: -1}}]


def pieces(query: Query) -> list[Query]:
    """Queries that name few values each, whose rows add up to those of the query."""
    for at, condition in enumerate(query.where):
        if isinstance(condition, OneOf) and len(set(condition.values)) > LONGEST_LIST:
            values = tuple(dict.fromkeys(condition.values))
            parts = (values[n : n + LONGEST_LIST] for n in range(0, len(values), LONGEST_LIST))
            each = (
                (*query.where[:at], OneOf(condition.column, part), *query.where[at + 1 :])
                for part in parts
            )
            return [piece for where in each for piece in pieces(replace(query, where=where))]
    return [query]


def behind(same: Document, last: Document) -> Document:
    """What comes after `last` in the server's order of its columns, where the others are the `same`."""
    columns, last = list(last), {column: stored(value) for column, value in last.items()}
    later = [
        {**same, **{c: last[c] for c in columns[:at]}, columns[at]: {"$gt": last[columns[at]]}}
        for at in range(len(columns))
    ]
    return {"$or": later} if later else same


# Answers


def rows(query: Query, documents: Iterable[Document]) -> Iterator[Row]:
    """What `sums` returned. A sum that is no integer has left the 64 bits: TypeError."""
    measures = query.view.measures
    for document in documents:
        key = tuple(plain(column, document["_id"][column]) for column in query.group)
        yield key, tuple(index(document[measure]) for measure in measures)


def plain(column: str, value: Any) -> int | str:
    """What a stored value stands for."""
    return str(value).removeprefix("\\") if column in _TEXTS else index(value)


def first(found: Iterable[Row], at: int, limit: int) -> list[Row]:
    """The first rows by the measure at `at`, descending, then by key."""
    return heapq.nsmallest(limit, found, key=lambda row: (-row[1][at], row[0]))


def number(found: Rows, query: Query, having: Having) -> int:
    """How many of the groups meet it."""
    at = query.view.measures.index(having.measure)
    return sum(
        having.low <= measures[at] and (having.high is None or measures[at] < having.high)
        for measures in found.values()
    )


# Rows as they are stored


def stored(value: int | str) -> int | str:
    """A text that begins with a dollar, or with what marks such a one, is marked by a backslash."""
    return f"\\{value}" if isinstance(value, str) and value[:1] in {"$", "\\"} else value


def document(view: View, segment: int, key: Key, measures: Measures) -> Document:
    keys = zip(view.keys, map(stored, key), strict=True)
    return {"segment": segment, **dict(keys), **dict(zip(view.measures, measures, strict=True))}


def registers_document(segment: int, key: Key, registers: bytes) -> Document:
    return {
        "segment": segment,
        **dict(zip(REGISTER_KEYS, map(stored, key), strict=True)),
        "registers": registers,
    }


def join_registers(joined: Registers, found: Iterable[Document]) -> None:
    """Add stored registers to others, in place."""
    for row in found:
        key = tuple(plain(column, row[column]) for column in REGISTER_KEYS)
        joined[key] = hll.add(joined.get(key, b""), bytes(row["registers"]))
