"""Raw bytes of a recentchange event -> what it is. Decides, alone and once, whether it counts.

The collector calls `parse` before the log: what it rejects becomes a dead letter, what it accepts
can't be refused later. The speed and batch layers call the same function on the same bytes, so all
see the same change. It is pure and never raises, whatever the bytes.

Tolerance follows the upstream: nulls are absent, `type` may be a number, `log_params` may be of any
shape, unknown fields are ignored here (the raw bytes keep them). Text is cut to a bounded length.
Numbers are bounded too, so that no sum over them can overflow. Only the fields that a change
needs are decoded; a wrong type elsewhere never matters.

Nesting is bounded by a number of our own: the decoder recurses, and where it would give up depends
on the depth of the caller's stack, which must not decide whether an event counts.
"""

import re
from functools import lru_cache
from itertools import accumulate
from typing import Annotated, Any, Final

import msgspec

from services.shared.domain.change import (
    EDIT,
    EDIT_TYPES,
    NEW,
    OTHER,
    TYPES,
    Canary,
    Change,
    Rejected,
)
from services.shared.domain.classes import editor_class, page_class
from services.shared.domain.identity import event_day, event_id

TOO_LARGE: Final = "too_large"
NOT_UTF8: Final = "not_utf8"
TOO_DEEP: Final = "too_deep"
NOT_JSON: Final = "not_json"
NOT_OBJECT: Final = "not_object"
INVALID_FIELD: Final = "invalid_field"
NO_TIMESTAMP: Final = "no_timestamp"
DAY_OUT_OF_RANGE: Final = "day_out_of_range"
NO_TYPE: Final = "no_type"
NO_PROJECT: Final = "no_project"
NO_TITLE: Final = "no_title"

REASONS: Final = {
    TOO_LARGE: "larger than the setting `largest_event` (1 MiB by default), or than 8 MiB",
    NOT_UTF8: "the bytes are not UTF-8",
    TOO_DEEP: "objects and arrays nested more than 100 deep",
    NOT_JSON: "not one JSON value",
    NOT_OBJECT: "JSON, but not an object",
    INVALID_FIELD: "a field that a change needs has another type, or a number out of range",
    NO_TIMESTAMP: "no `timestamp`",
    DAY_OUT_OF_RANGE: "`timestamp` is outside the years 2001-2099",
    NO_TYPE: "no `type`",
    NO_PROJECT: "neither `meta.domain` nor `server_name` names a project",
    NO_TITLE: "an edit or a new page without `title`",
}
"""Every reason there is, with what it means."""

LARGEST_EVENT: Final = 8 << 20
"""Bytes. What a source takes is a setting that stays below this: what the log once took counts."""
DEEPEST: Final = 100
CANARY_DOMAIN: Final = "canary"
ABSENT_NAMESPACE: Final = -1

_LONGEST_TITLE: Final = 512
_LONGEST_USER: Final = 255
_LONGEST_COMMENT: Final = 1024
_LONGEST_WIKI: Final = 64
_TYPES: Final = frozenset(TYPES)
_TYPE_NUMBERS: Final = {0: EDIT, 1: NEW, 3: "log", 5: "external", 6: "categorize"}

_EXACT: Final = 1 << 53  # the largest integer that every reader of JSON keeps exactly
_LENGTH: Final = 1 << 40  # beyond any page; 2^22 of them still add up within 64 bits
_PROJECT = re.compile(r"[a-z0-9_.-]{1,128}")

# Any escape, and in group 1 a half of a surrogate pair without the other half.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)  # to the end where it is not closed
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}

_Exact = Annotated[int, msgspec.Meta(ge=-_EXACT, le=_EXACT)]
_Length = Annotated[int, msgspec.Meta(ge=-_LENGTH, le=_LENGTH)]
# What an object without fields is in the upstream's language.
_Empty = Annotated[list[Any], msgspec.Meta(max_length=0)]


class _Meta(msgspec.Struct, gc=False):
    id: Any = None  # whatever it is: what can't be an id is replaced by a hash
    domain: str | None = None


class _Lengths(msgspec.Struct, gc=False):
    old: _Length | None = None
    new: _Length | None = None


class _Revisions(msgspec.Struct, gc=False):
    new: _Exact | None = None


class _Event(msgspec.Struct, gc=False):
    meta: _Meta | _Empty | None = None
    type: str | _Exact | None = None
    title: str | None = None
    namespace: _Exact | None = None
    comment: str | None = None
    timestamp: _Exact | None = None
    user: str | None = None
    bot: bool | None = None
    minor: bool | None = None
    length: _Lengths | _Empty | None = None
    revision: _Revisions | _Empty | None = None
    server_name: str | None = None
    wiki: str | None = None


_decode_event = msgspec.json.Decoder(_Event).decode
_decode_any = msgspec.json.Decoder(msgspec.Raw).decode
_NO_META = _Meta()


