"""Pages: which there are, and what they are about.

A page is a pure function of (seed, wiki, theme, number): its title joins words of one theme, so that
whoever clusters titles can be checked. Low numbers are edited often (see `chance.rank`).
"""

import urllib.parse
from functools import lru_cache
from typing import Final, NamedTuple

from services.collector.simulator import chance, vocabulary, wikis
from services.collector.simulator.chance import Chance
from services.collector.simulator.vocabulary import Language
from services.collector.simulator.wikis import Wiki

NO_THEME: Final = "none"
CATEGORY: Final = 14
_FILE: Final = 6
_KEPT: Final = 32_768


class Page(NamedTuple):
    title: str
    namespace: int
    theme: str


def article(seed: int, wiki: Wiki, theme: str, number: int) -> Page:
    """A page of the wiki's own kind: an article, a file, an entry of a dictionary, an item."""
    if wiki.family == wikis.WIKIDATA:
        return Page(f"Q{1_000 + 7919 * number}", 0, NO_THEME)
    return _written(seed, wiki, theme, number)


@lru_cache(maxsize=_KEPT)
def _written(seed: int, wiki: Wiki, theme: str, number: int) -> Page:
    drawn = _chance(seed, wiki, theme, number)
    if wiki.family == wikis.WIKTIONARY:
        return Page(drawn.choice(vocabulary.words(theme, wiki.language)), 0, theme)
    title = _title(drawn, wiki, theme)
    if wiki.family == wikis.COMMONS:
        return Page(f"File:{title} ({2004 + number % 21}-06-17, {number:05d}).jpg", _FILE, theme)
    return Page(title, 0, theme)


@lru_cache(maxsize=8_192)
def category(seed: int, wiki: Wiki, theme: str, number: int) -> Page:
    title = _title(_chance(seed, wiki, theme, number), wiki, theme)
    return Page(f"{_language(wiki).category}:{title}", CATEGORY, theme)


def talk(wiki: Wiki, about: Page) -> Page:
    """The page where an article is talked about."""
    return Page(f"{_language(wiki).talk}:{about.title}", about.namespace + 1, about.theme)


def of_editor(wiki: Wiki, name: str, *, is_talk: bool) -> Page:
    language = _language(wiki)
    prefix = language.user_talk if is_talk else language.user
    return Page(f"{prefix}:{name}", 3 if is_talk else 2, NO_THEME)


def of_project(wiki: Wiki, name: str) -> Page:
    return Page(f"{wiki.meta}:{name}", 4, NO_THEME)


@lru_cache(maxsize=_KEPT)
def path(title: str) -> str:
    """The title as the wikis write it in an address."""
    return urllib.parse.quote(title.replace(" ", "_"), safe=";@$!*(),/~:-._")


def _chance(seed: int, wiki: Wiki, theme: str, number: int) -> Chance:
    place = wiki.number * len(vocabulary.themes()) + vocabulary.themes().index(theme)
    return Chance(seed, chance.PAGE, (place << 48) | number)


def _language(wiki: Wiki) -> Language:
    return vocabulary.languages()[wiki.language]


def _title(drawn: Chance, wiki: Wiki, theme: str) -> str:
    language, words = _language(wiki), vocabulary.words(theme, wiki.language)
    first = drawn.below(len(words))
    second = (first + 1 + drawn.below(len(words) - 1)) % len(words)
    pattern, name = drawn.choice(language.patterns), drawn.choice(language.names)
    title = pattern.format(a=words[first], b=words[second], n=name)
    return title[0].upper() + title[1:]
