"""`bvw up`: the whole product in one process, on one data directory."""

from __future__ import annotations

import asyncio
import webbrowser
from typing import Annotated

import typer

from services.cli import options
from services.shared.runtime.exits import Refused
from services.shared.runtime.settings import Settings


@options.configured(
    "source", "host", "port", "metrics_port", "speed", "batch_every",
    "projects", "types", "namespaces",
)  # fmt: skip
def command(
    settings: Settings,
    *,
    until_caught_up: Annotated[
        bool,
        typer.Option(
            "--until-caught-up",
            help="End once the source has ended and both layers have all of it.",
        ),
    ] = False,
    events: Annotated[
        int | None, typer.Option("--events", help="Let the simulator end after so many.", min=1)
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Run everything: collect, index, count, and serve the page and the API."""
    if until_caught_up and settings.source in {"auto", "demo"} and events is None:
        raise Refused(
            "--until-caught-up: the simulator never ends by itself; add --events N,"
            " or name a recording with --source"
        )
    from services.shared.runtime import lifecycle

    async def program(stop: asyncio.Event) -> None:
        await _up(settings, stop, events=events, ends=until_caught_up, show=open_)

    lifecycle.main(program)


async def _up(
    settings: Settings, stop: asyncio.Event, *, events: int | None, ends: bool, show: bool
) -> None:
    from services import processes, wiring
    from services.shared.runtime import lifecycle

    await asyncio.to_thread(processes.load)
    async with lifecycle.Resources() as resources:
        stores = await wiring.stores(resources, settings, create=True)
        source = await wiring.source(settings, stores, events=events)
        process = processes.Process(settings, stores)
        await process.begin()
        url = await process.open_api(resources, source.description)
        _greet(url, source.description, simulated=stores.kind == "simulated")
        services: dict[str, lifecycle.Service] = {
            "collector": lambda stop: process.collect(source, stop),
            "speed": process.speed,
            "batch": process.batch,
            "serving": process.serve,
        }
        if ends:
            services["until caught up"] = process.until_caught_up
        if show:
            await asyncio.to_thread(webbrowser.open, url)
        await lifecycle.side_by_side(services, stop)


def _greet(url: str, description: str, *, simulated: bool) -> None:
    typer.echo(f"Bots vs Wiki: {url}", err=True)
    typer.echo(f"Source: {description}", err=True)
    if simulated:
        typer.echo(
            "These changes are made up, to try things out. Real ones: --source with a recording"
            " of recentchange events (.jsonl, .jsonl.gz, .jsonl.zst, or a folder).",
            err=True,
        )
    typer.echo("Prove the numbers with: bvw audit. Stop with Ctrl-C.", err=True)
