"""`bvw restore`: a data directory from a backup."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path
from typing import Annotated

import typer

from services.cli import options
from services.shared.runtime.settings import Settings


@options.configured()
def command(
    settings: Settings,
    *,
    source: Annotated[Path, typer.Argument(metavar="DIR", help="A backup.")],
) -> None:
    """Make a data directory from a backup, in a new or empty place."""
    from services import wiring
    from services.keeping import copying
    from services.shared import fit

    target = wiring.place_for(settings, copying.described(source).source)
    parts = asyncio.run(copying.restore(source, target, options.tell))
    typer.echo(f"{target} is restored: {fit.told(parts)}", err=True)
    typer.echo(f"bvw up --data {shlex.quote(str(target))} goes on from there", err=True)
