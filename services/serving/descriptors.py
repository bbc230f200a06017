"""Every connection is a file to the system, and it lets a process have only so many.

Often that is a thousand until the process asks for more. Without room left no store could open its
files either, so room is asked for beforehand, and who is not given it is told.
"""

import resource
from typing import Final

import structlog

_OTHERS: Final = 1_024
"""Files and connections beside the readers of the feed."""

_log = structlog.get_logger(__name__)


def make_room(readers: int) -> None:
    """For so many readers of the feed."""
    needed = readers + _OTHERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    given = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (given, hard))
    if given < needed:
        _log.warning(
            "few_open_files", limit=given, needed=needed, way_out="ulimit -n, feed_readers"
        )
