"""Search terms: what is indexed and what is asked go through one function.

Every adapter of the speed view stores the terms of a text and looks up the terms of a query, and
does no analysis of its own; so they all find the same. Terms are folded: case, accents and
compatibility forms make no difference ("São" = "sao", "Łódź" = "lodz", full-width letters = ASCII).
Digits stay, punctuation divides.

Scripts that are written without spaces, and Korean, whose particles cling to their words, are cut
into single characters and pairs of neighbours. Pairs make a query for several characters precise,
single characters let a query for one character find anything at all.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

import regex  # type: ignore[import-untyped]  # see tokens

from services.shared.text.tokens import CJK, MAX_TOKEN, bigrams, clean

MAX_TEXT: Final = 4096
"""Longer than title, comment and user name of a change can be together (MediaWiki's limits)."""
MAX_TERMS: Final = 2048

_SPACELESS: Final = rf"{CJK}\p{{Hangul}}\p{{Thai}}\p{{Lao}}\p{{Khmer}}\p{{Myanmar}}"
_TOKEN = regex.compile(r"[\p{L}\p{M}\p{N}]++")
_FIRST_SPACELESS: Final = "\u0e00"  # Thai: of the letters before, none is of such a script
_RUN = regex.compile(rf"(?P<run>[{_SPACELESS}]++)|[^{_SPACELESS}]++", flags=regex.VERSION1)
# The tokens of texts that are ASCII when folded, which most are: no property to look up.
_ASCII_TOKEN = re.compile(r"[a-z0-9]+")

# Letters whose stroke or ligature Unicode does not decompose, but a keyboard without them does;
# and the Arabic tatweel, which only stretches a word.
_STROKES: Final = {
    "æ": "ae", "đ": "d", "ð": "d", "ħ": "h", "\u0131": "i", "ł": "l", "ø": "o", "œ": "oe", "þ": "th",
    "ŧ": "t", "\u0640": "",
}  # fmt: skip

# Combining classes below belong to the letter itself: vowel signs of Indic scripts, the nukta,
# the virama and the voicing marks of kana. From here on they are accents, points and vowels.
_FIRST_ACCENT: Final = 10


class _Plain(dict[int, str]):
    """For `str.translate`: each code point that was met -> what is left of it without accent."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        accent = unicodedata.combining(character) >= _FIRST_ACCENT
        self[code] = "" if accent else _STROKES.get(character, character)
        return self[code]


_plain: Final = _Plain()


def fold(text: str) -> str:
    """The text without differences of case, accent and compatibility form."""
    text = clean(text, len(text))
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKD", text).casefold()
    plain = unicodedata.normalize("NFKD", text).translate(_plain)
    return unicodedata.normalize("NFC", plain)


def search_terms(text: str) -> list[str]:
    """The distinct terms of a text or of a query, in order; a text is found by a query if it has
    all the query's terms.
    """
    folded = fold(text[:MAX_TEXT])
    if folded.isascii():
        terms = _ASCII_TOKEN.findall(folded)
    else:
        terms = [term for token in _TOKEN.findall(folded) for term in _terms(token)]
    if max(map(len, terms), default=0) > MAX_TOKEN:
        terms = [term[:MAX_TOKEN] for term in terms]
    return list(dict.fromkeys(terms))[:MAX_TERMS]


def _terms(token: str) -> Iterable[str]:
    if token.isascii() or max(token) < _FIRST_SPACELESS:
        return (token,)
    found: list[str] = []
    for run in _RUN.finditer(token):
        found += [run[0]] if run["run"] is None else [*run[0], *bigrams(run[0])]
    return found
