"""One change as JSON, exactly as recentchange 1.0.0 comes over the wire.

Which fields there are depends on the type; what would be null is absent. The order of the keys is the
upstream's. The numbers of revisions, log entries and recent changes grow with the index; the
lengths of one page's versions do not chain, because no event knows the one before.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from services.collector.simulator import chance, pages, remarks
from services.collector.simulator.chance import Chance
from services.collector.simulator.pages import Page
from services.collector.simulator.people import Editor
from services.collector.simulator.wikis import CATEGORIZE, LOG, Wiki
from services.shared.domain.change import EDIT, NEW

SCHEMA: Final = "/mediawiki/recentchange/1.0.0"
STREAM: Final = "mediawiki.recentchange"
TOPIC: Final = "eqiad.mediawiki.recentchange"
_FIRST_OFFSET: Final = 5_600_000_000
_NOT_STORED: Final = 0.05


class Deed(NamedTuple):
    """What happened, before it is written down. `number` is its index in the stream."""

    number: int
    wiki: Wiki
    type: str
    page: Page
    editor: Editor
    comment: str
    timestamp: int


def canary(seed: int, index: int, at_ms: int) -> bytes:
    """The upstream's own test event: nothing but its schema and its metadata."""
    meta = _meta(seed, index, index, at_ms) | {"domain": "canary"}
    del meta["request_id"]
    return msgspec.json.encode({"$schema": SCHEMA, "meta": meta})


def change(drawn: Chance, seed: int, deed: Deed, offset: int, at_ms: int) -> bytes:
    """The bytes of a change that the stream took in at this offset and time."""
    wiki, page, editor = deed.wiki, deed.page, deed.editor
    url = f"{wiki.server}/wiki/{pages.path(page.title)}"
    meta = _meta(seed, deed.number, offset, at_ms)
    meta["domain"], meta["uri"] = wiki.domain, url
    event: dict[str, Any] = {
        "$schema": SCHEMA,
        "meta": meta,
        "id": (wiki.number + 1) * 100_000_000 + deed.number,
        "type": deed.type,
        "namespace": page.namespace,
        "title": page.title,
        "title_url": url,
        "comment": deed.comment,
        "timestamp": deed.timestamp,
        "user": editor.name,
        "bot": editor.bot,
    }
    if editor.redacted:
        del event["user"]
    if more := _BY_TYPE.get(deed.type):
        more(drawn, deed, event)
    event["server_url"] = wiki.server
    event["server_name"] = wiki.domain
    event["server_script_path"] = "/w"
    event["wiki"] = wiki.name
    event["parsedcomment"] = remarks.parsed(deed.comment)
    return msgspec.json.encode(event)


def _meta(seed: int, index: int, offset: int, at_ms: int) -> dict[str, Any]:
    own, request = chance.uuids(seed, index)
    return {
        "request_id": request,
        "id": own,
        "dt": f"{_second(at_ms // 1000)}.{at_ms % 1000:03d}Z",
        "stream": STREAM,
        "topic": TOPIC,
        "partition": 0,
        "offset": _FIRST_OFFSET + offset,
    }


@lru_cache(maxsize=1024)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _edit(drawn: Chance, deed: Deed, event: dict[str, Any]) -> None:
    program, wiki = deed.editor.program, deed.wiki
    revision = (wiki.number + 1) * 10_000_000 + deed.number
    change = int(3 * (60 if program else 4_000) ** drawn.random())
    if deed.type == NEW:
        lengths = {"new": 200 + change}
        revisions, query = {"new": revision}, f"oldid={revision}"
    else:
        before = int(400 * 800 ** drawn.random())
        after = before + change if drawn.random() < 0.72 else max(0, before - change)
        lengths = {"old": before, "new": after}
        previous = revision - 1 - drawn.below(1_000)
        revisions, query = {"old": previous, "new": revision}, f"diff={revision}&oldid={previous}"
    address = f"{wiki.server}/w/index.php?{query}"
    event["notify_url"] = f"{address}&rcid={event['id']}" if wiki.patrols else address
    event["minor"] = deed.type == EDIT and drawn.random() < (0.6 if program else 0.25)
    if wiki.patrols:
        event["patrolled"] = program or drawn.random() < 0.7
    event["length"], event["revision"] = lengths, revisions


def _categorize(_drawn: Chance, deed: Deed, event: dict[str, Any]) -> None:
    revision = (deed.wiki.number + 1) * 10_000_000 + deed.number
    query = f"diff={revision}&oldid=0&rcid={event['id']}"
    event["notify_url"] = f"{deed.wiki.server}/w/index.php?{query}"


def _log(drawn: Chance, deed: Deed, event: dict[str, Any]) -> None:
    kind = drawn.choice(tuple(LOG_PARAMS))
    event["log_id"] = (deed.wiki.number + 1) * 1_000_000 + deed.number
    if drawn.random() < _NOT_STORED:
        event["log_id"] = 0
        del event["id"]
    event["log_type"], _, event["log_action"] = kind.partition("/")
    params = LOG_PARAMS[kind](drawn, deed)
    if params is not None:
        event["log_params"] = params
    event["log_action_comment"] = f"{event['log_action']} [[{deed.page.title}]]"


_BY_TYPE: Final = {EDIT: _edit, NEW: _edit, CATEGORIZE: _categorize, LOG: _log}

# Every shape that PHP arrays, old formats and other extensions have been seen to give.
LOG_PARAMS: Final[dict[str, Callable[[Chance, Deed], Any]]] = {
    "patrol/patrol": lambda drawn, deed: {
        "curid": deed.number if drawn.random() < 0.5 else str(deed.number),
        "previd": str(deed.number - 1),
        "auto": 0,
    },
    "move/move": lambda _drawn, deed: {"target": f"{deed.page.title} (2)", "noredir": "0"},
    "delete/delete": lambda _drawn, _deed: [],
    "thanks/thank": lambda _drawn, _deed: [],
    "upload/overwrite": lambda drawn, _deed: {"img_sha1": f"{drawn.below(1 << 32):031x}"},
    "block/block": lambda _drawn, _deed: {
        "duration": "31 hours",
        "flags": "nocreate",
        "sitewide": True,
    },
    "protect/protect": lambda _drawn, _deed: {
        "cascade": False,
        "details": [{"type": "edit", "level": "sysop", "expiry": "infinity", "cascade": False}],
    },
    "import/interwiki": lambda _drawn, _deed: ["2", "en:Main Page"],
    "gblblock/gwhois": lambda _drawn, _deed: "31 hours\nanononly",
    "renameuser/renameuser": lambda _drawn, _deed: None,
}
