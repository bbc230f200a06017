"""Hashtags of an edit summary, as Wikimedia's hashtag tool sees them.

A hashtag is `#`, full-width or not, at the start of the summary or after white space, followed by
letters, digits and underscores: `#1lib1ref`, `#編集大会`. None of these is one:

- the target of a link, `[[Page#Section]]`, and the section comment that MediaWiki writes in front,
  `/* History */`;
- redirects (`#REDIRECT`, and the same in other languages) and parser functions (`#if`);
- numbers (`#3`), single characters, colours with a digit in them (`#00ff7f`), and the numbers of
  temporary batches (`#temporary_batch_1746257662150`).

Beyond the tool: combining marks belong to the word (Hindi tags stay whole).
"""

from typing import Final

import regex  # type: ignore[import-untyped]  # see tokens

from services.shared.text.tokens import MAX_TOKEN, clean

MAX_COMMENT: Final = 2048
MAX_HASHTAGS: Final = 32

_SECTION = regex.compile(r"/\*.*?\*/")
_LINK_TARGET = regex.compile(r"\[\[[^\[\]|]*+")
_HASHTAG = regex.compile(r"(?<!\S)#([\p{L}\p{M}\p{N}_]++)")
_COLOUR = regex.compile(r"(?=.*\d)(?:[0-9a-f]{3}|[0-9a-f]{6}|[0-9a-f]{8})")
_NUMBER = regex.compile(r"[\p{N}_]+")
# Each batch of Wikidata's QuickStatements brings a new one, and none ever comes again.
_BATCH = regex.compile(r"temporary_batch_\d+")

_REDIRECTS: Final = frozenset({
    "redirect", "redirection", "redirección", "redireccion", "redirecció", "redirecionamento",
    "weiterleitung", "doorverwijzing", "rinvia", "omdirigering", "omdiriger", "ohjaus",
    "uudelleenohjaus", "patrz", "přesměruj", "átirányítás", "yönlendirme", "yönlendir", "alih",
    "đổi", "перенаправление", "перенапр", "перенаправлення", "ανακατευθυνση", "تحويل", "تغییر_مسیر",
    "הפניה", "重定向", "転送", "リダイレクト", "넘겨주기",
})  # fmt: skip
_PARSER_FUNCTIONS: Final = frozenset({
    "default", "expr", "if", "ifeq", "iferror", "ifexist", "ifexpr", "invoke", "mw", "rs", "switch",
})  # fmt: skip


def hashtags(comment: str) -> list[str]:
    """The distinct hashtags of a comment in lower case, without the `#`, in order."""
    if "#" not in comment and "\uff03" not in comment:
        return []
    text = _SECTION.sub(" ", clean(comment, MAX_COMMENT))
    text = _LINK_TARGET.sub("[[", text)
    found = (tag.lower()[:MAX_TOKEN] for tag in _HASHTAG.findall(text))
    return list(dict.fromkeys(tag for tag in found if _is_hashtag(tag)))[:MAX_HASHTAGS]


def _is_hashtag(tag: str) -> bool:
    if len(tag) == 1 or tag in _REDIRECTS or tag in _PARSER_FUNCTIONS:
        return False
    return not any(kind.fullmatch(tag) for kind in (_NUMBER, _COLOUR, _BATCH))
