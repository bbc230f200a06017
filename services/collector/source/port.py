"""Source: where changes come from.

Guarantees: `frames(cursor)` yields raw payloads, each with the cursor that continues *after* it.
Started again with a cursor that was stored, a source repeats nothing but may repeat a bounded
overlap; it never skips. A source that can end does (a recording); others run until cancelled.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

from services.shared.log.port import Gap
from services.shared.report import Report


@dataclass(frozen=True, slots=True)
class Frame:
    """Payloads that arrived together (bounded in number and bytes) and the cursor after them.

    `cut` has the true size of each payload (by index) that is too large and so is not whole here.
    """

    payloads: tuple[bytes, ...]
    cursor: str
    gaps: tuple[Gap, ...] = ()
    cut: Mapping[int, int] = field(default_factory=dict)


class Source(Protocol):
    @property
    def name(self) -> str:
        """The key of its cursor, stable over restarts: `recorded:<content identity>`, `demo:42`."""
        ...

    @property
    def description(self) -> str:
        """For people: what this data is (live, a recording, simulated)."""
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


@runtime_checkable
class Reporting(Protocol):
    """What a source over a network can have besides, so that people see how it is."""

    def report(self) -> Report: ...

    def canary_came(self) -> None:
        """Among what it has given is a canary, which proves more than an event does."""
        ...
