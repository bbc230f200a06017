"""`bvw speed`: the speed layer alone, and its rebuild."""

from __future__ import annotations

import asyncio

import typer

from services.cli import options
from services.shared.runtime.exits import Exit, Refused
from services.shared.runtime.settings import Settings

app = typer.Typer(help="Follow the log into the speed view, or make the view anew.")


@app.callback(invoke_without_command=True)
@options.configured("source", "metrics_port")
def follow(settings: Settings, *, context: typer.Context) -> None:
    """Follow the log into the speed view until stopped."""
    if context.invoked_subcommand is not None:
        return
    from services import processes, wiring
    from services.shared.runtime import lifecycle

    async def program(stop: asyncio.Event) -> None:
        async with lifecycle.Resources() as resources:
            stores = await wiring.stores(resources, settings)
            process = processes.Process(settings, stores)
            await process.begin()
            await process.open_metrics(resources)
            await lifecycle.side_by_side({"speed": process.speed}, stop)

    lifecycle.main(program)


@app.command()
@options.configured("source")
def rebuild(settings: Settings) -> None:
    """Empty the speed view and fill it again from the log."""
    typer.echo(asyncio.run(_rebuild(settings)), err=True)


async def _rebuild(settings: Settings) -> str:
    """Does it if nobody follows the log, otherwise asks whoever does."""
    from services import processes, wiring
    from services.shared.runtime import lifecycle
    from services.speed import rebuild as rebuilding

    async with lifecycle.Resources() as resources:
        stores = await wiring.stores(resources, settings)
        await asyncio.to_thread(rebuilding.request, stores.path)
        process = processes.Process(settings, stores)
        try:
            await process.speed(asyncio.Event(), until=await stores.log.stable_end())
        except Refused as refusal:
            if refusal.code != Exit.TEMPORARY:
                raise
            return "asked the running speed layer to rebuild; answers are partial until it has"
        return "the speed view is rebuilt"
