"""What the bytes of the live feed mean to a browser: the rules of the HTML standard, for what we send."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from services.serving.feed import places
from services.shared.domain.positions import Vector


@dataclass(frozen=True)
class Frame:
    """What a browser makes of one block: `id` is the last one so far."""

    event: str
    data: Any
    id: str


def understood(got: bytes) -> tuple[list[Frame], str]:
    """The frames that are whole, and the last id."""
    frames, last = [], ""
    *blocks, _torn = got.decode().split("\n\n")
    for block in blocks:
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line[:1] != ":")
        last = fields.get("id", last)
        if "data" in fields:
            data = msgspec.json.decode(fields["data"])
            frames.append(Frame(fields.get("event", "message"), data, last))
            assert ("id" in fields) == (frames[-1].event == "message"), block
    return frames, last


def position(id_: str) -> Vector:
    found = places.read(id_)
    assert found is not None, id_
    return found.positions
