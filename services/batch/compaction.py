"""Which segments to add up, so that neither their number nor the work of adding grows.

Every run leaves a segment. Once a few small ones stand at the end they are added up, together with
the longer ones before them as long as these are not longer than all that follows. So between
two compactions each segment outweighs what comes after it: there are at most about log2(rows) + `FEW`
segments, and a row is written again only when what it is part of at least doubles, which happens
log2(rows) times. Cost grows with the new events, not with history.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from services.shared.domain.generation import Segment

FEW: Final = 4


def plan(segments: Sequence[Segment], sizes: Sequence[int]) -> int | None:
    """From which segment on all are to be added up, or None.

    `sizes` are their numbers of rows. Segments of another version are left to a rebuild.
    """
    version = segments[-1].version if segments else ""
    following = list(accumulate(reversed(sizes), initial=0))  # by how many come after
    start = None
    for after, segment in enumerate(reversed(segments)):
        if segment.version != version:
            break
        if after + 1 >= FEW and sizes[-1 - after] <= following[after]:
            start = len(segments) - 1 - after
    return start
