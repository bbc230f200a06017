"""Stop words: stopwordsiso's lists, without the words that carry a subject.

The lists were made for search engines and leave out *estado*, *world* or *война*, which is what
a page may well be about. `keep.txt` takes such words back; it was chosen by reading the lists of
pt, en, es, de, fr, it, nl and ru from end to end.
"""

from importlib.resources import files

from services.shared.text.languages import MULTILINGUAL
from services.shared.text.tokens import MAX_TITLE, clean


def has_stop_words(language: str) -> bool:
    """True for a language that has a list of its own."""
    import stopwordsiso

    return bool(stopwordsiso.has_lang(language))


def stop_words(language: str) -> frozenset[str]:
    """The stop words of a language in lower case; none for a language without a list."""
    import stopwordsiso

    listed = "en" if language == MULTILINGUAL else language
    words = stopwordsiso.stopwords(listed)
    return frozenset(clean(word, MAX_TITLE).lower() for word in words) - kept(listed)


def kept(language: str) -> frozenset[str]:
    """The listed words of a language that are no stop words here, as they carry a subject."""
    text = files(__package__).joinpath("keep.txt").read_text(encoding="utf-8")
    lines = (line.partition(":") for line in text.splitlines() if not line.startswith("#"))
    return frozenset(word for code, _, words in lines if code == language for word in words.split())
