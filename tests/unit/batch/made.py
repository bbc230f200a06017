"""Made-up documents over few projects, pages and days, so that keys meet often."""

from hypothesis import strategies as st

from services.shared.domain.change import TYPES, Change
from services.shared.domain.classes import editor_class, page_class
from services.shared.domain.identity import day_start, event_day
from services.shared.domain.views import (
    DISTINCT,
    VIEWS,
    Document,
    Registers,
    Rows,
    Word,
    registers_of,
    rows_of,
)

DAYS = (20240228, 20240229, 20240301)
PROJECTS = ("pt.wikipedia", "en.wikipedia", "wikidata")
_TEXTS = ("Porto", "porto", "\u00c9vora", 'O\'Neill "x"', "\U0001f600", "\uffe9", "a\tb", "%_")
_USERS = ("Ana", "CleanupBot", "10.0.0.1", "~2026-1-1", "")
_WORDS = st.sampled_from(
    [Word(s, f) for s in ("gat", "c\u00e3o") for f in ("Gato", "gatos", "C\u00c3O")]
)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    kind = draw(st.sampled_from(TYPES))
    timestamp = day_start(draw(st.sampled_from(DAYS))) + draw(
        st.sampled_from((0, 59, 3600, 86_399))
    )
    edit = kind in {"edit", "new"}
    user, bot = draw(st.sampled_from(_USERS)), draw(st.booleans())
    namespace = draw(st.sampled_from((-1, 0, 1)))
    change = Change(
        id=f"{event_day(timestamp)}:x",
        day=event_day(timestamp) or 0,
        timestamp=timestamp,
        type=kind,
        project=draw(st.sampled_from(PROJECTS)),
        wiki="x",
        namespace=namespace,
        title=draw(st.sampled_from(_TEXTS)),
        user=user,
        bot=bot,
        minor=draw(st.booleans()),
        net_bytes=draw(st.integers(-(2**53), 2**53)) if edit else 0,
        comment="",
        revision=0,
        editor_class=editor_class(user, bot=bot),
        page_class=page_class(namespace),
    )
    if not edit:
        return Document(change)
    words = draw(st.lists(_WORDS, max_size=3, unique_by=lambda word: word.stem))
    hashtags = draw(st.lists(st.sampled_from(("#wpwp", "#1lib1ref")), max_size=2, unique=True))
    return Document(change, tuple(words), tuple(hashtags))


def all_rows(of: list[Document]) -> dict[str, Rows]:
    return {view.name: rows_of(view, of) for view in VIEWS}


def all_registers(of: list[Document]) -> Registers:
    joined: Registers = {}
    for view in VIEWS:
        if view.name in DISTINCT:
            joined |= registers_of(view, rows_of(view, of))
    return joined
