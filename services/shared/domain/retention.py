"""When something stored may be removed: log time decides, never event time nor the wall clock.

A copy of an event can still arrive at any position from the visible position W on. It arrives with
an append time not before the log time at W. So a winner must be remembered until both the log time
at W and that at the horizon of the oldest readable generation are more than one dedupe window past
the winner's own append time.
"""

from services.shared.domain.positions import Vector


def removable_before(window_ms: int, at_visible: Vector, at_oldest_horizon: Vector) -> Vector:
    """Per partition: what was appended before this log time (ms) may be removed."""
    return tuple(min(w, h) - window_ms for w, h in zip(at_visible, at_oldest_horizon, strict=True))


def removable_everywhere(window_ms: int, at_visible: Vector, at_oldest_horizon: Vector) -> int:
    """The same for something that holds positions of all partitions, such as a lake day."""
    return min(removable_before(window_ms, at_visible, at_oldest_horizon), default=0)
