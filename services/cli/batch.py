"""`bvw batch`: the batch layer alone, one run, a rebuild, and the runs so far."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli import options
from services.cli.options import Json
from services.shared.runtime.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.batch.run import Kind
    from services.shared.batchview.port import Run

app = typer.Typer(help="Count what the log holds into the batch view.")
NoWait = Annotated[
    bool, typer.Option("--no-wait", help="Exit 75 at once if another run is under way.")
]


@app.callback(invoke_without_command=True)
@options.configured("source", "metrics_port", "batch_every")
def repeat(settings: Settings, *, context: typer.Context) -> None:
    """Run again and again until stopped."""
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
            await lifecycle.side_by_side({"batch": process.batch}, stop)

    lifecycle.main(program)


@app.command()
@options.configured("source")
def run(settings: Settings, *, as_json: Json = False, no_wait: NoWait = False) -> None:
    """One run: take in what is new, count it, publish it."""
    _once(settings, "run", as_json=as_json, wait=not no_wait)


@app.command()
@options.configured("source")
def rebuild(settings: Settings, *, as_json: Json = False, no_wait: NoWait = False) -> None:
    """Count everything again from the lake."""
    _once(settings, "rebuild", as_json=as_json, wait=not no_wait)


@app.command()
@options.configured("source")
def runs(
    settings: Settings,
    *,
    as_json: Json = False,
    limit: Annotated[int, typer.Option("--limit", help="At most so many.", min=1)] = 20,
) -> None:
    """The runs so far, newest first."""
    from rich.console import Console

    from services.batch import report

    found = asyncio.run(_runs(settings, limit))
    if as_json:
        typer.echo(json.dumps([report.as_json(run) for run in found], indent=2))
    else:
        Console().print(report.runs(found))


async def _runs(settings: Settings, limit: int) -> list[Run]:
    from services import wiring
    from services.shared.runtime import lifecycle

    async with lifecycle.Resources() as resources:
        stores = await wiring.stores(resources, settings)
        return await stores.batch.runs(limit=limit)


def _once(settings: Settings, kind: Kind, *, as_json: bool, wait: bool) -> None:
    from rich.console import Console

    from services.batch import report
    from services.shared.runtime import lifecycle

    async def program(stop: asyncio.Event) -> Run:
        with report.bars(Console(stderr=True)) as tell:
            return await _run(settings, kind, stop, wait=wait, on_progress=tell)

    done = lifecycle.main(program)
    if as_json:
        typer.echo(json.dumps(report.as_json(done), indent=2))
    else:
        Console().print(report.steps(done))


async def _run(
    settings: Settings,
    kind: Kind,
    stop: asyncio.Event,
    *,
    wait: bool,
    on_progress: Callable[[Run], None],
) -> Run:
    from services import processes, wiring
    from services.shared.runtime import lifecycle, roles

    async with lifecycle.Resources() as resources:
        stores = await wiring.stores(resources, settings)
        process = processes.Process(settings, stores)
        await process.begin()
        async with roles.hold(stores.path, "batch", wait=wait):
            return await process.batch_once(kind, stop=stop, on_progress=on_progress)
