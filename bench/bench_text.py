"""Words of titles: the product against plain NLTK, same output, on real titles.

The peer does what NLTK's documentation shows: tokenise, drop stop words, stem, for every token
anew. It is written apart from the product, so that it is also the reference of the unit tests.
"""

import csv
import statistics
import sys
import time
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

from nltk.stem.snowball import SnowballStemmer
from nltk.tokenize import RegexpTokenizer

from services.shared.text import words
from services.shared.text.languages import ELIDING, STEMMERS
from services.shared.text.stops import stop_words

ROUNDS = 5
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
    text = "".join(kept).translate({0x2018: "'", 0x2019: "'", 0x2BB: "'", 0x2BC: "'"})
    return unicodedata.normalize("NFKC", text)


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


def real_titles(recordings: Path) -> list[Title]:
    """Wikipedia's vital articles in English, Spanish and French."""
    return [
        (row["title"], row["lang"])
        for path in sorted(recordings.glob("titles-vital4-*.csv"))
        for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines())
    ]


def bench(recordings: Path) -> dict[str, float]:
    """CPU seconds of the peer over ours, same rounds: min, median, max. Our vocabulary has
    met the words before, as it has on a running stream.
    """
    titles = real_titles(recordings)
    for title, language in titles:
        if naive(title, language) != list(words(title, language)):
            raise AssertionError(f"not the same words: {title!r} ({language})")
    ratios = [_cpu(naive, titles) / _cpu(words, titles) for _ in range(ROUNDS)]
    ours = _cpu(words, titles) / len(titles)
    return {
        "titles": len(titles),
        "min": min(ratios),
        "median": statistics.median(ratios),
        "max": max(ratios),
        "us_per_title": ours * 1e6,
    }


def _cpu(work: Callable[[str, str], Sequence[object]], titles: Iterable[Title]) -> float:
    start = time.process_time()
    for title, language in titles:
        work(title, language)
    return time.process_time() - start


if __name__ == "__main__":
    for name, value in bench(Path(sys.argv[1])).items():
        print(f"{name:>12} {value:10.1f}")
