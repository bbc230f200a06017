"""Every metric there is, in one place; docs/metrics.md lists the same ones with what to do.

One process serves one registry on its own port, so that scraping needs no access to the API.
Names: prefix `bvw_`, base units, `_total` for what only grows. Labels take few, known values and
never a title, user or other text of a stranger: each value is a time series kept for months.

To add a metric: a constant here, its line in docs/metrics.md, and its use. tests/house compares.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
from typing import TYPE_CHECKING

import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from services.shared.runtime.exits import Exit, Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import web

_log = structlog.get_logger(__name__)

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

# Work that is milliseconds when all is well and seconds when it is not.
_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# A batch step: from an empty one to a rebuild of everything.
_LONG = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(name, text, labels, registry=REGISTRY)


def _gauge(name: str, text: str, *labels: str) -> Gauge:
    return Gauge(name, text, labels, registry=REGISTRY)


def _histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(name, text, labels, buckets=buckets, registry=REGISTRY)


# Collector
EVENTS_RECEIVED = _counter("bvw_events_received_total", "Events read from the source.")
EVENTS_APPENDED = _counter("bvw_events_appended_total", "Events that the log acknowledged.")
EVENTS_REJECTED = _counter(
    "bvw_events_rejected_total", "Events kept in the dead-letter stream.", "reason"
)
EVENTS_FILTERED = _counter(
    "bvw_events_filtered_total", "Events left out by a collection filter.", "filter"
)
CANARIES = _counter("bvw_canaries_total", "Canary events: the stream is alive.")
LAST_EVENT_TIMESTAMP = _gauge(
    "bvw_last_event_timestamp_seconds", "Event time of the newest event received."
)
GAPS = _counter("bvw_gaps_total", "Stretches of upstream time that may be missing.")
STREAM_CONNECTED = _gauge("bvw_stream_connected", "1 while the live stream is being read.")
STREAM_RECONNECTS = _counter(
    "bvw_stream_reconnects_total", "Connections to the live stream that ended.", "cause"
)
CANARIES_MISSING = _gauge(
    "bvw_canaries_missing", "1 if no canary has come for longer than the alarm allows."
)
DEAD_LETTERS = _gauge("bvw_dead_letters", "Dead letters kept and not yet replayed.")

# Log
LOG_APPEND_SECONDS = _histogram(
    "bvw_log_append_seconds", "One append, until it is durable.", _QUICK
)
LOG_END = _gauge("bvw_log_end_offset", "Next offset of the partition.", "partition")

# Speed layer
SPEED_DOCUMENTS = _counter("bvw_speed_documents_total", "Documents written to the speed view.")
SPEED_LAG = _gauge("bvw_speed_lag_events", "Events appended and not yet taken by the speed layer.")
SPEED_INDEX_SECONDS = _histogram(
    "bvw_speed_index_seconds", "One write to the speed view, until acknowledged.", _QUICK
)
VISIBLE_AGE = _gauge(
    "bvw_visible_age_seconds", "Age of the oldest event appended and not yet visible; 0 if none."
)
SPEED_REBUILDS = _counter("bvw_speed_rebuilds_total", "Rebuilds of the speed view from the log.")

# Batch layer
BATCH_RUN_SECONDS = _histogram("bvw_batch_run_seconds", "One batch run.", _LONG)
BATCH_STEP_SECONDS = _histogram("bvw_batch_step_seconds", "One step of a run.", _LONG, "step")
BATCH_FAILURES = _counter("bvw_batch_failures_total", "Batch runs that failed.", "step")
BATCH_ROWS = _counter("bvw_batch_rows_total", "Rows written by batch runs.", "step")
BATCH_LAST_SUCCESS = _gauge(
    "bvw_batch_last_success_timestamp_seconds", "When the last batch run succeeded."
)
GENERATION = _gauge("bvw_generation", "Number of the published generation.")
SEGMENTS = _gauge("bvw_segments", "Segments that the published generation lists.")
COMPACTIONS = _counter("bvw_compactions_total", "Compactions of segments or lake files.", "what")
LAKE_FILES = _gauge("bvw_lake_files", "Data files of the table's current snapshot.", "table")
TOPIC_MODELS = _counter("bvw_topic_models_total", "Topic models made, or tried to.", "result")
TOPIC_SILHOUETTE = _gauge(
    "bvw_topic_silhouette", "How well the topics of the last model are apart, -1 to 1."
)
TOPIC_LARGEST_SHARE = _gauge(
    "bvw_topic_largest_share", "Share of pages that the largest topic of the last model has."
)
HORIZON_AGE = _gauge(
    "bvw_horizon_age_seconds", "Append age of the oldest event not yet before the horizon."
)

# Serving
REQUESTS = _counter("bvw_requests_total", "API requests answered.", "route", "status")
REQUEST_SECONDS = _histogram("bvw_request_seconds", "One API request.", _QUICK, "route")
CACHE_REQUESTS = _counter("bvw_cache_requests_total", "Look-ups in the cache.", "result")
CACHE_FAILURES = _counter(
    "bvw_cache_failures_total", "Requests to the cache that failed or took too long."
)
PARTIAL_ANSWERS = _counter("bvw_partial_answers_total", "Answers marked as partial.")
FEED_READERS = _gauge("bvw_feed_readers", "Readers of the live feed that are connected.")
FEED_EVENTS = _counter("bvw_feed_events_total", "Changes sent to readers of the live feed.")
FEED_OVERRUNS = _counter(
    "bvw_feed_overruns_total", "Readers of the live feed cut off because they did not keep up."
)

# Audit
AUDIT_CELLS = _gauge("bvw_audit_cells", "Cells compared by the last audit.")
AUDIT_DIFFERENCES = _gauge("bvw_audit_differences", "Cells that differed in the last audit.")

# The process
DISK_BYTES = _gauge("bvw_disk_bytes", "Bytes on disk in the data directory.", "part")
EVENT_LOOP_LAG = _histogram(
    "bvw_event_loop_lag_seconds", "How late the event loop woke a sleeper.", _QUICK
)
BUILD_INFO = _gauge("bvw_build_info", "Always 1; the version is the label.", "version")
BUILD_INFO.labels(importlib.metadata.version("bots-vs-wiki")).set(1)


@contextlib.asynccontextmanager
async def serve(host: str, port: int, *, chosen: bool = True) -> AsyncIterator[int | None]:
    """Serves `/metrics` while inside; yields the port (0 is off: yields None).

    `chosen` says that somebody asked for this very port, so that not getting it is a refusal.
    The default one may be taken by a neighbour of the same machine: then a warning is enough.
    """
    if port == 0:
        yield None
        return
    from aiohttp import web

    application = web.Application()
    application.router.add_get("/metrics", _scrape)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        yield port if await _listen(web.TCPSite(runner, host, port), host, port, chosen) else None
    finally:
        await runner.cleanup()


async def _listen(site: web.TCPSite, host: str, port: int, chosen: bool) -> bool:
    try:
        await site.start()
    except OSError as error:
        if chosen:
            raise Refused(
                f"metrics_port: cannot listen on {host}:{port} ({error.strerror});"
                " give --metrics-port another port, or 0 for none",
                Exit.TEMPORARY,
            ) from error
        _log.warning("metrics_port_taken", host=host, port=port, way_out="--metrics-port")
        return False
    return True


async def _scrape(_request: web.Request) -> web.Response:
    from aiohttp import web

    # The process collector reads /proc: files, so not on the loop.
    body = await asyncio.to_thread(generate_latest, REGISTRY)
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
