"""The fields of a document in Elasticsearch, and the way of a document into them and back.

Strict and slim: what is asked for has an index or doc values or both, the rest of a change is only kept. What
stands beside a range of places in every question needs no index of its own: its doc values are looked at
where the range has left something.

Sums are exact though the server adds in floating point, which is exact up to 2^53: numbers of bytes are kept
in two parts of 26 bits and more, each of which can be added up 2^26 times before that.

A word is one keyword, `stem NUL form`, and the second of two equal ones `stem NUL form NUL 2`: a field holds a
value once, and a bucket per value then is a bucket per word, counted as often as it stands there.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from services.shared.domain.change import Change
from services.shared.domain.classes import is_bot_name
from services.shared.domain.views import Document, Word
from services.shared.speedview import places
from services.shared.speedview.port import Indexed

_PART_BITS: Final = 26
_PART_MASK: Final = (1 << _PART_BITS) - 1
_TOP_VERSION: Final = 1 << 62
SEPARATOR: Final = "\0"
"""Is in no text of a change (see `decode`)."""

_INDEXED: Final = {
    "place": "long", "appended_at": "long", "timestamp": "long", "namespace": "long",
    "project": "keyword", "type": "keyword", "title": "keyword", "user": "keyword",
    "words": "keyword", "hashtags": "keyword",
}  # fmt: skip
_LOOKED_AT: Final = {
    "day": "integer", "hour": "integer", "minute": "integer", "bot": "byte", "bot_name": "byte",
    "minor": "byte", "editor_class": "keyword", "page_class": "keyword",
    "net_low": "integer", "net_high": "integer", "abs_low": "integer", "abs_high": "integer",
}  # fmt: skip
_KEPT: Final = {"wiki": "keyword", "comment": "keyword", "revision": "long"}

MAPPING: Final[Mapping[str, Any]] = {
    "dynamic": "strict",
    "properties": {
        **{name: {"type": kind} for name, kind in _INDEXED.items()},
        **{name: {"type": kind, "index": False} for name, kind in _LOOKED_AT.items()},
        **{
            name: {"type": kind, "index": False, "doc_values": False}
            for name, kind in _KEPT.items()
        },
        "terms": {"type": "keyword", "doc_values": False},
    },
}
SETTINGS: Final[Mapping[str, Any]] = {
    # One consistent reader per question. Many times what a wiki farm's dedupe window holds fits in.
    "number_of_shards": 1,
    "auto_expand_replicas": "0-1",
    # Nothing becomes visible but by the refresh that the visible position waits for.
    "refresh_interval": "-1",
    # What is forgotten may come back at a later position, which is a lower version.
    "gc_deletes": "0s",
}
WHOLE: Final = "day"
"""A field of every document that has not been reduced to its position."""


class Fields(msgspec.Struct, gc=False):
    place: int
    appended_at: int
    day: int
    hour: int
    minute: int
    timestamp: int
    project: str
    wiki: str
    type: str
    namespace: int
    title: str
    user: str
    bot: int
    bot_name: int
    minor: int
    net_low: int
    net_high: int
    abs_low: int
    abs_high: int
    comment: str
    revision: int
    editor_class: str
    page_class: str
    words: tuple[str, ...] = ()
    hashtags: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()


class Reduced(msgspec.Struct, gc=False):
    place: int
    appended_at: int


class _Target(msgspec.Struct, rename={"id": "_id"}, gc=False):
    id: str
    version: int
    version_type: str


class Index(msgspec.Struct, gc=False):
    index: _Target


class Delete(msgspec.Struct, gc=False):
    delete: _Target


_encode = msgspec.json.Encoder().encode


def written(found: Indexed) -> bytes:
    """The lines that index a document unless an earlier copy, or the same, is there."""
    change = found.document.change
    return _lines(Index(_Target(change.id, _version(found.offset), "external")), _fields(found))


def reduced(event: str, place: int, appended_at: int) -> bytes:
    """The lines that leave of a document what a later copy must lose against."""
    target = _Target(event, _version(places.position(place).offset), "external_gte")
    return _lines(Index(target), Reduced(place, appended_at))


def forgotten(event: str, place: int) -> bytes:
    """The line that removes an id, unless an earlier copy has come meanwhile."""
    target = _Target(event, _version(places.position(place).offset), "external_gte")
    return _lines(Delete(target))


def _version(offset: int) -> int:
    """Grows as the position falls, and all copies of an event are in one partition."""
    return _TOP_VERSION - offset


def _lines(*objects: msgspec.Struct) -> bytes:
    return b"".join(_encode(each) + b"\n" for each in objects)


def _fields(found: Indexed) -> Fields:
    change, document = found.document.change, found.document
    net_high, net_low = parts(change.net_bytes)
    abs_high, abs_low = parts(abs(change.net_bytes))
    return Fields(
        places.place(found.partition, found.offset), found.appended_at, change.day,
        change.timestamp // 3600, change.timestamp // 60, change.timestamp, change.project,
        change.wiki, change.type, change.namespace, change.title, change.user, int(change.bot),
        int(is_bot_name(change.user)), int(change.minor), net_low, net_high, abs_low, abs_high,
        change.comment, change.revision, change.editor_class, change.page_class,
        tuple(_apart(SEPARATOR.join(word) for word in document.words)),
        tuple(_apart(document.hashtags)), found.terms,
    )  # fmt: skip


def indexed(event: str, source: Mapping[str, Any]) -> Indexed:
    """A document as it was given in. Terms are for finding alone and don't come back."""
    fields = msgspec.convert(source, Fields)
    change = Change(
        event, fields.day, fields.timestamp, fields.type, fields.project, fields.wiki,
        fields.namespace, fields.title, fields.user, bool(fields.bot), bool(fields.minor),
        whole(fields.net_high, fields.net_low), fields.comment, fields.revision,
        fields.editor_class, fields.page_class,
    )  # fmt: skip
    words = tuple(Word(*told(word, 2)) for word in fields.words)
    hashtags = tuple(told(hashtag, 1)[0] for hashtag in fields.hashtags)
    at = places.position(fields.place)
    return Indexed(*at, fields.appended_at, Document(change, words, hashtags))


def parts(number: int) -> tuple[int, int]:
    """The high part, which has the sign, and the low one."""
    return number >> _PART_BITS, number & _PART_MASK


def whole(high: int, low: int) -> int:
    """What has these parts, or the sum of what has parts that add up to these."""
    return (high << _PART_BITS) + low


def told(keyword: str, width: int) -> list[str]:
    """The parts of a combined keyword without the number that tells it from its equals."""
    return keyword.split(SEPARATOR)[:width]


def _apart(keywords: Iterable[str]) -> Iterable[str]:
    seen = Counter[str]()
    for keyword in keywords:
        seen[keyword] += 1
        yield keyword if seen[keyword] == 1 else f"{keyword}{SEPARATOR}{seen[keyword]}"
