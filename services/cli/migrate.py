"""`bvw migrate`: a data directory of an older format, or from another place, made ready for this version."""

from __future__ import annotations

import asyncio

import typer

from services.cli import options
from services.shared.runtime.settings import Settings


@options.configured("source")
def command(settings: Settings) -> None:
    """Bring a data directory to this version's format, and let a moved or copied one stand where it is."""
    from services import wiring
    from services.keeping import migrate

    path = wiring.place(settings)
    asyncio.run(migrate.migrate(path, options.tell))
    typer.echo(f"{path} is as this version needs it", err=True)
