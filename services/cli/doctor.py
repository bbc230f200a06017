"""`bvw doctor`: what would keep the product from running well here, and what puts it right."""

from __future__ import annotations

import asyncio
import json

import typer

from services.cli import options
from services.cli.options import Json
from services.shared.runtime import logs
from services.shared.runtime.exits import Exit
from services.shared.runtime.settings import Settings

_COLORS = {"ok": "green", "warn": "yellow", "fail": "red"}


@options.configured("source", "contact", "host", "port", "metrics_port")
def command(settings: Settings, *, as_json: Json = False) -> None:
    """Check machine, settings and data, and say what puts right what is wrong; exit 1 if that must be."""
    from services.keeping import doctor

    found = asyncio.run(doctor.checks(settings))
    if as_json:
        typer.echo(json.dumps([check._asdict() for check in found], indent=2))
    else:
        for check in found:
            verdict = typer.style(f"{check.verdict:<4}", _COLORS[check.verdict])
            typer.echo(f"{verdict}  {check.name:<12}  {logs.plain(check.said, 1000)}")
            if check.fix:
                typer.echo(f"{'':<20}fix: {check.fix}")
    if any(check.verdict == "fail" for check in found):
        raise typer.Exit(Exit.DIFFERENT)
