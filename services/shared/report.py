"""What a collector says of its source: kept in the log beside the cursor, shown by whoever serves.

It is told again every few seconds, so an old one means that nobody collects.
"""

from typing import Final, Literal

import msgspec

State = Literal["connecting", "connected", "waiting", "stopped"]
"""Making a connection; reading; waiting to make one again; refused, and asking again slowly."""

NAME: Final = "report"
"""The name under which the log keeps it, as it keeps a source's cursor."""


class Report(msgspec.Struct, frozen=True):
    """Times in ms since 1970. `reason` says why there is no connection, or why the last one ended."""

    at: int
    state: State
    since: int
    reason: str = ""
    retry_at: int | None = None
    connections: int = 0
    last_event_at: int | None = None
    last_canary_at: int | None = None
    canaries_missing: bool = False


def written(report: Report) -> str:
    return msgspec.json.encode(report).decode()


def read(text: str | None) -> Report | None:
    """None where there is none, or one of another version."""
    try:
        return None if text is None else msgspec.json.decode(text, type=Report)
    except msgspec.MsgspecError:
        return None
