import pytest
import stopwordsiso

from services.shared.text import language
from services.shared.text.stops import has_stop_words, kept, stop_words


@pytest.mark.parametrize(
    ("project", "code"),
    [
        ("pt.wikipedia", "pt"),
        ("pt.wikipedia.org", "pt"),
        ("fr.wiktionary", "fr"),
        ("simple.wikipedia", "en"),
        ("nn.wikipedia", "no"),
        ("zh-yue.wikipedia", "zh"),
        ("war.wikipedia", "war"),
        ("commons.wikimedia", "mul"),
        ("br.wikimedia", "mul"),
        ("www.wikidata", "mul"),
        ("wikidata", "mul"),
        ("www.wikisource", "mul"),
        ("www.mediawiki.org", "mul"),
        ("canary", "mul"),
        ("", "mul"),
    ],
)
def test_language_of_a_project(project: str, code: str) -> None:
    assert language(project) == code


@pytest.mark.parametrize("code", ["pt", "en", "es", "de", "fr", "it", "nl", "ru"])
def test_kept_words_are_listed_and_no_stop_words(code: str) -> None:
    assert kept(code)
    assert kept(code) <= stopwordsiso.stopwords(code)
    assert not kept(code) & stop_words(code)
    assert stop_words(code) | kept(code) >= {w for w in stopwordsiso.stopwords(code) if w.isalpha()}


def test_words_that_carry_a_subject_stay() -> None:
    assert not {"estado", "sistema", "poder"} & stop_words("pt")
    assert not {"world", "state", "states", "computer"} & stop_words("en")
    assert not {"война", "мир"} & stop_words("ru")
    assert {"the", "of", "don't"} <= stop_words("en")


def test_many_languages_stop_at_english_words() -> None:
    assert stop_words("mul") == stop_words("en")


def test_a_language_without_a_list_has_no_stop_words() -> None:
    assert not has_stop_words("war")
    assert stop_words("war") == frozenset()
