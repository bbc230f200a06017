import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.shared.text import fold, search_terms
from services.shared.text.search import MAX_TERMS, MAX_TEXT

# ruff: noqa: RUF001  # letters that look alike are what is tested
ANY = st.text(st.characters(exclude_categories=())) | st.text(
    st.sampled_from("aÅéßŁıİΣςσ京アがガ・ーกำ서울ᄀ\u1161\u0301\u0345\u0327\u200d\ud800 .#0２²")
)


def finds(query: str, text: str) -> bool:
    return set(search_terms(query)) <= set(search_terms(text))


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("sao paulo", "Aeroporto de São Paulo"),
        ("SÃO", "são"),
        ("strasse", "Straße"),
        ("lodz", "Łódź"),
        ("istanbul", "İstanbul"),
        ("wiki", "ＷＩＫＩ"),
        ("2015", "UEFA Euro 2015"),
        ("ленин", "Ле́нин"),
        ("obrien", "user:OBrien/common.js"),
        ("common js", "user:OBrien/common.js"),
        ("europe", "l'Europe"),
        ("京", "東京都"),
        ("京都", "東京都"),
        ("서울", "서울특별시"),
        ("กรุงเทพ", "กรุงเทพมหานคร"),
        ("कि", "किताब कि"),
        ("محمد", "مُحَمَّد"),
        ("paypal", "pay\u200bpal"),
    ],
)
def test_a_query_finds_the_text(query: str, text: str) -> None:
    assert finds(query, text)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("sao tome", "São Paulo"),
        ("京東", "東京"),
        ("paul", "São Paulo"),
        ("की", "कि"),
        ("カラス", "ガラス"),
        ("201", "2015"),
    ],
)
def test_a_query_does_not_find_the_text(query: str, text: str) -> None:
    assert not finds(query, text)


def test_terms_are_distinct_and_in_order() -> None:
    assert search_terms("Edit, edit; 東京!") == ["edit", "東", "京", "東京"]
    assert search_terms("... !") == []


def test_terms_are_bounded() -> None:
    (long,) = search_terms("x" * 100_000)
    assert len(long) == 64
    assert finds("x" * 70, "x" * 200)
    assert len(search_terms("".join(map(chr, range(0x4E00, 0x9000))))) == MAX_TERMS


def test_the_bounds_are_beyond_a_whole_change() -> None:
    # 255 bytes of title and of user name, 500 characters of comment: MediaWiki's limits.
    text = "\n".join(chr(0x4E00 + i) * n for i, n in enumerate([85, 500, 84])) + "終"
    assert len(text) < MAX_TEXT
    assert finds("終", text)


def test_no_character_folds_otherwise_when_folded_again() -> None:
    once = [fold(chr(code)) for code in range(sys.maxunicode + 1)]
    assert [text for text in set(once) if fold(text) != text] == []


@settings(deadline=None)
@given(ANY)
def test_folding_twice_is_folding_once(text: str) -> None:
    once = fold(text)
    assert fold(once) == once
    assert unicodedata.is_normalized("NFC", once)


@settings(deadline=None)
@given(ANY)
def test_any_string_gives_bounded_terms_that_find_it_again(text: str) -> None:
    terms = search_terms(text)
    assert len(set(terms)) == len(terms) <= MAX_TERMS
    assert all(0 < len(term) <= 64 and term.isprintable() and " " not in term for term in terms)
    assert finds(text, text)
    for term in terms:
        assert finds(term, text), term


@settings(deadline=None)
@given(ANY, ANY)
def test_a_text_is_found_by_any_part_of_it(one: str, other: str) -> None:
    assert finds(one, f"{one}\n{other}")
    assert finds(other, f"{one}\n{other}")
