"""One change of a wiki as the views count it, and what else can come in its place."""

from dataclasses import dataclass
from typing import Final, NamedTuple

EDIT: Final = "edit"
NEW: Final = "new"
EDIT_TYPES: Final = (EDIT, NEW)
OTHER: Final = "other"
TYPES: Final = (EDIT, NEW, "log", "categorize", "external", OTHER)


class Change(NamedTuple):
    """A change with typed fields of bounded length. A tuple, because one is made of every event, three times over.

    `id` is the log's key (see `identity`). `day` is YYYYMMDD (UTC) of `timestamp` (seconds since
    1970), the only date that places an event. `type` is one of `TYPES`. `user` is "" where it was redacted. Bytes are 0
    for what is no edit. `revision` is the new revision or 0.
    """

    id: str
    day: int
    timestamp: int
    type: str
    project: str
    wiki: str
    namespace: int
    title: str
    user: str
    bot: bool
    minor: bool
    net_bytes: int
    comment: str
    revision: int
    editor_class: str
    page_class: str

    @property
    def is_edit(self) -> bool:
        return self.type in EDIT_TYPES


@dataclass(frozen=True, slots=True)
class Canary:
    """A test event of the upstream: never counted, but it proves that the stream is alive."""

    id: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """What cannot be understood. `reason` is one of a bounded set of words, `detail` says more."""

    reason: str
    detail: str
