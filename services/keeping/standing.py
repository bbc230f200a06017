"""How things stand in a data directory: what `/v1/status` says, also where nobody serves it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

import msgspec

from services import processes
from services.audit import client
from services.serving.api.models.ours import SourceRow, StatusAnswer, StreamRow
from services.serving.api.present import Present
from services.serving.pins import Pins
from services.shared.domain.positions import shown
from services.shared.runtime import logs, roles
from services.wiring import Stores

_PATH: Final = "/v1/status"


async def status(stores: Stores) -> tuple[StatusAnswer, str | None]:
    """What the running API says, with its URL; what the stores say where there is none."""
    url = await processes.served_url(stores.path, stores.log.identity)
    if url is not None:
        async with client.connected(url) as api:
            _, told = await api.get(_PATH)
            return msgspec.convert(told, StatusAnswer), url
    source = SourceRow(stores.directory.source, stores.kind, stores.directory.source)
    pins = Pins(stores.log, stores.speed, stores.batch, stores.clock, live=0)
    present = Present(pins, stores.log, stores.speed, stores.batch, stores.clock, source)
    return await present.status(), None


def words(told: StatusAnswer, url: str | None, stores: Stores) -> Iterator[tuple[str, str]]:
    """The same for people: a subject, and what there is to say of it."""
    yield "data", f"{stores.path}, {told.source.kind}: {told.source.description}"
    yield "serving", url or "nobody; read from the directory"
    for role in roles.WRITERS:
        yield role, roles.holder(stores.path, role) or "not running"
    yield "log", f"ends at {shown(told.end)}, {_time(told.end_time)}"
    yield "speed view", _speed(told)
    yield "batch view", _batch(told)
    yield "answers", "; ".join([told.completeness, *map(logs.plain, told.reasons)])
    if told.stream is not None:
        yield "stream", _stream(told.stream)
    tallies = (f"{name} {count:,}" for name, count in sorted(told.tallies.items()))
    yield "events", ", ".join(tallies) or "none yet"
    yield "dead letters", f"{told.deadletters:,}"
    yield "disk", ", ".join(f"{part} {size / 1e6:,.1f} MB" for part, size in told.bytes.items())


def _speed(told: StatusAnswer) -> str:
    if told.visible is None:
        return "has not begun; bvw speed fills it from the log"
    return f"visible to {shown(told.visible)}, {_behind(told.speed_lag_seconds)}"


def _batch(told: StatusAnswer) -> str:
    counted = f"generation {told.generation}, horizon {shown(told.horizon)}"
    return f"{counted}, {_behind(told.batch_lag_seconds)}"


def _behind(seconds: float) -> str:
    return f"{seconds:,.1f} s behind" if seconds else "up to date"


def _stream(stream: StreamRow) -> str:
    said = [f"{stream.state} since {_time(stream.since)}"]
    if stream.reason:
        said.append(logs.plain(stream.reason))
    if stream.retry_at:
        said.append(f"tries again at {_time(stream.retry_at)}")
    if stream.last_event_at:
        said.append(f"last event {_time(stream.last_event_at)}")
    if stream.canaries_missing:
        said.append("no canary for too long: it may be broken though it stands")
    return ", ".join(said)


def _time(iso: str) -> str:
    return f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M:%S} UTC"
