"""What the service makes of a Kafka message: parsed, `meta` completed, written again.

EventStreams is JavaScript: what goes out is `JSON.stringify(JSON.parse(message))` with `topic`,
`partition` and `offset` set in `meta`. So white space is gone, nothing is escaped that need not be, keys keep
their place, but those that are numbers come first, and of a key that comes twice the last value stands
where the first one stood. Integers too large for a double lose digits.

What cannot be given a `meta` (null, a number, a text) is skipped without a word, as is what is no JSON at
all. An array can, but does not show it: `[1,2]` is handed on as it is.

Not reproduced: the digits of fractions below 0.0001. No change has one.
"""

import json
import math
from decimal import Decimal
from typing import Any, Final

_SAFE_DIGITS: Final = 15
_LARGEST_PLAIN: Final = 1e21  # JavaScript writes whole numbers from here on with an exponent


def handed_on(raw: bytes, topic: str, partition: int, offset: int) -> bytes | None:
    """What follows `data: `; None if the service skips the message."""
    try:
        event = parse(raw.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    if isinstance(event, list):
        return stringify(event)
    if not isinstance(event, dict):
        return None
    if not isinstance(event.get("meta"), dict | list) and not event.get("meta"):
        event["meta"] = {}
    meta = event["meta"]
    if isinstance(meta, dict):
        meta |= {"topic": topic, "partition": partition, "offset": offset}
    elif not isinstance(meta, list):
        return None
    return stringify(event)


def parse(text: str) -> Any:
    """JSON.parse; raises ValueError on what is none."""
    return _decoder.decode(text)


def stringify(value: Any) -> bytes:
    """JSON.stringify: half of a surrogate pair, which UTF-8 has no bytes for, is written as an escape."""
    return _encoder.encode(value).encode("utf-8", "backslashreplace")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if any(_is_index(key) for key in made):
        numbers = sorted((key for key in made if _is_index(key)), key=int)
        made = {key: made[key] for key in numbers} | made
    return made


def _is_index(key: str) -> bool:
    if not (key.isascii() and key.isdigit()):
        return False
    return key == "0" or (key[0] != "0" and len(key) <= 10 and int(key) < (1 << 32) - 1)


def _whole(text: str) -> int | float | None:
    return int(text) if len(text) <= _SAFE_DIGITS else _fraction(text)


def _fraction(text: str) -> int | float | None:
    number = float(text)
    if math.isinf(number):
        return None
    if number.is_integer() and abs(number) < _LARGEST_PLAIN:
        return int(Decimal(repr(number)))
    return number


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


_decoder: Final = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_whole,
    parse_float=_fraction,
    parse_constant=_refuse,
)
_encoder: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
