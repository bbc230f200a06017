"""Conditions as SQL, tried on a real table of every key column."""

import sqlite3

import pytest

from services.shared import sql
from services.shared.domain.query import Between, Condition, OneOf, Query
from services.shared.domain.views import EDITS, PAGES


@pytest.fixture
def pages() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.execute(
        "CREATE TABLE p (project, day, title, editor_class, page_class, edits, net_bytes, abs_bytes)"
    )
    connection.executemany(
        "INSERT INTO p VALUES ('pt', ?, ?, 'user', 'content', 1, ?, ?)",
        [(1, "a", -5, 5), (2, "a", 5, 5), (2, "b", 1, 1), (3, "1", 1, 1)],
    )
    return connection


def asked(
    pages: sqlite3.Connection, *where: Condition, group: tuple[str, ...] = ("title",)
) -> object:
    query = Query(PAGES, group, where)
    return sql.rows(query, pages.execute(*sql.sums(query, "p")))


def test_sums_are_grouped(pages: sqlite3.Connection) -> None:
    assert asked(pages) == {("a",): (2, 0, 10), ("b",): (1, 1, 1), ("1",): (1, 1, 1)}
    assert asked(pages, group=()) == {(): (4, 2, 12)}


def test_between_takes_low_and_not_high(pages: sqlite3.Connection) -> None:
    assert asked(pages, Between("day", 1, 2)) == {("a",): (1, -5, 5)}


@pytest.mark.parametrize("others", [0, 1, 99, 100, 101, 50_000])
def test_a_list_of_any_length_finds_the_same(pages: sqlite3.Connection, others: int) -> None:
    values = ("b", *(f"other {n}" for n in range(others)), "'\"\\é")
    assert asked(pages, OneOf("title", values)) == {("b",): (1, 1, 1)}
    assert asked(pages, OneOf("day", (*range(10, 10 + others), 1))) == {("a",): (1, -5, 5)}


def test_a_number_is_no_text(pages: sqlite3.Connection) -> None:
    assert asked(pages, OneOf("title", (1,))) == {}
    assert asked(pages, OneOf("title", ("1",))) == {("1",): (1, 1, 1)}


def test_nothing_meets_an_empty_list_and_sums_to_nothing(pages: sqlite3.Connection) -> None:
    assert asked(pages, OneOf("title", ())) == {}
    assert asked(pages, OneOf("title", ()), group=()) == {}


def test_no_conditions_are_met_by_all() -> None:
    assert sql.conditions(()) == ("TRUE", [])


def test_only_declared_columns_are_written_into_sql() -> None:
    with pytest.raises(ValueError, match="no view has a column 'day; --'"):
        sql.conditions([Between("day; --", 1, 2)])
    with pytest.raises(ValueError, match="has no column title"):
        Query(EDITS, ("title",))
