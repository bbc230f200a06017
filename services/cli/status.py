"""`bvw status`: how far everything is, from the running product or from its directory."""

from __future__ import annotations

import asyncio

import typer

from services.cli import options
from services.cli.options import Json
from services.shared.runtime.settings import Settings


@options.configured("source")
def command(settings: Settings, *, as_json: Json = False) -> None:
    """Tell how far the log and both layers are, who runs, and whether answers are exact."""
    for line in asyncio.run(_lines(settings, as_json=as_json)):
        typer.echo(line)


async def _lines(settings: Settings, *, as_json: bool) -> list[str]:
    import msgspec

    from services import wiring
    from services.keeping import standing
    from services.shared.runtime import lifecycle

    async with lifecycle.Resources() as resources:
        stores = await wiring.stores(resources, settings)
        told, url = await standing.status(stores)
        if as_json:
            return [msgspec.json.format(msgspec.json.encode(told)).decode()]
        said = await asyncio.to_thread(lambda: list(standing.words(told, url, stores)))
        return [f"{subject:<12}  {text}" for subject, text in said]
