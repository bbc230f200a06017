"""Text: the words of a title, the terms of a search, the hashtags of a comment.

    title -> tokens.body     cleaned, namespace prefix and disambiguation off
          -> tokens.split    runs of letters and digits; Chinese and Japanese as whole runs
          -> vocabulary      per token, remembered: elision, numbers and stop words off, stem
          -> Word(stem, form)

Everything is a pure function of its arguments, the same in batch and speed; what is remembered
between calls saves time and never changes an answer. The first call of `words` for a language
imports NLTK and reads word lists, which takes seconds: call it from a thread, not from the loop.
"""

from typing import Final

from services.shared.domain.views import Word
from services.shared.text.languages import language
from services.shared.text.search import fold, search_terms
from services.shared.text.vocabulary import words

TEXT_VERSION: Final = 1
"""Grows whenever the same text gives other words, terms or hashtags: views made by different
versions are not summed."""

__all__ = ["TEXT_VERSION", "Word", "fold", "language", "search_terms", "words"]
