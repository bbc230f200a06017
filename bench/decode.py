"""Decoding: the typed struct and the whole of `parse` against the standard library.

The struct is the like-for-like peer of `json.loads`: both turn the same bytes into fields. `parse`
does all that follows as well: checks, id, event day, classes.
"""

import json
from collections.abc import Callable
from functools import partial

import msgspec

from bench import events
from bench.figures import Figure, against
from services.shared import decode


def figures() -> list[Figure]:
    payloads = events.payloads()
    struct = msgspec.json.Decoder(decode._Event).decode  # noqa: SLF001 - the part that is compared
    library = partial(_each, json.loads, payloads)
    count = len(payloads)
    return [
        against("typed struct, an event", partial(_each, struct, payloads), "json.loads", library,
                count, expected="7-9"),
        against("parse, an event", partial(_each, decode.parse, payloads), "json.loads", library,
                count),
    ]  # fmt: skip


def _each(work: Callable[[bytes], object], payloads: list[bytes]) -> None:
    for payload in payloads:
        work(payload)
