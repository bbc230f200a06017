"""What an answer stands on: a generation, then a visible position, read in this order and kept.

Whoever answers pins first and asks both layers with the same horizon; so a generation that is
published in the middle of a request changes nothing in it. The token `at` names a pin, so that the
same question can be asked again and is answered exactly there.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass, replace
from typing import Annotated, Final, TypeVar

import msgspec

from services.shared.domain.generation import Generation
from services.shared.domain.positions import Vector, reaches, upper
from services.shared.speedview.port import Visible

EXACT: Final = "exact"
PARTIAL: Final = "partial"


S = TypeVar("S", bound=msgspec.Struct)


Whole = Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]
"""What a stranger may send as a position or time."""


class Token(msgspec.Struct, array_like=True, frozen=True):
    """What `at` says: log identity, generation number, position and its log time."""

    log: str
    generation: Whole
    until: tuple[Whole, ...]
    times: tuple[Whole, ...]


@dataclass(frozen=True, slots=True)
class Pin:
    """`since` is the horizon H; `until` the position up to which the speed part answers.

    `floor` is where the speed view begins. `reasons` say why the answer is only partial (none:
    exact). `times` is the log time at `as_of`, per partition, in ms.
    """

    generation: Generation
    until: Vector
    floor: Vector
    times: Vector
    reasons: tuple[str, ...] = ()

    @property
    def since(self) -> Vector:
        return self.generation.horizon

    @property
    def completeness(self) -> str:
        return PARTIAL if self.reasons else EXACT

    def but(self, reason: str) -> "Pin":
        """The same, partial for one more reason."""
        return replace(self, reasons=(*self.reasons, reason))

    @property
    def token(self) -> str:
        return packed(self.position)

    @property
    def position(self) -> Token:
        return Token(self.generation.log, self.generation.number, self.until, self.times)

    @property
    def key(self) -> str:
        """For caches: generation and visible position (and what is missing)."""
        text = f"{self.token}:{','.join(self.reasons)}"
        return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()

    @property
    def batch_key(self) -> str:
        """For caches of batch parts: the generation alone."""
        return f"{self.generation.log}:{self.generation.number}"


def packed(value: msgspec.Struct) -> str:
    """A value as text that fits into a URL."""
    return base64.urlsafe_b64encode(msgspec.json.encode(value)).decode().rstrip("=")


def unpacked(text: str, type_: type[S]) -> S | None:
    """None for what was never `packed`."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        return msgspec.json.decode(raw, type=type_)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        return None


def pin(generation: Generation, visible: Visible | None) -> Pin:
    """Pin what is there now."""
    if visible is None or visible.log != generation.log:
        why = "speed view missing" if visible is None else "speed view belongs to another log"
        return Pin(generation, generation.horizon, generation.horizon, generation.times, (why,))
    until = upper(generation.horizon, visible.positions)
    times = tuple(
        v if w > h else g
        for w, h, v, g in zip(
            visible.positions, generation.horizon, visible.times, generation.times, strict=True
        )
    )
    return Pin(generation, until, visible.floor, times, _reasons(generation, visible))


def pin_at(token: Token, generation: Generation, visible: Visible | None) -> Pin | None:
    """Pin where a token points; None if the views can no longer answer there.

    A token comes from a stranger: it must lie between the horizon and what is visible now.
    """
    now = pin(generation, visible)
    if token.log != generation.log or {len(token.until), len(token.times)} != {len(now.until)}:
        return None
    positions = reaches(now.until, token.until) and reaches(token.until, generation.horizon)
    if not positions or not reaches(now.times, token.times):
        return None
    return Pin(generation, token.until, now.floor, token.times, now.reasons)


def _reasons(generation: Generation, visible: Visible) -> tuple[str, ...]:
    reasons = []
    if visible.rebuilding_until and not reaches(visible.positions, visible.rebuilding_until):
        reasons.append("speed view is being rebuilt")
    if not reaches(generation.horizon, visible.floor):
        reasons.append("speed view begins after the horizon")
    return tuple(reasons)
