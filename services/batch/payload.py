"""The payload of an event as columns of fixed types.

Nearly every payload has the types that the upstream's schema says and is decoded straight into them.
One that has not is read leniently: a field of another type is left empty here and stands in the raw
table's column `json` alone, which is the payload byte for byte. So a strange field never keeps an
event out of the lake, nor does it decide what counts (`decode.parse` alone does).
"""

import json
from collections.abc import Sequence
from operator import attrgetter
from typing import Annotated, Any, Final, TypeVar

import msgspec

S = TypeVar("S", bound=msgspec.Struct)

_Integer = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_NULL: Final = msgspec.Raw(b"null")


class _Meta(msgspec.Struct, gc=False):
    uri: str | None = None
    request_id: str | None = None
    id: str | None = None
    dt: str | None = None
    domain: str | None = None
    stream: str | None = None
    topic: str | None = None
    partition: _Integer | None = None
    offset: _Integer | None = None


class _Pair(msgspec.Struct, gc=False):
    old: _Integer | None = None
    new: _Integer | None = None


class Payload(msgspec.Struct, gc=False):
    schema: str | None = msgspec.field(default=None, name="$schema")
    meta: _Meta = msgspec.field(default_factory=_Meta)
    id: _Integer | None = None
    type: str | _Integer | None = None
    namespace: _Integer | None = None
    title: str | None = None
    title_url: str | None = None
    comment: str | None = None
    parsedcomment: str | None = None
    timestamp: _Integer | None = None
    user: str | None = None
    bot: bool | None = None
    minor: bool | None = None
    patrolled: bool | None = None
    length: _Pair = msgspec.field(default_factory=_Pair)
    revision: _Pair = msgspec.field(default_factory=_Pair)
    server_url: str | None = None
    server_name: str | None = None
    server_script_path: str | None = None
    wiki: str | None = None
    notify_url: str | None = None
    log_id: _Integer | None = None
    log_type: str | None = None
    log_action: str | None = None
    log_action_comment: str | None = None
    log_params: msgspec.Raw = _NULL


_NESTED: Final[dict[str, type[msgspec.Struct]]] = {
    "meta": _Meta,
    "length": _Pair,
    "revision": _Pair,
}
_decode: Final = msgspec.json.Decoder(Payload).decode


def payload(raw: bytes) -> Payload:
    """The fields of a payload that parses. Never raises."""
    try:
        return _decode(raw)
    except msgspec.DecodeError:
        return _lenient(Payload, _loaded(raw))


def _loaded(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError:
        pass
    try:  # lone surrogates, which a column cannot hold either
        return msgspec.json.decode(
            json.dumps(json.loads(raw), ensure_ascii=False).encode(errors="replace")
        )
    except (ValueError, RecursionError):
        return {}


def _lenient(kind: type[S], given: Any) -> S:
    """What fits of an object, field by field."""
    values = given if isinstance(given, dict) else {}
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        value = values.get(field.encode_name)
        if field.name in _NESTED:
            found[field.name] = _lenient(_NESTED[field.name], value)
        elif field.type is msgspec.Raw:
            found[field.name] = msgspec.Raw(msgspec.json.encode(value))
        else:
            found[field.name] = _fitting(value, field.type)
    return kind(**found)


def _fitting(value: Any, kind: Any) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return None


def columns(payloads: Sequence[Payload]) -> dict[str, list[Any]]:
    """The payloads' fields by the names of the raw table's columns, such as `meta_id`."""
    found = {name: list(map(attrgetter(path), payloads)) for name, path in _PATHS.items()}
    found["type"] = [str(kind) if type(kind) is int else kind for kind in found["type"]]
    found["log_params"] = [_text(params) for params in found["log_params"]]
    return found


def _text(params: msgspec.Raw) -> str | None:
    text = bytes(params)
    return None if text == b"null" else text.decode()


def _paths() -> dict[str, str]:
    paths: dict[str, str] = {}
    for name in Payload.__struct_fields__:
        inner = _NESTED[name].__struct_fields__ if name in _NESTED else ()
        paths |= {f"{name}_{field}": f"{name}.{field}" for field in inner} or {name: name}
    return paths


_PATHS: Final = _paths()
