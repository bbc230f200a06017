"""A check-up: what would keep `bvw up` from running well here, each with the command that puts it right.

A check looks and changes nothing. `fail` is what a start would refuse, or what makes it useless; `warn`
is what one should know. What the product refuses elsewhere is found by the same code, and its line
ends in the way out, after the last semicolon; of that the command is enough.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import platform
import re
import socket
import sys
from pathlib import Path
from shlex import quote
from typing import Final, Literal, NamedTuple

from services import processes, wiring
from services.shared import fit
from services.shared.fit import Parts
from services.shared.runtime import datadir, description
from services.shared.runtime.datadir import DEMO, LIVE
from services.shared.runtime.exits import Refused
from services.shared.runtime.settings import DEFAULT, Settings
from services.shared.runtime.unavailable import Unavailable

Verdict = Literal["ok", "warn", "fail"]

OLDEST_PYTHON: Final = (3, 11)
LEAST_FREE: Final = 500_000_000
"""Bytes without which not even a first hour of changes has room."""
_LIBRARIES: Final = ("nltk", "pyarrow", "pyiceberg", "regex", "stopwordsiso", "vl_convert")
_COMMAND: Final = re.compile(r"bvw [a-z ]+(?:DIR )?--data (?:'[^']*'|[^\s)]+)")
_CONTACT: Final = "BVW_CONTACT=you@example.org bvw up"


class Check(NamedTuple):
    """`fix` is a command, or what else to do; empty where all is well."""

    name: str
    verdict: Verdict
    said: str
    fix: str = ""


async def checks(settings: Settings) -> list[Check]:
    place = wiring.place(settings)
    source = settings.source if settings.source != wiring.AUTO else None
    source = source or await asyncio.to_thread(datadir.source_at, place)
    log, data = await _data(settings, place)
    url = await processes.served_url(place, log) if log else None
    return [
        _python(),
        _libraries(),
        await asyncio.to_thread(_disk, settings, place),
        await asyncio.to_thread(_port, settings, url),
        await asyncio.to_thread(_metrics_port, settings, url),
        _contact(settings, source),
        await _stream(settings, source),
        await _cache(settings),
        *data,
    ]


def _python() -> Check:
    running = platform.python_version()
    if sys.version_info[:2] < OLDEST_PYTHON:
        return Check("python", "fail", running, "make clean up PYTHON=/path/to/python3.11")
    return Check("python", "ok", running)


def _libraries() -> Check:
    missing = [name for name in _LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        fix = "pip install 'bots-vs-wiki[all]'"
        return Check("libraries", "fail", f"not installed: {', '.join(missing)}", fix)
    return Check("libraries", "ok", "all are installed")


def _disk(settings: Settings, place: Path) -> Check:
    free, used = datadir.free_bytes(place), datadir.used_bytes(place)
    budget = int(settings.disk_budget)
    said = f"{_gb(free)} free, {_gb(used)} used of a budget of {_gb(budget)}"
    if free < LEAST_FREE:
        return Check("disk", "fail", said, "bvw up --data DIR with a DIR on a larger disk")
    if used > settings.disk_warn_ratio * budget:
        return Check("disk", "warn", said, f"bvw up --set disk_budget={2 * budget}B")
    if free + used < budget:
        fix = f"bvw up --set disk_budget={(free + used) // 1_000_000}MB"
        return Check("disk", "warn", f"{said}: the disk is full before", fix)
    return Check("disk", "ok", said)


def _port(settings: Settings, url: str | None) -> Check:
    host, port = settings.host, int(settings.port)
    if url is not None:
        return Check("port", "ok", f"this directory is served at {url}")
    if (why := _taken(host, port)) is not None:
        return Check("port", "fail", f"{host}:{port}: {why}", "bvw up --port 0")
    return Check("port", "ok", f"{host}:{port} is free")


def _metrics_port(settings: Settings, url: str | None) -> Check:
    host, port = settings.host, int(settings.metrics_port)
    if port == 0:
        return Check("metrics port", "ok", "off")
    if (why := _taken(host, port)) is None:
        return Check("metrics port", "ok", f"{host}:{port} is free")
    if url is not None:
        return Check("metrics port", "ok", f"{host}:{port} is in use while {url} is served")
    # Only one that was asked for keeps `bvw up` from starting.
    verdict: Verdict = "warn" if settings.origin("metrics_port") == DEFAULT else "fail"
    return Check("metrics port", verdict, f"{host}:{port}: {why}", "bvw up --metrics-port 0")


def _taken(host: str, port: int) -> str | None:
    """Why nobody could listen there; None if one could."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        return error.strerror or str(error)
    return None


