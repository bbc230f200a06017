"""A sample is the same in whatever order pages come; what categories say is learnt from their changes."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from services.batch import sample
from services.batch.sample import Categories, Sample
from services.shared.domain.topics import Page

_pages = st.lists(st.integers(0, 60).map(lambda n: Page(f"p{n % 3}", f"T{n}")), max_size=150)


@given(_pages, st.integers(1, 10), st.randoms())
def test_the_order_of_pages_does_not_matter(
    pages: list[Page], most: int, chance: random.Random
) -> None:
    one, other = Sample[str](most), Sample[str](most)
    for page in pages:
        one.offer(page, "content")
    chance.shuffle(pages)
    for page in pages:
        other.offer(page, "content")
    one.settle()
    other.settle()
    assert one == other
    assert set(one) == set(sorted(set(pages), key=sample.rank)[:most])


def test_a_sample_tells_about_how_many_pages_there_were() -> None:
    for distinct in (10, 1_000, 20_000):
        of = Sample[str](1_000)
        for n in (*range(distinct), *range(distinct)):
            of.offer(Page("p", str(n)), "content")
        assert abs(of.settle() - distinct) <= 0.15 * distinct * (distinct > 1_000)
        assert len(of) == min(distinct, 1_000)


def learnt(*changes: tuple[str, str, str]) -> Categories:
    known = Categories(100)
    sample.categorised(known, *([change[i] for change in changes] for i in range(3)))
    return known


def test_a_page_has_the_words_of_its_categories() -> None:
    known = learnt(
        ("en.wikipedia", "Category:Abbeys in Kent", "[[:Minster House]] added to category"),
        ("en.wikipedia", "Category:Ruins", "[[:Minster House]] removed from category, see [[X]]"),
        ("pt.wikipedia", "Categoria:Futebol", "[[:Minster House]] adicionada à categoria"),
        ("en.wikipedia", "Category:Nothing", "no page is named"),
    )
    page = Page("en.wikipedia", "Minster House")
    forms = [word.form for word in sample.words(page, "content", known)]
    assert forms == ["Minster", "House", "Abbeys", "Kent", "Ruins"]
    assert len(known) == 2


def test_a_stem_counts_once() -> None:
    known = learnt(("en.wikipedia", "Category:Houses", "[[:Minster House]] added"))
    page = Page("en.wikipedia", "Minster House")
    assert [w.form for w in sample.words(page, "content", known)] == ["Minster", "House"]


def test_a_sample_is_described_in_order_of_rank() -> None:
    pages = Sample[str](2)
    for name in ("Talk:Abbey", "Bishop", "Psalm"):
        pages.offer(Page("en.wikipedia", name), "non-content" if ":" in name else "content")
    pages.settle()
    found = list(sample.described(pages, Categories(1)))
    assert [Page(each.project, each.title) for each in found] == sorted(pages, key=sample.rank)
    assert all(each.words for each in found)
