"""Questions as aggregation pipelines: what is named in them, how they are cut, and what comes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shared.batchview import pipelines, topical
from services.shared.domain.query import Between, Having, OneOf, Query
from services.shared.domain.topics import NONE, Page
from services.shared.domain.views import PAGES, REGISTER_KEYS, TOPICS, Rows

DAY = 20240229
ONE = (1, 1, 1)


@given(st.text() | st.sampled_from(("$", "$$ROOT", "\\$", "\\\\", "\\", "")))
def test_no_text_is_stored_that_a_server_could_look_into(text: str) -> None:
    stored = pipelines.stored(text)
    assert not str(stored).startswith("$")
    assert pipelines.plain("title", stored) == text


@given(a=st.text(), b=st.text())
def test_stored_texts_are_as_different_as_they_were(a: str, b: str) -> None:
    assert (pipelines.stored(a) == pipelines.stored(b)) == (a == b)


def test_a_long_list_is_asked_for_in_pieces_and_each_value_once() -> None:
    values = tuple(str(n % 25_000) for n in range(30_000))
    days = Between("day", DAY, DAY + 1)
    found = pipelines.pieces(Query(PAGES, ("title",), (days, OneOf("title", values))))
    assert [len(piece.where[1].values) for piece in found if isinstance(piece.where[1], OneOf)] == [
        10_000, 10_000, 5_000,
    ]  # fmt: skip
    assert all(piece.where[0] == days for piece in found)
    asked = [v for piece in found for c in piece.where if isinstance(c, OneOf) for v in c.values]
    assert sorted(asked) == sorted(set(values))


def test_two_long_lists_are_both_cut() -> None:
    long = tuple(map(str, range(10_001)))
    where = (OneOf("title", long), OneOf("project", long))
    assert len(pipelines.pieces(Query(PAGES, (), where))) == 4


def test_a_short_question_is_one() -> None:
    query = Query(PAGES, ("title",), (OneOf("title", ("A",)),))
    assert pipelines.pieces(query) == [query]


def test_columns_come_from_the_declared_views() -> None:
    with pytest.raises(ValueError, match="'\\$where'"):
        pipelines.conditions([OneOf("$where", ("1",))])
    assert pipelines.conditions([OneOf(column, ()) for column in REGISTER_KEYS])


def test_a_sum_that_is_no_integer_is_no_answer() -> None:
    row = {"_id": {"title": "A"}, "edits": 2.0**63, "net_bytes": 0, "abs_bytes": 0}
    with pytest.raises(TypeError):
        list(pipelines.rows(Query(PAGES, ("title",)), [row]))


def test_what_comes_behind_is_told_column_by_column() -> None:
    last = {"day": DAY, "project": "p", "title": "$"}
    assert pipelines.behind({"segment": 1}, last) == {
        "$or": [
            {"segment": 1, "day": {"$gt": DAY}},
            {"segment": 1, "day": DAY, "project": {"$gt": "p"}},
            {"segment": 1, "day": DAY, "project": "p", "title": {"$gt": "\\$"}},
        ]
    }
    assert pipelines.behind({"segment": 1}, {}) == {"segment": 1}


def test_the_number_of_groups_is_that_between_the_bounds() -> None:
    rows: Rows = {(name,): (n, 0, 0) for n, name in enumerate("abcde")}
    query = Query(PAGES, ("title",))
    assert pipelines.number(rows, query, Having("edits", 1)) == 4
    assert pipelines.number(rows, query, Having("edits", 1, 3)) == 2


def test_pages_are_counted_by_their_topic_and_by_what_else_was_asked() -> None:
    where = (OneOf("topic", (0, NONE)), Between("topic", -1, 1), OneOf("project", ("p",)))
    query = Query(TOPICS, ("topic", "day"), where)
    by_page = topical.by_page(query)
    assert by_page == Query(PAGES, ("project", "title", "day"), (OneOf("project", ("p",)),))
    found = [(("p", title, DAY), ONE) for title in "ABC"]
    topics = {Page("p", "A"): 0, Page("p", "B"): 1}
    assert list(topical.rows(query, found, topics)) == [((0, DAY), ONE), ((NONE, DAY), ONE)]
