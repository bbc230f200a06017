"""Source: where changes come from.

Guarantees: `frames(cursor)` yields raw payloads, each with the cursor that continues *after* it.
Started again with a cursor that was stored, a source repeats nothing but may repeat a bounded
overlap; it never skips. A source that can end does (a recording); others run until cancelled.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from services.shared.log.port import Gap


@dataclass(frozen=True, slots=True)
class Frame:
    """Payloads that arrived together (bounded in number and bytes) and the cursor after them."""

    payloads: tuple[bytes, ...]
    cursor: str
    gaps: tuple[Gap, ...] = ()


class Source(Protocol):
    @property
    def name(self) -> str:
        """The key of its cursor, stable over restarts: `recorded:<content identity>`, `demo:42`."""
        ...

    @property
    def description(self) -> str:
        """For people: what this data is (live, a recording, simulated)."""
        ...

    @property
    def resumable(self) -> bool:
        """True if a pause of collection loses nothing."""
        ...

    def frames(self, cursor: str | None) -> AsyncIterator[Frame]: ...


class Progress(NamedTuple):
    """How much of a source that ends has been read, in units of its own."""

    done: int
    total: int


@runtime_checkable
class Measured(Protocol):
    """What a source that ends can have besides, so that people see how far it is."""

    @property
    def progress(self) -> Progress: ...
