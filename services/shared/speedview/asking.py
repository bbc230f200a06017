"""What is asked of Elasticsearch, and how its answers are read: typed queries, values as values.

Sums are composite aggregations: each page of buckets is complete and the pages are in order of the keys, so
all of them together are exact, which a list of the largest buckets is not. A document that a view repeats is
in a bucket per word or per hashtag; conditions on those choose among the buckets here, because the server
chooses among documents only.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from services.shared.domain.change import EDIT_TYPES, NEW
from services.shared.domain.positions import Vector
from services.shared.domain.query import Between, Condition, OneOf, Query
from services.shared.domain.views import Key, Rows, View, add_row
from services.shared.speedview import fields, places
from services.shared.speedview.port import Place, Search

Clause = dict[str, Any]
Body = dict[str, Any]

BUCKETS: Final = 20_000
"""In a page: few pages, because each goes over all documents, and less than the server's 65,536."""
_LONGEST_PAGE: Final = 10_000
_LONGEST_LIST: Final = 65_536
"""Values that the server takes in one clause."""
_FEW: Final = 256
_REPEATED: Final = {"words": ("stem", "form"), "hashtags": ("hashtag",)}
"""The columns that are the parts of each field whose values a view repeats a document by."""
_SUMMED: Final = {
    "net_bytes": ("net_high", "net_low"),
    "abs_bytes": ("abs_high", "abs_low"),
    "minor": ("minor",),
}


# Searches


def search(asked: Search, since: Vector, until: Vector, *, limit: int, after: Place | None) -> Body:
    body = _page(asked, since, until, limit, "desc")
    if after is not None:
        time, partition, offset = after
        body["search_after"] = [time, places.place(partition, offset)]
    return body


def scan(asked: Search, since: Vector, until: Vector, *, limit: int) -> Body:
    return _page(asked, since, until, limit, "asc")


def _page(asked: Search, since: Vector, until: Vector, limit: int, order: str) -> Body:
    return {
        "query": _all([within(since, until), *_filters(asked)]),
        "sort": [{"appended_at": order}, {"place": order}],
        "size": min(limit, _LONGEST_PAGE),
        "track_total_hits": False,
        "_source": {"excludes": ["terms"]},
    }


def _filters(asked: Search) -> Iterable[Clause]:
    yield from ({"term": {"terms": term}} for term in asked.terms)
    for name, wanted in (
        ("project", asked.projects),
        ("type", asked.types),
        ("editor_class", asked.editor_classes),
        ("namespace", asked.namespaces),
    ):
        if wanted:
            yield {"terms": {name: wanted}}
    for comparison, bound in (("gte", asked.low), ("lt", asked.high)):
        if bound is not None:
            yield {"range": {"timestamp": {comparison: bound}}}


# Documents to let go of


def appended_before(span: tuple[int, int], time: int, *, whole: bool) -> Clause:
    """Documents in a span of places that were appended before the time, whole ones only or all."""
    low, high = span
    clauses: list[Clause] = [
        {"range": {"place": {"gte": low, "lt": high}}},
        {"range": {"appended_at": {"lt": time}}},
    ]
    return _all([*clauses, {"exists": {"field": fields.WHOLE}}] if whole else clauses)


def ids(query: Clause, limit: int) -> Body:
    return {
        "query": query,
        "sort": ["_doc"],
        "size": limit,
        "track_total_hits": False,
        "_source": ["place", "appended_at"],
    }


def last(query: Clause) -> Body:
    """The one at the highest place. (An aggregation would know that only as a floating-point number.)"""
    return ids(query, 1) | {"sort": [{"place": "desc"}]}


# Sums


def sums(query: Query, since: Vector, until: Vector) -> Body:
    """One page of buckets; see `after` for the others."""
    view = query.view
    sources = [{column: {"terms": {"field": column}}} for column in _sources(query)]
    of = (
        {"composite": {"size": BUCKETS, "sources": sources}}
        if sources
        else {"filter": {"match_all": {}}}
    )
    return {
        "query": _all([within(since, until), *_taken(view), *map(_condition, query.where)]),
        "size": 0,
        "track_total_hits": False,
        "aggs": {"rows": of | {"aggs": _measures(view)}},
    }


def after(body: Body, page: Mapping[str, Any]) -> Body:
    """The next page of what `sums` asked for."""
    of = body["aggs"]["rows"]
    composite = of["composite"] | {"after": page["after_key"]}
    return body | {"aggs": {"rows": of | {"composite": composite}}}


