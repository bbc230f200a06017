"""A change -> the document that views and search see. One function for batch and speed."""

from typing import Final

from services.shared import text
from services.shared.domain.change import Change
from services.shared.domain.classes import CONTENT
from services.shared.domain.views import Document, Word
from services.shared.text.hashtags import hashtags


def document(change: Change) -> Document:
    """Words of the title and hashtags of the comment; only edits have them."""
    if not change.is_edit:
        return Document(change)
    words = text.words(change.title, text.language(change.project), change.namespace)
    return Document(change, tuple(words), tuple(hashtags(change.comment)))


_ANY_OTHER: Final = 6
"""Stands for every namespace but 0: of all of them the prefix goes, and what looks like an extension."""


def page_words(project: str, title: str, page_class: str) -> tuple[Word, ...]:
    """The words that say what a page is about, of all that the view `pages` knows of it."""
    namespace = 0 if page_class == CONTENT else _ANY_OTHER
    return text.words(title, text.language(project), namespace)


def search_terms(change: Change) -> tuple[str, ...]:
    """What a search finds the change by."""
    return tuple(text.search_terms(f"{change.title} {change.comment} {change.user}"))
