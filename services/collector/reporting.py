"""What the source says of itself, kept in the log for whoever serves, and the alarm where canaries are missing.

A canary comes several times an hour whatever people do. So where none does, the stream may be broken though
the connection stands: a log line, a metric and the page say so, each once.
"""

import asyncio
import contextlib
from typing import Final

import structlog

from services.collector.source.port import Reporting
from services.shared import report as reports
from services.shared.log.port import Cursor, EventLog
from services.shared.report import Report
from services.shared.runtime import metrics
from services.shared.runtime.unavailable import Unavailable

LOOK_EVERY: Final = 1.0
TELL_EVERY: Final = 5_000  # ms, where nothing has changed but the times

_log = structlog.get_logger(__name__)


async def run(source: Reporting, log: EventLog, *, stop: asyncio.Event) -> None:
    """Tells until `stop`."""
    told: Report | None = None
    while not stop.is_set():
        report = source.report()
        _alarm(report, told)
        if told is None or _is_news(report, told):
            with contextlib.suppress(Unavailable):  # the collector says that by itself
                await log.append([], cursor=Cursor(reports.NAME, reports.written(report)))
                told = report
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), LOOK_EVERY)


def _is_news(report: Report, told: Report) -> bool:
    changed = (report.state, report.reason, report.canaries_missing) != (
        told.state,
        told.reason,
        told.canaries_missing,
    )
    return changed or report.at - told.at >= TELL_EVERY


def _alarm(report: Report, told: Report | None) -> None:
    metrics.CANARIES_MISSING.set(report.canaries_missing)
    before = told is not None and told.canaries_missing
    if report.canaries_missing and not before:
        _log.error(
            "canaries_missing",
            last=report.last_canary_at,
            what="the stream may be broken although the connection stands",
        )
    elif before and not report.canaries_missing:
        _log.info("canaries_back")
