"""Documents for tests of the speed view: a few events over two partitions, in all their variety."""

from collections.abc import Iterable

import msgspec
from hypothesis import strategies as st

from services.shared import decode
from services.shared.domain.change import TYPES, Canary, Change
from services.shared.domain.classes import EDITOR_CLASSES, PAGE_CLASSES
from services.shared.domain.identity import event_day
from services.shared.domain.positions import Vector
from services.shared.domain.views import Document, Word
from services.shared.log.port import Entry
from services.shared.speedview.port import Indexed
from services.shared.text import search_terms

PARTITIONS = 2
START: Vector = (0,) * PARTITIONS
END: Vector = (1 << 20,) * PARTITIONS
MORNING = 1_442_016_000  # 2015-09-12T00:00Z


def change(event: str = "a", **fields: object) -> Change:
    timestamp = int(str(fields.get("timestamp", MORNING)))
    given = {
        "timestamp": timestamp,
        "type": "edit",
        "project": "pt.wikipedia",
        "wiki": "ptwiki",
        "namespace": 0,
        "title": "Lisboa",
        "user": "Ana",
        "bot": False,
        "minor": False,
        "net_bytes": 7,
        "comment": "",
        "revision": 1,
        "editor_class": "user",
        "page_class": "content",
    } | fields
    return Change(id=f"{event_day(timestamp)}:{event}", day=event_day(timestamp), **given)  # type: ignore[arg-type]


def at(partition: int, offset: int, event: str = "", time: int = 0, **fields: object) -> Indexed:
    """An edit at a position; its event is named after the position unless it is a copy."""
    made = change(event or f"{partition}-{offset}", **fields)
    return Indexed(
        partition,
        offset,
        time or 1_000 + offset,
        Document(made),
        tuple(search_terms(f"{made.title}\n{made.comment}\n{made.user}")),
    )


_words = st.sampled_from([Word("lisbo", "Lisboa"), Word("lisbo", "lisboa"), Word("東京", "東京")])


@st.composite
def documents(draw: st.DrawFn, event: str) -> Document:
    kind = draw(st.sampled_from(TYPES))
    made = change(
        event,
        timestamp=MORNING + draw(st.integers(0, 3)) * 1800,
        type=kind,
        project=draw(st.sampled_from(["pt.wikipedia", "en.wikipedia"])),
        title=draw(st.sampled_from(["Lisboa", "東京", "Łódź", "a'b\"c"])),
        user=draw(st.sampled_from(["", "Ana", "Ana's bot"])),
        bot=draw(st.booleans()),
        minor=draw(st.booleans()),
        net_bytes=draw(st.integers(-(2**53), 2**53)),
        editor_class=draw(st.sampled_from(EDITOR_CLASSES)),
        page_class=draw(st.sampled_from(PAGE_CLASSES)),
    )
    if not made.is_edit:
        return Document(made)
    words = tuple(draw(st.lists(_words, max_size=3, unique=True)))
    tags = tuple(draw(st.lists(st.sampled_from(["wpwp", "1lib1ref"]), max_size=2, unique=True)))
    return Document(made, words, tags)


@st.composite
def logs(draw: st.DrawFn) -> list[Indexed]:
    """A log with copies: events by number, all copies of one in one partition, holes in between."""
    made: list[Indexed] = []
    offsets = [0] * PARTITIONS
    for number in draw(st.lists(st.integers(0, 5), max_size=12)):
        partition = number % PARTITIONS
        offsets[partition] += draw(st.integers(1, 3))
        offset = offsets[partition]
        # Day and id are a function of the payload, so copies share them; here the rest differs, to
        # tell which of them is there.
        document = draw(documents(str(number)))
        made.append(Indexed(partition, offset, 1_000 + len(made), document))
    return made


def winners(log: Iterable[Indexed], since: Vector = START, until: Vector = END) -> list[Indexed]:
    """Of each event the copy at the lowest position, where that is in the span."""
    first: dict[str, Indexed] = {}
    for found in sorted(log, key=lambda found: (found.partition, found.offset)):
        first.setdefault(found.document.change.id, found)
    return [
        found
        for found in first.values()
        if since[found.partition] <= found.offset < until[found.partition]
    ]


def entry(event: str, *, domain: str = "pt.wikipedia.org", **fields: object) -> Entry:
    """A raw edit as the log takes it; `domain="canary"` makes a canary of it."""
    payload = {
        "meta": {"id": event, "domain": domain, "dt": "2015-09-12T00:00:00Z"},
        "type": "edit",
        "namespace": 0,
        "title": "Lisboa",
        "comment": "",
        "timestamp": MORNING,
        "user": "Ana",
        "bot": False,
        "wiki": "ptwiki",
        "length": {"old": 1, "new": 8},
    } | fields
    raw = msgspec.json.encode(payload)
    parsed = decode.parse(raw)
    assert isinstance(parsed, Change | Canary)
    return Entry(parsed.id, raw)
