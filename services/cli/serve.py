"""`bvw serve`: the API and the page alone."""

from __future__ import annotations

import asyncio

import typer

from services.cli import options
from services.shared.runtime.settings import Settings


@options.configured("source", "host", "port", "metrics_port")
def command(settings: Settings) -> None:
    """Serve the page and the API over a data directory."""
    from services import processes, wiring
    from services.shared.runtime import lifecycle

    async def program(stop: asyncio.Event) -> None:
        async with lifecycle.Resources() as resources:
            stores = await wiring.stores(resources, settings)
            process = processes.Process(settings, stores)
            await process.begin()
            url = await process.open_api(resources, stores.directory.source)
            typer.echo(f"Bots vs Wiki: {url}")
            await lifecycle.side_by_side({"serving": process.serve}, stop)

    lifecycle.main(program)
