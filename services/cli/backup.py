"""`bvw backup`: a copy of a data directory, whatever runs on it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from services.cli import options
from services.shared.runtime.exits import Refused
from services.shared.runtime.settings import Settings


@options.configured("source")
def command(
    settings: Settings,
    *,
    target: Annotated[Path, typer.Argument(metavar="DIR", help="New or empty directory.")],
    earlier: Annotated[
        Path | None,
        typer.Option(
            help="A backup on the same disk; files that have not changed since take no more space."
        ),
    ] = None,
) -> None:
    """Copy a data directory, also while it is in use."""
    from services import wiring
    from services.keeping import copying
    from services.shared import fit

    if elsewhere := wiring.on_servers(settings):
        raise Refused(
            f"{elsewhere[0]}: a backup is of files; what is on a server is backed up by its own tools"
        )
    source = wiring.place(settings)
    parts = asyncio.run(copying.backup(source, target, options.tell, earlier=earlier))
    typer.echo(f"{target} is a backup of {source}: {fit.told(parts)}", err=True)
