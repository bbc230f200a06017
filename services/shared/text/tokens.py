"""Hostile text -> clean text -> tokens.

Titles are written by strangers. What can't be seen (controls, bidirectional overrides, zero-width
characters, unassigned and private code points) is removed before anything else, white space of any
kind becomes a space, and NFKC makes one character of those that look the same (full-width letters,
ligatures). Lengths are cut before the work, so that no text costs more than a long title does.

A token is a run of letters, marks and digits, with an apostrophe or a middle dot inside it at
most: "don't", "col·legi". Hyphens divide: "Rio-Niterói" is about Rio and about Niterói. Chinese and
Japanese set no spaces, so a run of theirs is one token here; `bigrams` divides it further.
"""

import re
import unicodedata
from typing import Final

import regex  # type: ignore[import-untyped]  # Unicode properties; the engine of NLTK's tokenisers

from services.shared.domain.classes import is_address

MAX_TITLE: Final = 512
MAX_TOKEN: Final = 64

# Han, kana, the long vowel sign of kana and the zero of Chinese: the two last belong to no script.
CJK: Final = r"\p{Han}\p{Hiragana}\p{Katakana}\u30fc\u3007"
_CJK_LETTER: Final = rf"[[{CJK}]&&[\p{{L}}\u3007]]"
_WORD_START: Final = rf"[[\p{{L}}\p{{N}}]--[{CJK}]]"
_WORD_REST: Final = rf"[[\p{{L}}\p{{M}}\p{{N}}]--[{CJK}]]"
# Apostrophe, the middle dot of Catalan, geresh and gershayim of Hebrew.
_JOINED: Final = rf"(?:['·\u05f3\u05f4]{_WORD_START}{_WORD_REST}*+)*+"
_TOKEN = regex.compile(
    rf"{_CJK_LETTER}++|{_WORD_START}{_WORD_REST}*+{_JOINED}", flags=regex.VERSION1
)
# The same for text without marks, Hebrew and CJK, in half the time: most titles are such.
_FIRST_MARK: Final = "\u0300"
_PLAIN_TOKEN = re.compile(r"[^\W_]+(?:['·][^\W_]+)*")
_CJK_START = regex.compile(_CJK_LETTER, flags=regex.VERSION1)

# Typographic apostrophes, the modifier letter of Ukrainian and the okina of Hawaiian.
_APOSTROPHES: Final = "\u2018\u2019\u02bb\u02bc"
_FILE_NAMESPACES: Final = frozenset({6, 7})
_EXTENSION = regex.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}$")


def split(text: str) -> list[str]:
    """The tokens of a text, in order."""
    plain = text.isascii() or max(text) < _FIRST_MARK
    return _PLAIN_TOKEN.findall(text) if plain else _TOKEN.findall(text)


def clean(text: str, limit: int) -> str:
    """The text in NFKC without what can't be seen; made of `limit` characters at most."""
    text = text[:limit]
    if not text.isprintable():
        # White space first: some of it is a control too, and none of it may glue words together.
        text = " ".join(text.split())
    if not text.isprintable():
        text = "".join(filter(str.isprintable, text))
    if text.isascii():
        return text
    text = unicodedata.normalize("NFKC", text)
    for apostrophe in _APOSTROPHES:
        text = text.replace(apostrophe, "'")
    return text


def body(title: str, namespace: int) -> str:
    """What a title says, without the prefix of its namespace, the extension of a file and the
    brackets that tell it from its namesakes. The address of an editor without an account says nothing.

    A colon in the main namespace belongs to the title: "2001: A Space Odyssey".
    """
    text = clean(title, MAX_TITLE)
    if namespace != 0:
        _, colon, rest = text.partition(":")
        text = rest if colon else text
        if is_address(text.strip()):
            return ""
    if namespace in _FILE_NAMESPACES:
        text = _EXTENSION.sub("", text.rstrip())
    return _without_disambiguation(text)


def _without_disambiguation(text: str) -> str:
    stripped = text.rstrip()
    if not stripped.endswith(")"):
        return text
    depth = 0
    for position in range(len(stripped) - 1, -1, -1):
        depth += (stripped[position] == ")") - (stripped[position] == "(")
        if depth == 0:
            # A title that is nothing but brackets tells itself from nothing.
            return stripped[:position].rstrip() or text
    return text


def is_cjk(token: str) -> bool:
    """True for a run of Chinese or Japanese, which has no spaces between words."""
    return token[0] > "\u3000" and _CJK_START.match(token) is not None


def bigrams(run: str) -> list[str]:
    """Each two neighbours of a run; a character on its own stays."""
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]
