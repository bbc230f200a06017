"""`bvw deadletters`: events that were not understood, to look at and to try again."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli import options
from services.cli.options import Json
from services.shared.runtime import logs
from services.shared.runtime.exits import Exit, Refused
from services.shared.runtime.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from services.collector.filters import Filters
    from services.shared.log.port import DeadLetter, EventLog

app = typer.Typer(help="Look at events that were not understood, and try them again.")

_SHOWN = 16  # digits of a hash that tell letters apart
_MOST = 10_000
_PAGE = 50


@app.command("list")
@options.configured("source")
def list_letters(
    settings: Settings,
    *,
    as_json: Json = False,
    limit: Annotated[int, typer.Option("--limit", help="At most so many.", min=1, max=_MOST)] = 100,
) -> None:
    """List dead letters by hash, with reason and origin."""
    for text in asyncio.run(_listed(settings, limit, as_json=as_json)):
        typer.echo(text)


@app.command()
@options.configured("source")
def show(
    settings: Settings,
    *,
    letter_hash: Annotated[str, typer.Argument(metavar="HASH", help="Or its first digits.")],
    as_json: Json = False,
) -> None:
    """Show one dead letter with its raw bytes."""
    letter = asyncio.run(_found(settings, letter_hash))
    typer.echo(json.dumps(whole(letter), indent=2) if as_json else page(letter))


@app.command()
@options.configured("source", "projects", "types", "namespaces")
def replay(
    settings: Settings,
    *,
    hashes: Annotated[
        list[str] | None, typer.Argument(metavar="HASH", help="Or their first digits.")
    ] = None,
    all_letters: Annotated[bool, typer.Option("--all", help="Every dead letter.")] = False,
) -> None:
    """Parse dead letters again; what is understood now is counted like any event."""
    if bool(hashes) == all_letters:
        raise typer.BadParameter("name dead letters by hash, or all of them by --all")
    typer.echo(asyncio.run(_replayed(settings, None if all_letters else hashes)))


def described(letter: DeadLetter) -> dict[str, Any]:
    """All about a dead letter but its raw bytes."""
    fields = dataclasses.asdict(letter)
    return fields | {"bytes": len(fields.pop("raw"))}


def whole(letter: DeadLetter) -> dict[str, Any]:
    """With its raw bytes: as text where they are text, otherwise as base64."""
    try:
        return described(letter) | {"raw": letter.raw.decode()}
    except UnicodeDecodeError:
        return described(letter) | {"raw_base64": base64.b64encode(letter.raw).decode()}


def line(letter: DeadLetter) -> str:
    """For a terminal: strangers' text can't forge a line or repaint the screen."""
    return f"{letter.hash[:_SHOWN]}  {letter.reason:<16}  {logs.plain(letter.detail, 100)}"


def page(letter: DeadLetter) -> str:
    fields = whole(letter)
    return "\n".join(
        f"{name:<10}  {logs.plain(str(value), 1 << 22)}" for name, value in fields.items()
    )


async def replayed(
    log: EventLog, data: Path, hashes: Sequence[str] | None, filters: Filters
) -> str:
    """Replays, or asks the running collector to; says in a line what has come of it."""
    from services.collector import replay as collector
    from services.shared.runtime import roles

    try:
        async with roles.hold(data, "collector"):
            outcome = await collector.replay(log, hashes, filters=filters)
    except Refused as refusal:
        if refusal.code != Exit.TEMPORARY:
            raise
        await asyncio.to_thread(collector.leave, data, hashes)
        return "asked the running collector; it replays within a second and logs the outcome"
    if outcome.unknown:
        raise Refused(
            f"no dead letter {', '.join(map(logs.plain, outcome.unknown))}; see: bvw deadletters list",
            Exit.USAGE,
        )
    return (
        f"{outcome.appended} appended, {outcome.filtered} left out by filters,"
        f" {outcome.rejected} rejected again"
    )


async def listed(log: EventLog, limit: int, *, as_json: bool) -> list[str]:
    """A text each, read in pages: a letter may have a MiB of raw bytes, a text of it has not."""
    texts: list[str] = []
    after = ""
    while letters := await log.deadletters(after=after, limit=min(_PAGE, limit - len(texts))):
        texts += (json.dumps(described(letter)) if as_json else line(letter) for letter in letters)
        after = letters[-1].hash
        if len(texts) == limit:
            break
    return texts


async def _listed(settings: Settings, limit: int, *, as_json: bool) -> list[str]:
    from services import wiring

    async with wiring.log(settings) as (_, log):
        return await listed(log, limit, as_json=as_json)


async def _found(settings: Settings, prefix: str) -> DeadLetter:
    from services import wiring

    async with wiring.log(settings) as (_, log):
        letter = await log.deadletter(prefix)
    if letter is None:
        raise Refused(
            f"no dead letter {logs.plain(prefix)!r}; see: bvw deadletters list", Exit.USAGE
        )
    return letter


async def _replayed(settings: Settings, hashes: Sequence[str] | None) -> str:
    from services import wiring
    from services.collector.filters import Filters

    filters = Filters(settings.projects, settings.types, settings.namespaces)
    async with wiring.log(settings) as (data, log):
        return await replayed(log, data, hashes, filters)
