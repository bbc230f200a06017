"""Which language the page is written in, and that no string is missing, unused or without its places."""

from __future__ import annotations

import json
import re
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.serving import files, languages

OFFERED = ("en", "pt-BR")
PLACE = re.compile(r"\{(\w+)\}")


@pytest.mark.parametrize(
    ("asked", "accepted", "expected"),
    [
        (None, None, "en"),
        (None, "pt-BR,pt;q=0.9,en;q=0.8", "pt-BR"),
        (None, "pt-PT", "pt-BR"),
        (None, "PT", "pt-BR"),
        (None, "de, pt;q=0.5, en;q=0.7", "en"),
        (None, "en;q=0.5, pt;q=0.7", "pt-BR"),
        (None, "pt;q=0, *", "en"),
        (None, "pt;q=much", "en"),
        (None, "de-DE", "en"),
        ("pt-BR", "en", "pt-BR"),
        ("EN", "pt-BR", "en"),
        ("tlh", "pt-BR", "pt-BR"),
    ],
)
def test_the_reader_gets_their_language(
    asked: str | None, accepted: str | None, expected: str
) -> None:
    assert languages.chosen(OFFERED, asked, accepted) == expected


@given(st.text(max_size=300), st.text(max_size=300))
def test_whatever_is_sent_there_is_a_language(asked: str, accepted: str) -> None:
    assert languages.chosen(OFFERED, asked, accepted) in OFFERED


def test_every_language_says_the_same_things() -> None:
    by_language = languages.read()
    english = by_language.pop("en")
    assert set(by_language) == {"pt-BR"}
    for strings in by_language.values():
        assert set(strings) == set(english)
        for key, text in english.items():
            for form, said in _forms(strings[key]).items():
                assert set(PLACE.findall(said)) == _places(text), f"{key} {form}"
            assert isinstance(strings[key], dict) == isinstance(text, dict), key


def _forms(text: str | dict[str, str]) -> dict[str, str]:
    return text if isinstance(text, dict) else {"other": text}


def _places(text: str | dict[str, str]) -> set[str]:
    return set(PLACE.findall(_forms(text)["other"]))


def test_every_string_is_said_and_every_said_string_is_there() -> None:
    page = resources.files(files.PAGE)
    scripts = [entry.read_text("utf-8") for entry in page.iterdir() if entry.name.endswith(".js")]
    written = "\n".join(scripts)
    literal = set(re.findall(r'"([a-z]+(?:\.[a-z-]+)+)"', written))
    built = set(re.findall(r"`([a-z]+(?:\.[a-z-]+)*[.-])\$\{", written))
    placed = set(re.findall(r"\{\{([\w.-]+)\}\}", page.joinpath(files.INDEX).read_text("utf-8")))
    strings = languages.read()["en"]
    families = {key.partition(".")[0] for key in strings}

    assert placed - {"language", "preloads", "strings"} <= set(strings)
    assert {key for key in literal if key.partition(".")[0] in families} <= set(strings)
    said = placed | literal
    unsaid = {
        key
        for key in strings
        if key not in said and "." in key and not key.startswith(tuple(built))
    }
    assert not unsaid, "nothing says these; `${id}.title` and the like need their own literal"


def test_strings_go_into_the_page_as_text() -> None:
    hostile = {"title": '</script><b a="1">', "other": "{{title}}"}
    written = languages.written('<p a="{{title}}">{{other}}</p><s>{{strings}}</s>', "en", hostile)
    assert written.startswith('<p a="&lt;/script&gt;&lt;b a=&quot;1&quot;&gt;">{{title}}</p>')
    embedded = written.partition("<s>")[2].removesuffix("</s>")
    assert "<" not in embedded
    assert json.loads(embedded) == hostile


def test_a_place_without_a_string_is_an_error() -> None:
    with pytest.raises(KeyError, match="nobody"):
        languages.written("{{nobody.knows}}", "en", {})
