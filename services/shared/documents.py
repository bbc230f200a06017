"""A change -> the document that views and search see. One function for batch and speed."""

from services.shared import text
from services.shared.domain.change import Change
from services.shared.domain.views import Document
from services.shared.text.hashtags import hashtags


def document(change: Change) -> Document:
    """Words of the title and hashtags of the comment; only edits have them."""
    if not change.is_edit:
        return Document(change)
    words = text.words(change.title, text.language(change.project), change.namespace)
    return Document(change, tuple(words), tuple(hashtags(change.comment)))


def search_terms(change: Change) -> tuple[str, ...]:
    """What a search finds the change by."""
    return tuple(text.search_terms(f"{change.title}\n{change.comment}\n{change.user}"))