def parse(raw: bytes) -> Change | Canary | Rejected:
    """What the bytes are. Pure, and never raises."""
    event = _decoded(raw)
    if isinstance(event, Rejected):
        return event
    meta = event.meta if isinstance(event.meta, _Meta) else _NO_META
    if meta.domain == CANARY_DOMAIN:
        return Canary(event_id(_own_id(meta), raw, None))
    return _change(event, meta, raw)


def _decoded(raw: bytes) -> _Event | Rejected:
    if len(raw) > LARGEST_EVENT:
        return Rejected(TOO_LARGE, f"more than {LARGEST_EVENT} bytes")
    if not raw.isascii():
        try:
            str(raw, "utf-8")
        except UnicodeDecodeError as error:
            return Rejected(NOT_UTF8, f"{error.reason} at byte {error.start}")
    # Few brackets can't nest deep: only an odd event is measured.
    if raw.count(b"{") + raw.count(b"[") > DEEPEST and _depth(raw) > DEEPEST:
        return Rejected(TOO_DEEP, f"nested more than {DEEPEST} deep")
    try:
        return _decode_event(raw)
    except (msgspec.DecodeError, RecursionError):
        return _decoded_mended(raw)


def _decoded_mended(raw: bytes) -> _Event | Rejected:
    """Once more with lone surrogates replaced; if it fails again, what is wrong."""
    mended = _ESCAPE.sub(lambda escape: rb"\ufffd" if escape[1] else escape[0], raw)
    try:
        return _decode_event(mended)
    except msgspec.ValidationError as error:
        return _invalid(mended, str(error))
    except (msgspec.DecodeError, RecursionError) as error:
        return Rejected(NOT_JSON, str(error))


def _invalid(mended: bytes, message: str) -> Rejected:
    """A type error may come before a syntax error further on, which weighs more."""
    try:
        _decode_any(mended)
    except (msgspec.DecodeError, RecursionError) as error:
        return Rejected(NOT_JSON, str(error))
    return Rejected(INVALID_FIELD if "$." in message else NOT_OBJECT, message)


def _depth(raw: bytes) -> int:
    brackets = _STRING.sub(b"", raw).translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)


def _change(event: _Event, meta: _Meta, raw: bytes) -> Change | Rejected:
    if event.timestamp is None:
        return Rejected(NO_TIMESTAMP, REASONS[NO_TIMESTAMP])
    day = event_day(event.timestamp)
    if day is None:
        return Rejected(DAY_OUT_OF_RANGE, f"timestamp {event.timestamp}")
    kind = _type(event.type)
    if not kind:
        return Rejected(NO_TYPE, REASONS[NO_TYPE])
    project = _project(meta.domain or event.server_name or "")
    if project is None:
        return Rejected(NO_PROJECT, f"domain {(meta.domain or event.server_name or '')[:200]!a}")
    is_edit = kind in EDIT_TYPES
    if is_edit and not event.title:
        return Rejected(NO_TITLE, f"type {kind}")
    namespace = ABSENT_NAMESPACE if event.namespace is None else event.namespace
    user = _text(event.user, _LONGEST_USER)
    bot = event.bot is True
    revision = event.revision.new if isinstance(event.revision, _Revisions) else None
    return Change(  # by place: by name takes six times as long
        event_id(_own_id(meta), raw, day),
        day,
        event.timestamp,
        kind,
        project,
        _text(event.wiki, _LONGEST_WIKI),
        namespace,
        _text(event.title, _LONGEST_TITLE),
        user,
        bot,
        event.minor is True,
        _net_bytes(event.length) if is_edit else 0,
        _text(event.comment, _LONGEST_COMMENT),
        revision or 0,
        _editor_class(user, bot),
        page_class(namespace),
    )


def _own_id(meta: _Meta) -> str | None:
    return meta.id if isinstance(meta.id, str) else None


def _type(given: str | int | None) -> str:
    """One of the known types, so that the views have no key of a stranger's; "" where there is none."""
    if isinstance(given, int):
        return _TYPE_NUMBERS.get(given, OTHER)
    if not given:
        return ""
    return given if given in _TYPES else OTHER


@lru_cache(maxsize=4096)
def _project(domain: str) -> str | None:
    """`www.wikidata.org` -> `wikidata`, as the Wikimedia Analytics API writes it."""
    name = domain.lower().removeprefix("www.").removesuffix(".org")
    return name if _PROJECT.fullmatch(name) else None


@lru_cache(maxsize=16_384)
def _editor_class(user: str, bot: bool) -> str:
    return editor_class(user, bot=bot)


def _net_bytes(lengths: _Lengths | list[Any] | None) -> int:
    if not isinstance(lengths, _Lengths) or lengths.new is None:
        return 0
    return lengths.new - (lengths.old or 0)


def _text(given: str | None, longest: int) -> str:
    """Bounded, and without NUL, which not every store takes."""
    if given is None:
        return ""
    if len(given) > longest:
        given = given[:longest]
    return given.replace("\0", "\ufffd") if "\0" in given else given
