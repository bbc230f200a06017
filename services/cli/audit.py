"""`bvw audit`: the proof. Every cell of the API against a recount of what is stored."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli import options
from services.cli.options import Json
from services.shared.runtime.exits import Exit
from services.shared.runtime.settings import Settings

if TYPE_CHECKING:
    from services.audit.audit import Result


@options.configured("source")
def command(
    settings: Settings,
    *,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Recount everything and compare it with every answer; exit 0 if all are equal, 1 if not."""
    import msgspec

    result = asyncio.run(_audit(settings, quiet=quiet or as_json))
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(result)).decode())
    else:
        _tell(result)
    if not result.exact:
        raise typer.Exit(Exit.DIFFERENT)


async def _audit(settings: Settings, *, quiet: bool) -> Result:
    from services import processes, wiring
    from services.audit import audit, client
    from services.shared.runtime import lifecycle

    async with lifecycle.Resources() as resources:
        stores = await wiring.stores(resources, settings)
        url = await processes.Process(settings, stores).api_for_tools(resources)
        async with client.connected(url) as api:
            return await audit.audit(
                api,
                stores.log,
                await stores.lake(),
                stores.clock,
                window_ms=round(settings.dedupe_window * 1000),
                progress=(lambda _what, _n: None) if quiet or not sys.stderr.isatty() else _show,
            )


def _show(what: str, number: int) -> None:
    typer.echo(f"\r{what} {number:,}   ", err=True, nl=False)


def _tell(result: Result) -> None:
    typer.echo("", err=True)
    verdict = "exact" if result.exact else f"{result.differences} differences"
    typer.echo(
        f"{verdict}: {result.cells:,} cells of {result.questions:,} answers against"
        f" {result.events:,} events recounted ({result.copies:,} copies left out),"
        f" generation {result.generation}, {result.seconds:.1f} s"
    )
    for difference in result.listed:
        typer.echo(
            f"  {difference.question}  {difference.cell}:"
            f" answered {difference.answered}, recounted {difference.recounted}"
        )
    if result.days_not_recounted:
        typer.echo(f"  no longer stored, not recounted: {result.days_not_recounted}")
    if result.late_days:
        typer.echo(f"  copies later than the dedupe window, not compared: {result.late_days}")
