"""The languages that the page speaks: one file of strings each, and which of them is asked for.

The page is written once per language when its files are read; the same strings go with it, for what
the scripts say.
"""

import html
import json
import re
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any, Final, TypeAlias

STRINGS: Final = "services.serving.page.strings"
DEFAULT: Final = "en"

Strings: TypeAlias = Mapping[str, Any]
"""A text by its key; where it depends on a number, a text by CLDR plural category (one, other)."""

_PLACE: Final = re.compile(r"\{\{([\w.-]+)\}\}")
_ALL: Final = "strings"


def read() -> dict[str, Strings]:
    """The strings of each language, by its BCP 47 tag."""
    files = (entry for entry in resources.files(STRINGS).iterdir() if entry.name.endswith(".json"))
    return {entry.name.removesuffix(".json"): json.loads(entry.read_bytes()) for entry in files}


def written(template: str, language: str, strings: Strings) -> str:
    """The page in a language. `{{key}}` is a text, `{{language}}` its tag, `{{strings}}` all of them.

    Raises KeyError for a key that is not there.
    """
    # Data in a script element ends at the first "</script": no "<" may stand in it.
    everything = json.dumps(strings, ensure_ascii=False).replace("<", "\\u003c")

    def text(found: re.Match[str]) -> str:
        key = found[1]
        if key == _ALL:
            return everything
        return html.escape(language if key == "language" else strings[key])

    return _PLACE.sub(text, template)


def chosen(languages: Iterable[str], asked: str | None, accepted: str | None) -> str:
    """The language for a request: asked for by name, else the first that `Accept-Language` (RFC 9110
    §12.5.4) takes, else English. A reader of any Portuguese gets the one that there is.
    """
    offered = {tag.lower(): tag for tag in languages}
    if asked and asked.lower() in offered:
        return offered[asked.lower()]
    by_base = {tag.partition("-")[0]: name for tag, name in offered.items()}
    for tag in _preferred(accepted or ""):
        found = offered.get(tag) or by_base.get(tag.partition("-")[0])
        if found:
            return found
    return DEFAULT


def _preferred(accepted: str) -> list[str]:
    """The tags of the header in lower case, best first; what is refused or can't be read is left out."""
    weighed = []
    for part in accepted.lower().split(",")[:32]:
        tag, _, parameter = part.partition(";")
        weight = _weight(parameter.strip())
        if tag.strip() and weight > 0:
            weighed.append((-weight, tag.strip()))
    return [tag for _, tag in sorted(weighed, key=lambda one: one[0])]


def _weight(parameter: str) -> float:
    if not parameter:
        return 1.0
    found = re.fullmatch(r"q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", parameter)
    return float(found[1]) if found else 0.0
