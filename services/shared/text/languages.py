"""Project -> language, and which languages have a stemmer.

Wikipedia and its sister projects carry the language in front (`pt.wikipedia`, `pt.wiktionary`).
Everything else (Commons, Wikidata, Meta, MediaWiki, the chapters' wikis: `br.wikimedia` is Brazil's
chapter and not Breton) is written in many languages at once: `mul`, as ISO 639 has it. Words of
`mul` are not stemmed and lose English stop words; tokens with a digit are identifiers there
(Q42 on Wikidata, DSC01234 on Commons) and no words at all.
"""

from typing import Final

MULTILINGUAL: Final = "mul"

_FAMILIES: Final = frozenset({
    "wikipedia",
    "wiktionary",
    "wikibooks",
    "wikinews",
    "wikiquote",
    "wikisource",
    "wikiversity",
    "wikivoyage",
})  # fmt: skip

# Subdomains that are not (or not any more) the code of the language which they are written in.
_ALIASES: Final = {
    "www": MULTILINGUAL,
    "test": "en",
    "test2": "en",
    "simple": "en",
    "nb": "no",
    "nn": "no",
    "be-tarask": "be",
    "be-x-old": "be",
    "zh-classical": "zh",
    "zh-yue": "zh",
}

STEMMERS: Final = {
    "ar": "arabic",
    "da": "danish",
    "de": "german",
    "en": "english",
    "es": "spanish",
    "fi": "finnish",
    "fr": "french",
    "hu": "hungarian",
    "it": "italian",
    "nl": "dutch",
    "no": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sv": "swedish",
}
"""Language -> the name of its Snowball stemmer in NLTK."""

ELIDING: Final = frozenset({"ca", "fr", "it", "oc", "pt"})
"""Languages where an article or preposition melts into the next word: l'Europe, dell'arte."""


def language(project: str) -> str:
    """The language code of a project, or `mul`."""
    code, _, family = project.lower().removesuffix(".org").rpartition(".")
    if not code or family not in _FAMILIES:
        return MULTILINGUAL
    return _ALIASES.get(code, code)
