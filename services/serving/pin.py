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
_LATE_FLOOR: Final = "speed view begins after the horizon"
PARTIAL: Final = "partial"


S = TypeVar("S", bound=msgspec.Struct)


Whole = Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]
"""What a stranger may send as a position or time."""


class Token(msgspec.Struct, array_like=True, frozen=True):
    """What `at` says: log identity, generation number, the visible position, the log time at `as_of`,
    and from where on documents were whole.
    """

    log: str
    generation: Whole
    visible: tuple[Whole, ...]
    times: tuple[Whole, ...]
    floor: tuple[Whole, ...]


@dataclass(frozen=True, slots=True)
class Pin:
    """`since` is the horizon H, `visible` the visible position W; `until`, the greater of both, is what
    an answer counts up to.

    `floor` is from where on the speed view holds whole documents, `times` the log time at `until`, in
    ms, per partition. `reasons` say why the answer is only partial (none: exact).
    """

    generation: Generation
    visible: Vector
    floor: Vector
    times: Vector
    reasons: tuple[str, ...] = ()
    shrunk: bool = False
    """Documents from `floor` on have been let go of since: sums still hold, a search does not."""

    @property
    def since(self) -> Vector:
        return self.generation.horizon

    @property
    def until(self) -> Vector:
        return upper(self.since, self.visible)

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
        generation = self.generation
        return Token(generation.log, generation.number, self.visible, self.times, self.floor)

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
    times = tuple(
        v if w > h else g
        for w, h, v, g in zip(
            visible.positions, generation.horizon, visible.times, generation.times, strict=True
        )
    )
    reasons = _reasons(generation, visible)
    return Pin(generation, visible.positions, visible.floor, times, reasons)


def pin_at(token: Token, generation: Generation, visible: Visible | None) -> Pin | None:
    """Pin where a token points; None if the views can no longer answer there.

    A token comes from a stranger: it must not lie beyond what is visible now.
    """
    now = pin(generation, visible)
    lengths = {len(token.visible), len(token.times), len(token.floor)}
    if token.log != generation.log or lengths != {len(now.visible)}:
        return None
    if not reaches(now.visible, token.visible) or not reaches(now.times, token.times):
        return None
    asked = upper(generation.horizon, token.floor)
    if visible is not None and not reaches(asked, now.floor):
        return None
    reasons = now.reasons if asked == generation.horizon else (*now.reasons, _LATE_FLOOR)
    shrunk = not reaches(token.floor, now.floor)
    return Pin(
        generation, token.visible, token.floor, token.times, tuple(dict.fromkeys(reasons)), shrunk
    )


def _reasons(generation: Generation, visible: Visible) -> tuple[str, ...]:
    reasons = []
    if visible.rebuilding_until and not reaches(visible.positions, visible.rebuilding_until):
        reasons.append("speed view is being rebuilt")
    if not reaches(generation.horizon, visible.floor):
        reasons.append(_LATE_FLOOR)
    return tuple(reasons)
