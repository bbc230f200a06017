"""A filter says of a change what the speed view says of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.serving.feed import events
from services.serving.feed.matching import matcher
from services.shared import documents
from services.shared.domain.change import TYPES
from services.shared.domain.classes import EDITOR_CLASSES
from services.shared.speedview.embedded import SqliteSpeedView
from services.shared.speedview.port import Indexed, Search
from services.shared.text import search_terms
from tests.unit.speed.made import END, MORNING, START, at, logs, winners

SEARCHES = st.builds(
    Search,
    terms=st.sampled_from(["", "lisboa", "łódź", "京", "東京", "ana", "ana bot", "a b c", "x"]).map(
        lambda text: tuple(search_terms(text))
    ),
    projects=st.sampled_from([(), ("pt.wikipedia",), ("en.wikipedia", "x")]),
    types=st.sets(st.sampled_from(TYPES)).map(tuple),
    editor_classes=st.sets(st.sampled_from(EDITOR_CLASSES)).map(tuple),
    namespaces=st.sampled_from([(), (0,), (1, 14)]),
    low=st.none() | st.integers(MORNING, MORNING + 4 * 1800),
    high=st.none() | st.integers(MORNING, MORNING + 4 * 1800),
)


@pytest.fixture
async def view(tmp_path: Path) -> AsyncIterator[SqliteSpeedView]:
    view = await SqliteSpeedView.open(tmp_path / "speed.db")
    yield view
    await view.close()


def passed(search: Search, found: list[Indexed]) -> list[Indexed]:
    matches = matcher(search)
    return [event.found for event in events.made("log", found, START) if matches(event)]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(log=logs(), search=SEARCHES)
async def test_what_passes_is_what_a_search_finds(
    view: SqliteSpeedView, log: list[Indexed], search: Search
) -> None:
    log = [one._replace(terms=documents.search_terms(one.document.change)) for one in log]
    await view.begin("log", START, None, text_version=1)
    await view.write(log, START, END, START)
    everything = await view.scan(Search(), START, END, limit=1000)
    assert len(everything) == len(winners(log))
    assert passed(search, everything) == await view.scan(search, START, END, limit=1000)


@pytest.mark.parametrize("text", ["Łódź fabryczna", "東京都", "O'Neill", "é" * 80, "~2024-1"])
async def test_words_are_found_in_title_comment_and_user_alike(
    view: SqliteSpeedView, text: str
) -> None:
    fields = ({"title": text}, {"comment": text}, {"user": text}, {"title": "Lisboa"})
    log = [at(0, offset, "", 0, **given) for offset, given in enumerate(fields)]
    await view.begin("log", START, None, text_version=1)
    await view.write(log, START, END, START)
    search = Search(terms=tuple(search_terms(text)))
    everything = await view.scan(Search(), START, END, limit=9)
    assert [one.offset for one in passed(search, everything)] == [0, 1, 2]
    assert passed(search, everything) == await view.scan(search, START, END, limit=9)
