import csv
import gzip
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench.text import naive
from services.shared.text import Word, language, tokens, vocabulary, words
from services.shared.text.languages import ELIDING, STEMMERS

# ruff: noqa: RUF001  # letters that look alike are what is tested
LANGUAGES = sorted({*STEMMERS, *ELIDING, "mul", "zh", "ja", "tr", "vi", "war", ""})
LETTERS = (
    "aeéilnoqstuüñçıßøİΣабвгийўѓאבة١صفقو'’ʼ·-()（:#_ \u200b\u202e\u0301\u0e31กรकि京のアー〇3²ﬁ"
)
HOSTILE = st.text(st.sampled_from(LETTERS)) | st.text(st.characters(exclude_categories=()))
UNTIMED = settings(deadline=None)  # the first word of all waits for NLTK


def forms(title: str, language: str, namespace: int = 0) -> list[str]:
    return [word.form for word in words(title, language, namespace)]


def stems(title: str, language: str) -> list[str]:
    return [word.stem for word in words(title, language)]


@pytest.mark.parametrize(
    ("title", "language", "shown"),
    [
        ("Segunda Guerra Mundial", "pt", ["Guerra", "Mundial"]),
        ("Estado Novo (Brasil)", "pt", ["Estado"]),
        ("Santa Joana d'Arc", "pt", ["Santa", "Joana", "Arc"]),
        ("Ponte Rio-Niterói", "pt", ["Ponte", "Rio", "Niterói"]),
        ("List of sovereign states", "en", ["List", "sovereign", "states"]),
        ("History of the world", "en", ["History", "world"]),
        ("Schrödinger’s cat", "en", ["Schrödinger's", "cat"]),
        ("J. R. R. Tolkien", "en", ["Tolkien"]),
        ("1906 San Francisco earthquake", "en", ["San", "Francisco", "earthquake"]),
        ("The 1990s in 3D", "en", []),
        ("H2O", "en", ["H2O"]),
        ("Union européenne et l'État", "fr", ["Union", "européenne", "État"]),
        ("Arte dell’antica Città", "it", ["Arte", "antica", "Città"]),
        ("Col·legi de Metges", "ca", ["Col·legi", "Metges"]),
        ("Вторая мировая война", "ru", ["Вторая", "мировая", "война"]),
        ("मैरी कॉम", "hi", ["मैरी", "कॉम"]),
        ("東京都", "ja", ["東京", "京都"]),
        ("東", "ja", ["東"]),
        ("iPhone手机", "zh", ["iPhone", "手机"]),
        ("대한민국 국회", "ko", ["대한민국", "국회"]),
    ],
)
def test_the_words_of_a_title_are_what_it_is_about(
    title: str, language: str, shown: list[str]
) -> None:
    assert forms(title, language) == shown


def test_inflected_forms_share_a_stem_and_keep_their_own_form() -> None:
    assert words("Universities", "en") == (Word("univers", "Universities"),)
    assert stems("Universidade", "pt") == stems("universidades", "pt")
    assert stems("Municípios", "pt") == stems("Município", "pt")


def test_a_word_appears_once_in_the_form_it_was_shown_first() -> None:
    assert forms("Nations and NATION and nation", "en") == ["Nations"]
    assert forms("京京京", "ja") == ["京京"]


def test_elision_is_cut_off_only_where_the_language_elides() -> None:
    assert forms("L'Oréal", "fr") == ["Oréal"]
    assert forms("L'Oréal", "oc") == ["Oréal"]
    assert forms("L'Oréal", "en") == ["L'Oréal"]
    assert forms("Gl'Italiani", "it") == ["Italiani"]
    assert forms("l'an aujourd'hui presqu'île", "fr") == ["an", "presqu'île"]


@pytest.mark.parametrize(
    ("title", "namespace", "shown"),
    [
        ("Talk:Oswald Tilghman", 1, ["Oswald", "Tilghman"]),
        ("Star Trek: Discovery", 0, ["Star", "Trek", "Discovery"]),
        ("Talk:Star Trek: Discovery", 1, ["Star", "Trek", "Discovery"]),
        ("Dune (novel)", 0, ["Dune"]),
        ("Dune（novel）", 0, ["Dune"]),
        ("Dune (film (remake))", 0, ["Dune"]),
        ("(Satisfaction)", 0, ["Satisfaction"]),
        ("Dune) (novel", 0, ["Dune", "novel"]),
        ("File:Golden Gate.JPG", 6, ["Golden", "Gate"]),
        ("Node.js", 0, ["Node", "js"]),
        ("User talk:192.0.2.7", 3, []),
        ("User talk:2001:DB8:0:0:0:0:CAFE:1", 3, []),
        ("Talk:", 1, []),
        ("", 0, []),
    ],
)
def test_prefix_extension_address_and_brackets_are_no_words(
    title: str, namespace: int, shown: list[str]
) -> None:
    assert forms(title, "en", namespace) == shown


