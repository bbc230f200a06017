"""Sums by page -> sums by topic, where the store can't join the two. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from services.shared.domain.query import Between, Condition, OneOf, Query
from services.shared.domain.topics import NONE, Page
from services.shared.domain.views import PAGES, Key, Measures

Row = tuple[Key, Measures]

_PAGE: Final = ("project", "title")
_TOPIC: Final = "topic"


def by_page(query: Query) -> Query:
    """What to ask the view `PAGES`: by page at first, and then by what else the query groups by."""
    others = [column for column in query.group if column not in {*_PAGE, _TOPIC}]
    where = [condition for condition in query.where if condition.column != _TOPIC]
    return Query(PAGES, (*_PAGE, *others), tuple(where))


def pages(rows: Iterable[Row]) -> list[Page]:
    """The distinct pages of such rows."""
    return list(dict.fromkeys(_page(key) for key, _ in rows))


def rows(query: Query, found: Sequence[Row], topics: Mapping[Page, int]) -> Iterator[Row]:
    """The rows by the query's group, not added up yet, of those pages whose topic meets its conditions."""
    asked = [condition for condition in query.where if condition.column == _TOPIC]
    columns = by_page(query).group
    for key, measures in found:
        topic = topics.get(_page(key), NONE)
        if all(_holds(condition, topic) for condition in asked):
            row = {**dict(zip(columns, key, strict=True)), _TOPIC: topic}
            yield tuple(row[column] for column in query.group), measures


def _page(key: Key) -> Page:
    return Page(str(key[0]), str(key[1]))


def _holds(condition: Condition, topic: int) -> bool:
    match condition:
        case OneOf(_, values):
            return topic in values
        case Between(_, low, high):
            return low <= topic < high
