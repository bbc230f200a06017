"""Which pages a topic model is made from, and what is known of pages: bounded, whatever there is.

Every page has a *rank*, a number drawn by its name alone. A sample holds the pages of least rank among
all that it was offered: in whatever order and however often they come, it is the same, each page is as
likely to be in it as any other, and how low its ranks are tells how many there were.
"""

import re
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Final, TypeVar

import msgspec

from services.shared.documents import page_words
from services.shared.domain.classes import NON_CONTENT
from services.shared.domain.topics import Page
from services.shared.domain.views import Word

V = TypeVar("V")

_RANKS: Final = 1 << 64
_WORDS_OF_CATEGORIES: Final = 32
_MEMBER = re.compile(r"\[\[:?([^\[\]|<>{}#]+)")


class Described(msgspec.Struct, array_like=True, frozen=True):
    """A page and the words that say what it is about."""

    project: str
    title: str
    words: tuple[Word, ...]


class Task(msgspec.Struct, frozen=True):
    """What a model is made from: a sample of about `pages` pages, with words of `text_version`."""

    text_version: int
    made_at: int
    pages: int
    sample: list[Described]


class Sample(dict[Page, V]):
    """Page -> what is known of it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._below = _RANKS

    def offer(self, page: Page, value: V) -> None:
        """The page with its value, or with a new one; unless so many have a lesser rank."""
        if page in self or rank(page) < self._below:
            self[page] = value
            if len(self) >= 2 * self._most:
                self._prune()

    def settle(self) -> int:
        """Let go of all pages but those of least rank; about how many pages were offered."""
        if len(self) > self._most:
            self._prune()
        if self._below == _RANKS:
            return len(self)
        return round((len(self) - 1) / self._below * _RANKS)

    def _prune(self) -> None:
        kept = {page: self[page] for page in sorted(self, key=rank)[: self._most]}
        self.clear()
        self.update(kept)
        self._below = rank(next(reversed(kept))) + 1


def rank(page: Page) -> int:
    return int.from_bytes(blake2b("\0".join(page).encode(), digest_size=8).digest(), "big")


Categories = Sample[tuple[Word, ...]]
"""Page -> the words of categories that it was put into, as far as they are known."""


def categorised(
    known: Categories, projects: Iterable[str], titles: Iterable[str], comments: Iterable[str]
) -> None:
    """Learn from changes of type `categorize`: their title is the category, their comment links the page.

    A page that leaves a category says so in the language of its wiki, which nobody can tell from
    entering it. What a page was in yesterday says what it is about, too.
    """
    for project, title, comment in zip(projects, titles, comments, strict=True):
        member = _MEMBER.search(comment)
        if member is not None:
            page = Page(project, member[1].strip())
            words = dict.fromkeys((*known.get(page, ()), *page_words(project, title, NON_CONTENT)))
            known.offer(page, tuple(words)[:_WORDS_OF_CATEGORIES])


def words(page: Page, page_class: str, known: Categories) -> tuple[Word, ...]:
    """The words of a page's title and of its categories, each stem once."""
    found: dict[str, Word] = {}
    for word in (*page_words(*page, page_class), *known.get(page, ())):
        found.setdefault(word.stem, word)
    return tuple(found.values())


def described(pages: Sample[str], known: Categories) -> Iterator[Described]:
    """The pages of a sample of page classes, in order of rank."""
    for page in sorted(pages, key=rank):
        yield Described(*page, words(page, pages[page], known))