def test_identifiers_are_no_words_where_many_languages_meet() -> None:
    assert forms("Q42", "mul") == []
    assert forms("File:DSC01234 Lisboa.jpg", "mul", 6) == ["Lisboa"]
    assert forms("Category:Churches of Lisboa", "mul", 14) == ["Churches", "Lisboa"]
    assert stems("Churches", "mul") == ["churches"]


def test_what_can_not_be_seen_changes_nothing() -> None:
    plain = words("Guerra Mundial", "pt")
    assert words("\u202eGuer\u200bra\x00\u00a0Mundi\u00adal\ud800", "pt") == plain
    assert words("Ｇｕｅｒｒａ\tMundial", "pt") == plain
    assert words("Pa\u0301tria", "pt") == words("Pátria", "pt")


def test_output_is_bounded_for_any_length() -> None:
    many = words(" ".join(f"word{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(500)), "en")
    assert len(many) == vocabulary.MAX_WORDS
    (long,) = words("x" * 100_000, "de")
    assert len(long.form) == len(long.stem) == tokens.MAX_TOKEN


@UNTIMED
@given(HOSTILE, st.sampled_from(LANGUAGES), st.integers(-2, 20))
def test_any_string_gives_bounded_clean_words(title: str, language: str, namespace: int) -> None:
    found = words(title, language, namespace)
    assert len(found) <= vocabulary.MAX_WORDS
    assert len({word.stem for word in found}) == len(found)
    for word in found:
        assert 0 < len(word.stem) <= tokens.MAX_TOKEN
        assert 0 < len(word.form) <= tokens.MAX_TOKEN
        assert word.form.isprintable()
        assert " " not in word.form
        assert not word.form[0].isdigit()
    assert words(title, language, namespace) == found


@UNTIMED
@given(HOSTILE, st.sampled_from(LANGUAGES))
@example("صفقو تلتهم صفقو", "ar")
@example("ые и", "ru")
@example("İİ ıı", "tr")
@example("A'0", "oc")
@example("\u0149", "")
def test_remembering_changes_no_answer(title: str, language: str) -> None:
    if language != "mul":  # identifiers are not the peer's business
        assert list(words(title, language)) == naive(title, language)


@UNTIMED
@given(st.text(st.characters(max_codepoint=0x2FF)))
@example("".join(map(chr, range(0x300))))
def test_the_quick_tokeniser_agrees_with_the_full_one(text: str) -> None:
    text = tokens.clean(text, 1000)
    assert tokens.split(text) == tokens._TOKEN.findall(text)


def test_what_is_remembered_is_bounded_and_forgetting_changes_no_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    titles = [f"Überlauf{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(300)]
    before = [words(title, "de") for title in titles]
    monkeypatch.setattr(vocabulary, "MAX_REMEMBERED", 50)
    words("Tropfen", "de")  # bounds are looked at when something new comes
    for _ in range(2):
        for title, expected in zip(titles, before, strict=True):
            assert words(title, "de") == expected
            assert sum(map(len, vocabulary._vocabularies.values())) <= 50


def test_unheard_of_languages_share_one_vocabulary() -> None:
    words("x", "")
    known = len(vocabulary._vocabularies)
    for number in range(100):
        assert forms("Überlauf des Rio", f"xx{number}") == ["Überlauf", "des", "Rio"]
    assert len(vocabulary._vocabularies) == known


def test_threads_see_the_same_words(monkeypatch: pytest.MonkeyPatch) -> None:
    titles = ["صفقو المكتبات", "مدرسة كبيرة", "كتابان", "والمدرسون", "استقلال"] * 40
    expected = [tuple(Word(*pair) for pair in naive(title, "ar")) for title in titles]
    monkeypatch.setattr(vocabulary, "MAX_REMEMBERED", 3)
    seen: list[list[tuple[Word, ...]]] = []
    threads = [
        threading.Thread(target=lambda: seen.append([words(t, "ar") for t in titles]))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [expected] * 4


def test_nothing_heavy_is_imported_before_the_first_word() -> None:
    code = """
import sys
from services.shared.text import search_terms
from services.shared.text.hashtags import hashtags
search_terms("São"), hashtags("#wiki")
print(sorted({"nltk", "stopwordsiso"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nearly_every_real_article_has_words(recordings: Path) -> None:
    for path in sorted(recordings.glob("titles-vital4-*.csv")):
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        found = [words(row["title"], row["lang"]) for row in rows]
        assert sum(map(bool, found)) >= 0.99 * len(rows), path.name
        for row, its in zip(rows[::7], found[::7], strict=True):
            assert list(its) == naive(row["title"], row["lang"])


def test_nearly_every_real_change_has_words(recordings: Path) -> None:
    total = empty = 0
    for path in sorted(recordings.glob("events-*.jsonl.gz")):
        for line in gzip.decompress(path.read_bytes()).splitlines():
            change = json.loads(line)
            title = change.get("title", "")
            namespace = change.get("namespace", 0)
            address = namespace in {2, 3} and title[-1:].isdigit()
            project = change["meta"]["domain"].removesuffix(".org")
            if not title or address or project == "www.wikidata":
                continue
            total += 1
            empty += not words(title, language(project), namespace)
    assert total > 20_000
    assert empty <= 0.01 * total
