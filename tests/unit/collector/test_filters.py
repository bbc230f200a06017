"""Filters leave out exactly what they do not name."""

import pytest

from services.collector.filters import NAMESPACE, PROJECT, TYPE, Filters
from services.shared.domain.change import Change
from tests.unit.collector.events import parsed

CHANGE: Change = parsed(1)


@pytest.mark.parametrize(
    ("globs", "kept"),
    [
        ((), True),
        (("pt.*",), True),
        (("en.*", "*.wikipedia"), True),
        (("PT.Wikipedia.org",), True),
        (("www.pt.wikipedia.org",), True),
        (("pt",), False),
        (("*.wiktionary", "wikidata"), False),
        (("t.wikipedia",), False),
    ],
)
def test_projects_by_glob(globs: tuple[str, ...], kept: bool) -> None:
    assert Filters(globs).leaving_out(CHANGE) == (None if kept else PROJECT)


def test_types_and_namespaces() -> None:
    assert Filters(types=("edit", "log")).leaving_out(CHANGE) is None
    assert Filters(types=("log",)).leaving_out(CHANGE) == TYPE
    assert Filters(namespaces=(0, 4)).leaving_out(CHANGE) is None
    assert Filters(namespaces=(4,)).leaving_out(CHANGE) == NAMESPACE
    talk = CHANGE._replace(namespace=-1)
    assert Filters(namespaces=(-1,)).leaving_out(talk) is None


def test_the_first_filter_is_the_one_that_counts() -> None:
    assert Filters(("x",), ("log",), (4,)).leaving_out(CHANGE) == PROJECT
    assert Filters(types=("log",), namespaces=(4,)).leaving_out(CHANGE) == TYPE
