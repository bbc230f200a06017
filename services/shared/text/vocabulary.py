"""The words of a title, by a vocabulary per language that remembers what it has seen.

Titles repeat their words far more often than they bring new ones, and stemming a word costs a
hundred times what looking it up does. So the work per token (elision, numbers, stop words, stem) is
done once per language and token; when the vocabularies have grown to their bound they start again
from nothing, which costs time and changes no answer.
"""

import importlib
import sys
from collections.abc import Callable
from functools import cache
from itertools import islice
from threading import Lock
from types import ModuleType
from typing import Final

from services.shared.domain.views import Word
from services.shared.text import tokens
from services.shared.text.languages import ELIDING, MULTILINGUAL, STEMMERS
from services.shared.text.stops import has_stop_words, stop_words

MAX_WORDS: Final = 32
MAX_REMEMBERED: Final = 100_000
"""Tokens over all languages, some 300 bytes each."""


def words(title: str, language: str, namespace: int = 0) -> tuple[Word, ...]:
    """The words of a title: stem and shown form, each stem once, in the order of the title.

    At most 32 words of at most 64 characters; deterministic; never raises, whatever the title.
    """
    vocabulary = _vocabulary(language)
    found: dict[str, Word] = {}
    for token in tokens.split(tokens.body(title, namespace)):
        for word in vocabulary[token]:
            found.setdefault(word.stem, word)
    return tuple(islice(found.values(), MAX_WORDS))


class Vocabulary(dict[str, tuple[Word, ...]]):
    """Token -> its words: one, none for a number or stop word, several for Chinese or Japanese."""

    def __init__(self, language: str) -> None:
        self._stops = stop_words(language)
        self._stem = _stemmer(language)
        self._elides = language in ELIDING
        self._has_identifiers = language == MULTILINGUAL

    def __missing__(self, token: str) -> tuple[Word, ...]:
        if tokens.is_cjk(token):
            # Cheap to divide and hardly ever the same twice: not worth remembering.
            return tuple(
                Word(pair, pair) for pair in tokens.bigrams(token) if pair not in self._stops
            )
        found = self._word(token)
        with _growing:
            remembering = list(_vocabularies.values())
            if sum(map(len, remembering)) >= MAX_REMEMBERED:
                for vocabulary in remembering:
                    vocabulary.clear()
            self[token] = found
        return found

    def _word(self, token: str) -> tuple[Word, ...]:
        form = self._unelided(token[: tokens.MAX_TOKEN])
        lowered = form.lower()
        if self._says_nothing(form) or lowered in self._stops:
            return ()
        # A few stemmers leave nothing of a word that is all ending, and German's can lengthen it.
        stem = self._stem(lowered) or lowered
        return (Word(stem[: tokens.MAX_TOKEN], form),)

    def _unelided(self, form: str) -> str:
        head, _, rest = form.partition("'")
        if not self._elides or not rest or form.lower() in self._stops:
            return form
        return rest if len(head) <= 2 or head.lower() in self._stops else form

    def _says_nothing(self, form: str) -> bool:
        """True for numbers ("1990s", "3D" too), initials ("J.") and identifiers ("Q42")."""
        if not form[0].isalpha():
            return True
        if len(form) == 1:
            return form.lower() != form.upper()
        return self._has_identifiers and any(map(str.isdigit, form))


_KNOWN: Final = frozenset({*STEMMERS, *ELIDING, MULTILINGUAL})
_vocabularies: Final[dict[str, Vocabulary]] = {}
_growing: Final = Lock()


def _vocabulary(language: str) -> Vocabulary:
    """The vocabulary of a language.

    Languages of which nothing is known are all alike and share one, so that there are never more
    than known languages, whatever languages a stream may claim to be in.
    """
    found = _vocabularies.get(language)
    if found is None:
        known = language in _KNOWN or has_stop_words(language)
        language = language if known else ""
        found = _vocabularies.get(language)
    if found is None:
        found = _vocabularies.setdefault(language, Vocabulary(language))
    return found


@cache
def _snowball() -> ModuleType:
    """NLTK's stemmers. It takes all of scikit-learn and SciPy with it where they are installed, which is
    90 MB for nothing; it can do without.
    """
    kept_out = [name for name in ("scipy", "sklearn") if name not in sys.modules]
    sys.modules.update(dict.fromkeys(kept_out))  # type: ignore[arg-type] # as documented: not found
    try:
        return importlib.import_module("nltk.stem.snowball")
    finally:
        for name in kept_out:
            sys.modules.pop(name, None)


def _stemmer(language: str) -> Callable[[str], str]:
    if language not in STEMMERS:
        return str
    snowball = _snowball()
    if language == "ar":
        # NLTK's Arabic stemmer remembers one step of the word before: a new one for each word.
        return lambda word: str(snowball.ArabicStemmer().stem(word))
    stemmer = snowball.SnowballStemmer(STEMMERS[language])
    return lambda word: str(stemmer.stem(word))
