"""`bvw crashpoints`: where a process can be made to die, for whoever tests recovery."""

from __future__ import annotations

import json

import typer

from services.cli.options import Json
from services.shared.runtime import crash


def command(*, as_json: Json = False) -> None:
    """List the crash points that BVW_CRASH_AT=NAME:N can arm."""
    if as_json:
        typer.echo(json.dumps(crash.POINTS))
        return
    width = max(map(len, crash.POINTS), default=0)
    for name, text in crash.POINTS.items():
        typer.echo(f"{name:<{width}}  {text}")
