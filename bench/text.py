"""Words of titles: the product against plain NLTK, same output, on real titles.

The peer does what NLTK's documentation shows: tokenise, drop stop words, stem, for every token
anew. It is written apart from the product, so that it is also the reference of the unit tests.
"""

import csv
import json
import unicodedata
from collections.abc import Callable
from functools import cache, partial
from itertools import pairwise

from nltk.stem.snowball import SnowballStemmer
from nltk.tokenize import RegexpTokenizer

from bench import events
from bench.figures import Figure, against
from services.shared.text import words
from services.shared.text.languages import ELIDING, STEMMERS
from services.shared.text.stops import stop_words

_CJK = r"\p{Han}\p{Hiragana}\p{Katakana}\u30fc\u3007"
_OTHER = rf"(?:(?![{_CJK}])[\p{{L}}\p{{M}}\p{{N}}])"
_TOKENIZER = RegexpTokenizer(
    rf"(?:(?=[\p{{L}}\u3007])[{_CJK}])+"
    rf"|(?=[\p{{L}}\p{{N}}]){_OTHER}+(?:['·׳״](?=[\p{{L}}\p{{N}}]){_OTHER}+)*"  # noqa: RUF001
)

Title = tuple[str, str]
"""A title and its language."""


def naive(title: str, language: str) -> list[tuple[str, str]]:
    """Stem and form of each word of a title in the main namespace, with nothing remembered."""
    stops = _stops(language)
    found: dict[str, str] = {}
    for token in _TOKENIZER.tokenize(_without_brackets(_seen(title))):
        if unicodedata.name(token[0], "").startswith(
            ("CJK", "HIRAGANA", "KATAKANA", "IDEOGRAPHIC")
        ):
            pairs = [a + b for a, b in pairwise(token)] or [token]
            found |= {pair: pair for pair in pairs if pair not in stops and pair not in found}
            continue
        form = token[:64]
        head, _, rest = form.partition("'")
        short = len(head) <= 2 or head.lower() in stops
        if language in ELIDING and rest and short and form.lower() not in stops:
            form = rest
        initial = len(form) == 1 and form.lower() != form.upper()
        if form[0].isalpha() and not initial and form.lower() not in stops:
            found.setdefault(_stem(form.lower(), language)[:64], form)
    return list(found.items())[:32]


def _seen(title: str) -> str:
    kept = [
        " "
        if unicodedata.category(c).startswith("Z") or c in "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85"
        else c
        for c in title[:512]
        if unicodedata.category(c)[0] != "C" or c in "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85"
    ]
    text = unicodedata.normalize("NFKC", "".join(kept))
    return text.translate({0x2018: "'", 0x2019: "'", 0x2BB: "'", 0x2BC: "'"})


def _without_brackets(text: str) -> str:
    text = text.rstrip()
    for start in range(len(text) - 1, -1, -1):
        inside = text[start:]
        if inside.endswith(")") and inside.count("(") == inside.count(")"):
            return text[:start].rstrip() or text
    return text


def _stem(word: str, language: str) -> str:
    if language not in STEMMERS:
        return word
    stemmer = SnowballStemmer("arabic") if language == "ar" else _stemmer(language)
    return stemmer.stem(word) or word


@cache
def _stemmer(language: str) -> SnowballStemmer:
    return SnowballStemmer(STEMMERS[language])


@cache
def _stops(language: str) -> frozenset[str]:
    return stop_words(language)


def figures() -> list[Figure]:
    """Our vocabulary has met the words before, as it has on a running stream.

    Raises:
        AssertionError: the two outputs differ.
    """
    titles = real_titles()
    for title, language in titles:
        if naive(title, language) != list(words(title, language)):
            raise AssertionError(f"not the same words: {title!r} ({language})")
    ours, theirs = partial(_each, words, titles), partial(_each, naive, titles)
    return [
        against("words, a title", ours, "naive NLTK, same words", theirs, len(titles),
                expected="16-22"),
    ]  # fmt: skip


def real_titles() -> list[Title]:
    """Wikipedia's vital articles in English, Spanish and French; without them, simulated titles."""
    folder = events.folder()
    if folder is None:
        payloads = map(json.loads, events.simulated(20_000))
        return [(payload["title"], "en") for payload in payloads if "title" in payload]
    return [
        (row["title"], row["lang"])
        for path in sorted(folder.glob("titles-vital4-*.csv"))
        for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines())
    ]


def _each(work: Callable[[str, str], object], titles: list[Title]) -> None:
    for title, language in titles:
        work(title, language)
