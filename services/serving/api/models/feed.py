"""What the live feed says beside changes."""

import msgspec


class GapNotice(msgspec.Struct, frozen=True):
    """`event: gap`: changes are missing here, from the positions `since` (null: of another log) up to
    `until`, from where the feed goes on. `oldest` is the log time of the oldest change that is kept.
    """

    reason: str
    since: list[int] | None
    until: list[int]
    oldest: str | None


class OverrunNotice(msgspec.Struct, frozen=True):
    """`event: overrun`: the connection ends because its reader does not keep up."""

    reason: str
