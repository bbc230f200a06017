"""The known themes: each title's words belong to one, and programs prefer others than people."""

from __future__ import annotations

import json
import re
from itertools import islice

import pytest
from nltk.stem.snowball import SnowballStemmer

from services.collector.simulator import vocabulary
from services.collector.simulator.people import BOT_THEMES, HUMAN_THEMES
from services.collector.simulator.stream import Stream
from services.collector.simulator.truth import Truth

STEMMED = {
    "en": "english", "pt": "portuguese", "es": "spanish", "fr": "french",
    "de": "german", "it": "italian", "ru": "russian",
}  # fmt: skip


def stems(language: str, theme: str) -> set[str]:
    stemmer = SnowballStemmer(STEMMED[language])
    words = " ".join(vocabulary.words(theme, language)).lower().replace("-", " ")
    return {stemmer.stem(word) for word in words.split()}


@pytest.mark.parametrize("language", STEMMED)
def test_no_stem_is_in_two_themes(language: str) -> None:
    seen: dict[str, str] = {}
    for theme in vocabulary.themes():
        for stem in stems(language, theme):
            assert seen.setdefault(stem, theme) == theme, stem


def test_themes_are_rich_in_english_and_portuguese() -> None:
    assert len(vocabulary.themes()) >= 8
    for theme in vocabulary.themes():
        for language in vocabulary.languages():
            words = vocabulary.words(theme, language)
            assert len(set(words)) == len(words) >= (60 if language in {"en", "pt"} else 8)


def test_everybody_knows_every_theme() -> None:
    assert set(BOT_THEMES.weights) == set(HUMAN_THEMES.weights) == set(vocabulary.themes())


@pytest.mark.parametrize("project", ["pt.wikipedia", "en.wikipedia"])
def test_the_words_of_a_title_tell_the_theme_that_truth_has(project: str) -> None:
    truth = Truth()
    for arrival in islice(Stream(3, 35, 1_767_614_400_000), 6_000):
        truth.add(arrival)
    language = project[:2]
    stemmer = SnowballStemmer(STEMMED[language])
    known = {theme: stems(language, theme) for theme in vocabulary.themes()}
    pages = {title: t for title, t in truth.themes[project].items() if t != "none"}
    assert len(pages) > 80
    for title, theme in pages.items():
        found = [stemmer.stem(word) for word in re.findall(r"[^\W\d_]+", title.lower())]
        hits = {name: sum(stem in known[name] for stem in found) for name in known}
        assert hits[theme] >= 2, (title, theme)
        assert max(hits, key=hits.__getitem__) == theme, (title, theme)


def test_programs_and_people_like_different_themes() -> None:
    truth = Truth()
    for arrival in islice(Stream(3, 35, 1_767_614_400_000), 10_000):
        truth.add(arrival)
    themes = json.loads(json.dumps(truth.as_json()))["edits"]["by_theme_and_editor_class"]
    assert themes["biology"]["group-bot"] > 2 * themes["biology"]["user"]
    assert themes["sports"]["user"] > themes["sports"]["group-bot"]
