"""Segments and generations: what the batch layer publishes.

A segment covers a range of positions and never changes. A generation lists segments that chain from
the log's start to its horizon without overlap or gap; it is published by one compare-and-set.
"""

from dataclasses import dataclass

from services.shared.domain.positions import Vector, reaches, zero


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of the sum: positions `since` (included) to `until` (excluded).

    `version` names the code and configuration that made its rows: a rebuild equals the sum only
    within one version.
    """

    id: str
    since: Vector
    until: Vector
    version: str


@dataclass(frozen=True, slots=True)
class Generation:
    """What one published pointer means.

    `log` is the identity of the log that all positions belong to. `times` is the log time (append
    time in ms) at the horizon, per partition. Rows of the minutes view before `minutes_from`
    (minute since 1970) are in no answer. `published_at` is in ms since 1970. `carried_days` are
    event days whose rows were carried over by a rebuild because the lake no longer holds them.
    `lost_days` are event days that the lake no longer held when a lost batch view was begun anew: their
    earlier counts are gone, and answers over them are partial. `topic_model` and `topic_map` are ids
    (see `topics`); both are empty while there is no model.
    """

    number: int
    log: str
    segments: tuple[Segment, ...]
    horizon: Vector
    times: Vector
    minutes_from: int
    published_at: int
    carried_days: tuple[int, ...] = ()
    lost_days: tuple[int, ...] = ()
    topic_model: str = ""
    topic_map: str = ""

    def __post_init__(self) -> None:
        at = self.segments[0].since if self.segments else self.horizon
        for segment in self.segments:
            if segment.since != at:
                raise ValueError(f"segment {segment.id} starts at {segment.since}, not at {at}")
            at = segment.until
        if at != self.horizon:
            raise ValueError(f"segments end at {at}, the horizon is {self.horizon}")
        if bool(self.topic_model) != bool(self.topic_map):
            raise ValueError("a topic model goes with a page map, and a page map with a model")


def misfit(generation: Generation, log: str, end: Vector) -> str | None:
    """Why a generation can't be of this log, which ends there; None if it can."""
    if generation.log != log:
        return f"the batch view belongs to log {generation.log}, not to {log}"
    if not reaches(end, generation.horizon):
        return f"the batch view's horizon {generation.horizon} is beyond the log's end {end}"
    return None


def first(log: str, partitions: int, published_at: int) -> Generation:
    """Generation 0 of a new log: no segments, horizon at the log's start, and a present layer."""
    start = zero(partitions)
    return Generation(0, log, (), start, start, 0, published_at)
