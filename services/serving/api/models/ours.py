"""What the paths under /v1 say. What an answer stands on is in `meta`."""

from typing import Literal

import msgspec


class Meta(msgspec.Struct, frozen=True):
    """What an answer stands on.

    `horizon` and `as_of` are next positions per partition: batch answers before the horizon, the
    answer as a whole equals a recount of the distinct events before `as_of`. `as_of_time` is the
    log time there. `at` is a token: with `?at=` the same question is answered exactly here again.
    """

    log: str
    generation: int
    horizon: list[int]
    as_of: list[int]
    as_of_time: str
    completeness: Literal["exact", "partial"]
    reasons: list[str]
    at: str


class Group(msgspec.Struct, frozen=True):
    """The sums of one group; `share` is its part of all edits asked for (0 to 1)."""

    name: str
    edits: int
    share: float
    net_bytes: int
    abs_bytes: int
    minor: int
    new_pages: int


class Course(msgspec.Struct, frozen=True):
    """One step of the course: edits by group name."""

    timestamp: str
    edits: dict[str, int]


class DistinctPages(msgspec.Struct, frozen=True):
    """Distinct pages by group, where they were asked for: one project, one day."""

    name: str
    pages: int


class ShareAnswer(msgspec.Struct, frozen=True):
    """Bots against humans. `groups` are by `by`; `course` has steps of `granularity`."""

    meta: Meta
    project: str
    start: str
    end: str
    by: str
    granularity: str
    edits: int
    groups: list[Group]
    course: list[Course]
    pages: list[DistinctPages] | None


class AgreementCell(msgspec.Struct, frozen=True):
    """Edits by whether the change was flagged as a bot's and whether the name says so."""

    flagged: bool
    bot_name: bool
    edits: int


class AgreementAnswer(msgspec.Struct, frozen=True):
    meta: Meta
    project: str
    start: str
    end: str
    cells: list[AgreementCell]


class WordCount(msgspec.Struct, frozen=True):
    rank: int
    word: str
    stem: str
    edits: int


class WordsAnswer(msgspec.Struct, frozen=True):
    meta: Meta
    project: str
    editor_type: str
    start: str
    end: str
    words: list[WordCount]


class HashtagCount(msgspec.Struct, frozen=True):
    rank: int
    hashtag: str
    edits: int


class HashtagsAnswer(msgspec.Struct, frozen=True):
    meta: Meta
    project: str
    editor_type: str
    start: str
    end: str
    hashtags: list[HashtagCount]


class ChangeRow(msgspec.Struct, frozen=True):
    """One change as the live layer keeps it."""

    id: str
    partition: int
    offset: int
    appended_at: str
    timestamp: str
    type: str
    project: str
    wiki: str
    namespace: int
    title: str
    user: str
    bot: bool
    minor: bool
    editor_type: str
    page_type: str
    net_bytes: int
    comment: str
    revision: int
    words: list[str]
    hashtags: list[str]


class ChangesAnswer(msgspec.Struct, frozen=True):
    """Newest append first. `oldest` is the log time of the oldest change that is kept whole;
    `next` is the cursor of the next page, absent at the end.
    """

    meta: Meta
    oldest: str | None
    changes: list[ChangeRow]
    next: str | None


class ProjectRow(msgspec.Struct, frozen=True):
    """`bots` of the edits are by bots, flagged or named so."""

    project: str
    edits: int
    bots: int


class ProjectsAnswer(msgspec.Struct, frozen=True):
    """Projects with their edits in the span, most edits first."""

    meta: Meta
    projects: list[ProjectRow]


class SpanAnswer(msgspec.Struct, frozen=True):
    """First and last event day with data (YYYYMMDD, both included), null without data."""

    meta: Meta
    first: int | None
    last: int | None


class StepRow(msgspec.Struct, frozen=True):
    name: str
    state: str
    started_at: str
    seconds: float
    rows_in: int
    rows_out: int
    expected: int
    error: str


class RunRow(msgspec.Struct, frozen=True):
    id: str
    kind: str
    state: str
    started_at: str
    ended_at: str | None
    generation: int | None
    steps: list[StepRow]


class RunsAnswer(msgspec.Struct, frozen=True):
    runs: list[RunRow]


class GapRow(msgspec.Struct, frozen=True):
    since: str
    until: str
    reason: str


class SourceRow(msgspec.Struct, frozen=True):
    """Where the changes come from: `kind` is live, recording or simulated. `note` is for people."""

    name: str
    kind: str
    description: str
    note: str = ""


class StreamRow(msgspec.Struct, frozen=True):
    """How the connection to a live stream is, as its collector last said at `told_at`.

    `state` is connecting, connected, waiting (to connect anew at `retry_at`) or stopped (it is refused,
    and asked again slowly); `reason` says why. Canaries prove that the stream is alive: where they are
    missing it may be broken although the connection stands.
    """

    told_at: str
    state: Literal["connecting", "connected", "waiting", "stopped"]
    since: str
    reason: str
    retry_at: str | None
    connections: int
    last_event_at: str | None
    last_canary_at: str | None
    canaries_missing: bool


class StatusAnswer(msgspec.Struct, frozen=True):
    """Positions are next positions per partition; lags are in events-free terms: seconds."""

    log: str
    source: SourceRow
    generation: int
    horizon: list[int]
    horizon_time: str
    visible: list[int] | None
    visible_time: str | None
    end: list[int]
    end_time: str
    caught_up: bool
    completeness: Literal["exact", "partial"]
    reasons: list[str]
    speed_lag_seconds: float
    batch_lag_seconds: float
    minutes_from: str
    gaps: list[GapRow]
    stream: StreamRow | None
    tallies: dict[str, int]
    deadletters: int
    bytes: dict[str, int]
    version: str
    now: str


class DifferenceRow(msgspec.Struct, frozen=True):
    cell: str
    answered: str
    recounted: str


class AuditAnswer(msgspec.Struct, frozen=True):
    """The result of a recount. `state` is none, running, done or failed. Of `different` cells the
    first hundred are in `differences`; `late_days` have copies later than the dedupe window, which
    may show until the next batch run and are not compared.
    """

    state: str
    started_at: str | None
    seconds: float | None
    at: str | None
    cells: int
    events: int
    copies: int
    different: int
    differences: list[DifferenceRow]
    not_recounted_days: list[int]
    late_days: list[int]
    exact: bool | None
    error: str


class FieldError(msgspec.Struct, frozen=True):
    parameter: str
    value: str
    accepted: str


class Problem(msgspec.Struct, frozen=True):
    """RFC 9457. `errors` names each parameter with what is accepted."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldError]
