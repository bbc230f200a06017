"""From a sample to a model: what is found, how it is called, and that it is plain numbers."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from services.batch import fit
from services.batch.cluster import clusters
from services.batch.features import features
from services.batch.sample import Described, Task
from services.shared.domain.topics import NONE, TopicModel, assign
from services.shared.domain.views import Word

THEMES = {
    "faith": "abbey bishop liturgy psalm altar monk relic chalice",
    "sport": "goal striker penalty referee stadium league derby keeper",
    "food": "bread cheese pepper recipe oven flour butter soup",
    "rock": "guitar drummer album chorus ballad concert vinyl bass",
}


def sample(a_theme: int = 60, seed: int = 1) -> list[Described]:
    """Pages of two or three words of one theme each; a few with a word that no other page has."""
    chance = random.Random(seed)
    pages = [
        described(theme, number, *chance.sample(words.split(), chance.choice((2, 3))))
        for theme, words in THEMES.items()
        for number in range(a_theme)
    ]
    chance.shuffle(pages)
    return [*pages, *(described("odd", n, f"odd{n}") for n in range(5))]


def described(theme: str, number: int, *words: str) -> Described:
    found = tuple(Word(word[:4], word.capitalize()) for word in words)
    return Described("en.wikipedia", f"{theme} {number} {' '.join(words)}", found)


def made(pages: list[Described]) -> TopicModel:
    return fit.model(Task(3, 1_000, 2 * len(pages), pages))


def theme(page: Described) -> str:
    return page.title.partition(" ")[0]


def topic(model: TopicModel, page: Described) -> int:
    return assign(model, (word.stem for word in page.words))


def test_themes_are_found() -> None:
    pages = sample()
    model = made(pages)
    of: dict[int, Counter[str]] = {}
    for page in pages:
        of.setdefault(topic(model, page), Counter())[theme(page)] += 1
    assert of.pop(NONE) == Counter(odd=5), "what shares no word with others is about none"
    pure = sum(max(themes.values()) for themes in of.values())
    assert pure / sum(themes.total() for themes in of.values()) > 0.95
    assert {themes.most_common(1)[0][0] for themes in of.values()} == set(THEMES)


def test_the_model_says_of_the_sample_what_the_clusters_say() -> None:
    of = features(sample())
    assert of is not None
    found = clusters(of)
    assert found is not None
    model = made(sample())
    covered = [of.pages[index] for index in found.pages.tolist()]
    assert [topic(model, page) for page in covered] == found.labels.tolist()
    sizes = np.bincount(found.labels).tolist()
    assert sizes == sorted(sizes, reverse=True)
    assert [shown.pages for shown in model.topics] == sizes


def test_a_topic_shows_its_own_words_and_pages() -> None:
    pages = sample()
    model = made(pages)
    by_title = {page.title: page for page in pages}
    for number, shown in enumerate(model.topics):
        near = [by_title[page.title] for page in shown.titles]
        assert len(near) == 5
        assert {topic(model, page) for page in near} == {number}
        name = Counter(map(theme, near)).most_common(1)[0][0]
        assert shown.words[0].lower() in THEMES[name], "in shown form, of its theme"
        assert shown.words[0][0].isupper()
        assert shown.label == ", ".join(shown.words[:3])
        assert -1 <= shown.x <= 1
        assert -1 <= shown.y <= 1
    assert len({(shown.x, shown.y) for shown in model.topics}) == len(model.topics)


def test_a_model_tells_what_it_stands_on() -> None:
    pages = sample()
    model = made(pages)
    assert (model.text_version, model.made_at, model.pages) == (3, 1_000, 2 * len(pages))
    assert (model.sample, model.covered) == (len(pages), len(pages) - 5)
    assert model.largest_share == model.topics[0].pages / model.covered
    assert made(sample()) == model, "the same sample, the same model"
    assert made(sample(seed=2)).id != model.id


def test_what_is_mixed_is_called_scattered() -> None:
    chance = random.Random(1)
    words = " ".join(THEMES.values()).split()
    model = made([described("any", n, *chance.sample(words, 6)) for n in range(300)])
    assert model.verdict == "scattered"
    assert made(sample()).silhouette > model.silhouette


@pytest.mark.parametrize(
    "pages",
    [
        [],
        [described("odd", n, f"{n:04d}") for n in range(150)],
        [described("same", n, "same") for n in range(150)],
        [described("two", n, f"same{n % 4}") for n in range(12)],
    ],
)
def test_where_nothing_can_be_told_apart_there_are_no_topics(pages: list[Described]) -> None:
    model = made(pages)
    assert (model.topics, model.vocabulary, model.verdict) == ((), (), "none")
    assert (model.silhouette, model.largest_share) == (0.0, 0.0)