def is_last(page: Mapping[str, Any]) -> bool:
    return len(page.get("buckets", ())) < BUCKETS


def rows(query: Query, pages: Iterable[Mapping[str, Any]]) -> Rows:
    """The query's sums from all pages."""
    found: Rows = {}
    parts = _REPEATED.get(query.view.each, ())
    chosen = [_chosen(condition) for condition in query.where if condition.column in parts]
    for page in pages:
        for bucket in page.get("buckets", [page]):
            columns = _columns(bucket)
            if bucket["doc_count"] and all(columns[name] in among for name, among in chosen):
                key: Key = tuple(columns[name] for name in query.group)
                add_row(found, key, tuple(_measured(m, bucket) for m in query.view.measures))
    return found


def _chosen(condition: Condition) -> tuple[str, frozenset[int | str]]:
    """A condition on what a bucket is of; text is between no numbers."""
    values = condition.values if isinstance(condition, OneOf) else ()
    return condition.column, frozenset(values)


def _columns(bucket: Mapping[str, Any]) -> dict[str, int | str]:
    columns = dict(bucket.get("key", {}))
    for name in _REPEATED.keys() & columns.keys():
        parts = _REPEATED[name]
        columns |= zip(parts, fields.told(columns[name], len(parts)), strict=True)
    return columns


def _sources(query: Query) -> list[str]:
    """The fields to make buckets by: those of the group, and a repeated one that is chosen among."""
    repeated = query.view.each
    parts = _REPEATED.get(repeated, ())
    asked = {*query.group, *(condition.column for condition in query.where)}
    own = [column for column in query.group if column not in parts]
    return [*own, repeated] if asked & {*parts} else own


def _measures(view: View) -> dict[str, Clause]:
    aggregations: dict[str, Clause] = {
        name: {"sum": {"field": name}}
        for measure in view.measures
        for name in _SUMMED.get(measure, ())
    }
    if "new_pages" in view.measures:
        aggregations["new_pages"] = {"filter": {"term": {"type": NEW}}}
    if view.each:
        aggregations["repeats"] = {"value_count": {"field": view.each}}
    return aggregations


def _measured(measure: str, bucket: Mapping[str, Any]) -> int:
    parts = [int(bucket[name]["value"]) for name in _SUMMED.get(measure, ())]
    match measure, parts:
        case "edits", _:
            repeated = _REPEATED.keys() & bucket.get("key", {}).keys()
            counted = "repeats" in bucket and not repeated
            return int(bucket["repeats"]["value"] if counted else bucket["doc_count"])
        case "new_pages", _:
            return int(bucket["new_pages"]["doc_count"])
        case _, [high, low]:
            return fields.whole(high, low)
        case _:
            return parts[0]


def _taken(view: View) -> Iterable[Clause]:
    if view.edits_only:
        yield {"terms": {"type": EDIT_TYPES}}
    if view.needs:
        yield {"bool": {"must_not": [{"term": {view.needs: ""}}]}}
    if view.each:
        yield {"exists": {"field": view.each}}


def _condition(condition: Condition) -> Clause:
    """Documents that can meet the condition; of a repeated one, at least all that do."""
    match condition:
        case Between("stem" | "form" | "hashtag") | OneOf("form"):
            return {"match_all": {}}
        case OneOf("stem", values) if len(values) > _FEW:
            return {"match_all": {}}
        case OneOf("stem", values):
            return any_of([{"prefix": {"words": f"{v}{fields.SEPARATOR}"}} for v in values])
        case OneOf("hashtag", values):
            return _one_of("hashtags", values)
        case OneOf(column, values):
            return _one_of(column, values)
        case Between(column, low, high):
            return {"range": {column: {"gte": low, "lt": high}}}


# Clauses


def within(since: Vector, until: Vector) -> Clause:
    """Documents at positions in [since, until)."""
    return any_of(
        [
            {"range": {"place": {"gte": low, "lt": high}}}
            for low, high in places.spans(since, until)
            if low < high
        ]
    )


def any_of(clauses: Sequence[Clause]) -> Clause:
    """None of no clauses, where the server would take everything."""
    if not clauses:
        return {"match_none": {}}
    return {"bool": {"should": clauses, "minimum_should_match": 1}}


def _one_of(column: str, values: Sequence[int | str]) -> Clause:
    lists = [values[at : at + _LONGEST_LIST] for at in range(0, len(values), _LONGEST_LIST)]
    return any_of([{"terms": {column: each}} for each in lists])


def _all(clauses: Sequence[Clause]) -> Clause:
    return {"bool": {"filter": clauses}}
