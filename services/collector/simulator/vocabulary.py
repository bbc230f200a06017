"""The words of the simulated wikis: two data files beside this one, read once.

Nothing here is read at import: the files are opened where the first event is made, which is in a
thread wherever an event loop runs.
"""

import tomllib
from functools import cache
from importlib import resources
from typing import Any, NamedTuple


class Language(NamedTuple):
    """How a wiki of one language writes; see languages.toml."""

    talk: str
    user: str
    user_talk: str
    file: str
    category: str
    added: str
    removed: str
    patterns: tuple[str, ...]
    names: tuple[str, ...]
    given: tuple[str, ...]
    family: tuple[str, ...]
    sections: tuple[str, ...]
    remarks: tuple[str, ...]


class Hostile(NamedTuple):
    titles: tuple[str, ...]
    comments: tuple[str, ...]
    users: tuple[str, ...]


@cache
def themes() -> tuple[str, ...]:
    """The names of the themes; a page's theme is an index into them."""
    return tuple(_file("themes.toml"))


@cache
def words(theme: str, language: str) -> tuple[str, ...]:
    """The words of a theme in a language: about 70 in English and Portuguese, 8 in others."""
    return _split(_file("themes.toml")[theme][language])


@cache
def languages() -> dict[str, Language]:
    tables = {code: table for code, table in _file("languages.toml").items() if code != "hostile"}
    return {
        code: Language(**{name: _value(name, value) for name, value in table.items()})
        for code, table in tables.items()
    }


@cache
def hostile() -> Hostile:
    lists = _file("languages.toml")["hostile"]
    return Hostile(**{name: tuple(texts) for name, texts in lists.items()})


@cache
def _file(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath(name).read_text("utf-8"))


def _value(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    return _split(value) if name in {"names", "given", "family"} else value


def _split(text: str) -> tuple[str, ...]:
    """Words between white space, or phrases between bars."""
    return tuple(text.split("|") if "|" in text else text.split())