def _contact(settings: Settings, source: str | None) -> Check:
    if settings.contact:
        return Check("contact", "ok", settings.contact)
    if source and datadir.is_stream(source):
        return Check("contact", "fail", "none, and the live stream refuses who has none", _CONTACT)
    if _recorded(source):
        return Check("contact", "ok", "none, and a recording needs none")
    return Check("contact", "warn", "none, so changes are simulated", _CONTACT)


async def _cache(settings: Settings) -> Check:
    if not settings.cache_url.get_secret_value():
        return Check("cache", "ok", "each process has its own, in memory")
    try:
        return Check("cache", "ok", await wiring.prove_cache(settings))
    except Refused as refusal:
        return _refused("cache", refusal.message)
    except Unavailable as error:
        # Answers take longer, and that is all.
        fix = "start that server, or bvw up --set cache_url="
        return Check("cache", "warn", f"cannot be used: {error}", fix)


async def _stream(settings: Settings, source: str | None) -> Check:
    if _recorded(source):
        return Check("stream", "ok", f"not needed for {source}")
    if not settings.contact:
        return Check("stream", "warn", "not asked, for want of a contact", _CONTACT)
    wanted = source if source and datadir.is_stream(source) else LIVE
    if (why := await wiring.unreachable(settings, wanted)) is None:
        return Check("stream", "ok", "answers")
    verdict: Verdict = "fail" if wanted == source else "warn"
    return Check("stream", verdict, why, "bvw up --source demo, until it answers again")


def _recorded(source: str | None) -> bool:
    return source is not None and source != DEMO and not datadir.is_stream(source)


async def _data(settings: Settings, place: Path) -> tuple[str | None, list[Check]]:
    """The identity of the directory's log, if it can be read, and what there is to say."""
    try:
        if await asyncio.to_thread(_absent, place):
            return None, [Check("data", "ok", f"none yet; bvw up begins some at {place}")]
        described = await asyncio.to_thread(datadir.described, place)
        description.check(place, described)
        parts = await wiring.parts(place, settings)
    except Refused as refusal:
        fault = _refused("data", refusal.message)
    except Unavailable as error:
        fault = Check("data", "fail", str(error), "start that server, or wait until it is up")
    except Exception as error:  # noqa: BLE001 - a damaged file for instance: a fault, whatever it is
        said = f"{place}: {type(error).__name__}: {error}"
        fault = Check("data", "fail", said, "bvw restore DIR --data NEW")
    else:
        return _standing(place, parts)
    return None, [fault]


def _standing(place: Path, parts: Parts | None) -> tuple[str | None, list[Check]]:
    if parts is None:
        return None, [Check("data", "ok", f"{place}: has no log yet; bvw up begins one")]
    faults = [_refused("data", odd) for odd in fit.misfits(parts, place)]
    if not faults and (less := fit.missed(parts)):
        return parts.log, [Check("data", "warn", less, "bvw batch run")]
    return parts.log, faults or [Check("data", "ok", f"{place}: {fit.told(parts)}")]


def _absent(place: Path) -> bool:
    """Refuses a place that nobody can write to."""
    there = next(path for path in (place, *place.absolute().parents) if path.exists())
    if not os.access(there, os.W_OK):
        raise Refused(f"{there}: can't be written to; sudo chown -R $USER {quote(str(there))}")
    return there != place or (place.is_dir() and not any(place.iterdir()))


def _refused(name: str, message: str) -> Check:
    said, _, way_out = message.rpartition("; ")
    command = _COMMAND.search(way_out)
    return Check(name, "fail", said, command[0] if command else way_out)


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f}GB"
