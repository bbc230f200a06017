"""The proof: every cell of the API at one pin, against a recount of what is stored.

The first answer hands out a token `at`; all further questions are asked at it, so the answers
belong together whatever is published meanwhile. If the token is gone before the end, the audit
starts again. The recount covers exactly the positions that the token stands on.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final, Protocol
from urllib.parse import quote

import msgspec

from services.audit.questions import Question, questions
from services.audit.recount import Recount
from services.audit.stored import events
from services.shared.lake.port import Lake
from services.shared.log.port import EventLog
from services.shared.runtime.clock import Clock
from services.shared.runtime.exits import Exit, Refused

TRIES: Final = 3
AT_ONCE: Final = 8
SHOWN: Final = 100
"""Differences that are listed one by one; all are counted."""


class TokenGone(Exception):
    """The API no longer answers at the token (410)."""


class Api(Protocol):
    async def get(self, path: str) -> tuple[int, Any]:
        """Status and decoded JSON body of a GET."""
        ...


class Difference(msgspec.Struct, frozen=True):
    """`answered` or `recounted` is null where that side has no such cell."""

    question: str
    cell: str
    answered: Any
    recounted: Any


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What an audit found. `events` were recounted, `copies` left out; `late_days` may differ until
    the next batch run, `days_not_recounted` are no longer stored; both are not compared.
    `reasons` say why the API itself calls its answers partial.
    """

    exact: bool
    cells: int
    questions: int
    differences: int
    listed: list[Difference]
    events: int
    copies: int
    late_days: list[int]
    days_not_recounted: list[int]
    reasons: list[str]
    generation: int
    as_of: list[int]
    at: str
    seconds: float


Progress = Callable[[str, int], None]


async def audit(
    api: Api,
    log: EventLog,
    lake: Lake,
    clock: Clock,
    *,
    window_ms: int,
    progress: Progress = lambda _what, _n: None,
) -> Result:
    """Compare every cell. Raises `Refused` if the API can't give an exact answer now."""
    for _ in range(TRIES):
        try:
            return await _audit(api, log, lake, clock, window_ms=window_ms, progress=progress)
        except TokenGone:
            continue
    raise Refused(
        f"audit: the pinned generation was gone before the end, {TRIES} times; raise"
        " generation_keep (BVW_GENERATION_KEEP) or batch_every",
        Exit.TEMPORARY,
    )


async def _audit(
    api: Api, log: EventLog, lake: Lake, clock: Clock, *, window_ms: int, progress: Progress
) -> Result:
    started = clock.monotonic()
    meta = await _pinned(api, log)
    count = await _recount(log, lake, meta, window_ms, progress)
    expired = await lake.expired()
    skipped = {day for _, day in count.late}.union(expired)
    days = {key: day for key, day in count.days.items() if key[1] not in skipped}
    cells = asked = 0
    found: list[Difference] = []
    asking = questions(days, skipped=skipped, minutes_from=await _minutes_from(api))
    for group in _grouped(asking):
        results = await asyncio.gather(*(_compare(api, q, meta["at"]) for q in group))
        for question, differences in zip(group, results, strict=True):
            cells += len(question.expected)
            found.extend(differences)
        asked += len(group)
        progress("asked", asked)
    return Result(
        exact=not found,
        cells=cells,
        questions=asked,
        differences=len(found),
        listed=found[:SHOWN],
        events=count.events,
        copies=count.copies,
        late_days=sorted({day for _, day in count.late}),
        days_not_recounted=expired,
        reasons=meta["reasons"],
        generation=meta["generation"],
        as_of=meta["as_of"],
        at=meta["at"],
        seconds=round(clock.monotonic() - started, 3),
    )


async def _pinned(api: Api, log: EventLog) -> dict[str, Any]:
    status, body = await api.get("/v1/projects")
    if status != 200:
        detail = body.get("detail", status) if isinstance(body, dict) else status
        raise Refused(f"audit: the API does not answer exactly now: {detail}", Exit.TEMPORARY)
    meta: dict[str, Any] = body["meta"]
    if meta["log"] != log.identity:
        raise Refused("audit: the API answers for another log than this data directory's")
    return meta


async def _minutes_from(api: Api) -> int:
    """Since when (minute since 1970) minutes are kept now: never less than at the pin."""
    status, body = await api.get("/v1/status")
    if status != 200:
        raise Refused(f"audit: the API's status is {status}, not 200", Exit.TEMPORARY)
    return int(datetime.fromisoformat(body["minutes_from"]).timestamp()) // 60


async def _recount(
    log: EventLog, lake: Lake, meta: dict[str, Any], window_ms: int, progress: Progress
) -> Recount:
    count = Recount(window_ms)
    horizon = meta["horizon"]
    async for piece in events(log, lake, tuple(meta["as_of"])):
        await asyncio.to_thread(_take, count, piece, horizon)
        progress("recounted", count.events)
    return count


def _take(count: Recount, piece: list[Any], horizon: list[int]) -> None:
    for stored in piece:
        settled = stored.offset < horizon[stored.partition]
        count.take(stored.raw, stored.appended_at, settled=settled)


async def _compare(api: Api, question: Question, at: str) -> list[Difference]:
    joint = "&" if "?" in question.path else "?"
    status, body = await api.get(f"{question.path}{joint}at={quote(at)}")
    if status == 410:
        raise TokenGone
    if status != 200:
        return [Difference(question.path, f"HTTP {status}", body, None)]
    answered = question.read(body)
    names = dict.fromkeys([*question.expected, *answered])
    return [
        Difference(question.path, name, answered.get(name), question.expected.get(name))
        for name in names
        if answered.get(name) != question.expected.get(name)
    ]


def _grouped(asked: Iterator[Question]) -> Iterator[list[Question]]:
    while group := list(itertools.islice(asked, AT_ONCE)):
        yield group
