"""`bvw up`: the whole product in one process, on one data directory."""

from __future__ import annotations

import asyncio
import webbrowser
from typing import Annotated

import typer

from services.cli import options
from services.shared.runtime.datadir import DEMO, is_stream
from services.shared.runtime.exits import Refused
from services.shared.runtime.settings import Settings


@options.configured(
    "source", "contact", "host", "port", "metrics_port", "speed", "batch_every",
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
        chosen = await wiring.chosen(settings)
        if ends and events is None and (chosen.source == DEMO or is_stream(chosen.source)):
            raise Refused(
                f"--until-caught-up: {chosen.source} never ends by itself; with --events N the"
                " simulator does, and so does a recording (--source PATH)"
            )
        stores = await wiring.stores(resources, settings, chosen=chosen)
        source = await wiring.source(settings, stores, events=events)
        process = processes.Process(settings, stores)
        await process.begin()
        url = await process.open_api(resources, source.description, chosen.note)
        _greet(url, source.description, chosen.note, simulated=stores.kind == "simulated")
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


def _greet(url: str, description: str, note: str, *, simulated: bool) -> None:
    typer.echo(f"Bots vs Wiki: {url}")
    typer.echo(f"Source: {description}")
    if simulated:
        typer.echo("These changes are made up, to try things out.")
    if note:
        typer.echo(note)
    typer.echo("Prove the numbers with: bvw audit. Stop with Ctrl-C.")
