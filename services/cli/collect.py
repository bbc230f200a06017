"""`bvw collect`: the collector alone."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from services.cli import options
from services.shared.runtime.settings import Settings


@options.configured("source", "contact", "metrics_port", "speed", "projects", "types", "namespaces")
def command(
    settings: Settings,
    *,
    events: Annotated[
        int | None, typer.Option("--events", help="Let the simulator end after so many.", min=1)
    ] = None,
) -> None:
    """Read a source into the log; ends with the source."""
    from services import processes, wiring
    from services.shared.runtime import lifecycle

    async def program(stop: asyncio.Event) -> None:
        async with lifecycle.Resources() as resources:
            chosen = await wiring.chosen(settings)
            stores = await wiring.stores(resources, settings, chosen=chosen)
            source = await wiring.source(settings, stores, events=events)
            process = processes.Process(settings, stores)
            await process.begin()
            await process.open_metrics(resources)
            services = {
                "collector": lambda stop: process.collect(source, stop),
                "end": process.until_ended,
            }
            await lifecycle.side_by_side(services, stop)

    lifecycle.main(program)
