"""The declared views and their one `add`: what all layers and adapters are held to."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.shared.domain import hll
from services.shared.domain.views import (
    COLUMNS,
    DISTINCT,
    EDITORS,
    EDITS,
    HASHTAGS,
    MINUTES,
    PAGES,
    REGISTER_KEYS,
    VIEWS,
    WORDS,
    Document,
    Registers,
    Rows,
    View,
    Word,
    add,
    add_registers,
    columns,
    registers_of,
    rows_of,
)
from tests.unit.batch.made import all_registers, documents

keys = st.tuples(st.sampled_from(("pt.wikipedia", "wikidata")), st.integers(0, 2))
all_rows = st.dictionaries(keys, st.tuples(st.integers(), st.integers()), max_size=6)
some_documents = st.lists(documents(), max_size=8)
few = settings(max_examples=30, deadline=None)


@given(all_rows, all_rows, all_rows)
def test_add_is_associative_and_commutative_and_has_an_empty_element(
    a: Rows, b: Rows, c: Rows
) -> None:
    assert add(add(a, b), c) == add(a, add(b, c))
    assert add(a, b) == add(b, a)
    assert add(a, {}) == add({}, a) == a


@given(all_rows, all_rows)
def test_add_leaves_what_it_is_given_alone(a: Rows, b: Rows) -> None:
    before = dict(a), dict(b)
    add(a, b)
    assert (a, b) == before


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
@few
@given(parts=st.lists(some_documents, max_size=4))
def test_a_view_of_parts_adds_up_to_the_view_of_the_whole(
    view: View, parts: list[list[Document]]
) -> None:
    total: Rows = {}
    for part in parts:
        total = add(total, rows_of(view, part))
    assert total == rows_of(view, itertools.chain(*parts))


@few
@given(st.lists(some_documents, max_size=4))
def test_registers_of_parts_join_to_those_of_the_whole(parts: list[list[Document]]) -> None:
    joined: Registers = {}
    for part in parts:
        joined = add_registers(joined, all_registers(part))
    assert joined == all_registers(list(itertools.chain(*parts)))


@few
@given(some_documents, some_documents, some_documents)
def test_joining_registers_is_associative_commutative_and_idempotent(
    a: list[Document], b: list[Document], c: list[Document]
) -> None:
    x, y, z = map(all_registers, (a, b, c))
    assert add_registers(add_registers(x, y), z) == add_registers(x, add_registers(y, z))
    assert add_registers(x, y) == add_registers(y, x)
    assert add_registers(x, x) == add_registers(x, {}) == add_registers({}, x) == x


@given(some_documents)
def test_registers_count_the_keys_of_their_group(of: list[Document]) -> None:
    for name, counted in DISTINCT.items():
        view = next(view for view in VIEWS if view.name == name)
        rows = rows_of(view, of)
        for (label, *group), value in registers_of(view, rows).items():
            assert label == name
            place = view.keys.index(counted)
            members = {
                str(key[place]) for key in rows if [*key[:place], *key[place + 1 :]] == group
            }
            assert value == hll.registers(members)
        assert all(len(key) == len(REGISTER_KEYS) for key in registers_of(view, rows))


@given(documents())
def test_every_view_asks_for_columns_that_a_document_has(document: Document) -> None:
    known = {*columns(document), "stem", "form", "hashtag"}
    assert all(known.issuperset((*view.keys, *view.measures)) for view in VIEWS)
    assert {key for view in VIEWS for key in view.keys} == set(COLUMNS)


@given(documents())
def test_a_document_counts_in_each_view_as_often_as_it_should(document: Document) -> None:
    times = {view: sum(row[0] for row in rows_of(view, [document]).values()) for view in VIEWS}
    edit = document.change.is_edit
    assert times == {
        EDITS: 1,
        MINUTES: 1,
        PAGES: int(edit),
        EDITORS: int(edit and document.change.user != ""),
        WORDS: len(document.words) * edit,
        HASHTAGS: len(document.hashtags) * edit,
    }


@given(documents())
def test_a_log_entry_with_words_has_no_words(document: Document) -> None:
    log = Document(document.change._replace(type="log"), (Word("gat", "Gato"),), ("#wpwp",))
    assert rows_of(WORDS, [log]) == rows_of(HASHTAGS, [log]) == rows_of(PAGES, [log]) == {}


@given(documents())
def test_hours_and_minutes_are_those_of_the_event_day(document: Document) -> None:
    row = columns(document)
    change = document.change
    assert row["hour"] == change.timestamp // 3600
    assert row["minute"] == change.timestamp // 60
    assert row["day"] == change.day
    assert row["abs_bytes"] == abs(change.net_bytes)
    assert row["new_pages"] == (change.type == "new")
