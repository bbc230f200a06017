"""`bvw topics`: what the pages are about, as the API says it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import typer

from services.cli import options
from services.cli.options import Json
from services.shared.runtime.exits import Exit, Refused
from services.shared.runtime.settings import Settings


@options.configured("source")
def command(settings: Settings, *, as_json: Json = False) -> None:
    """The topics of the last two days with changes, by edits."""
    answer = asyncio.run(_asked(settings))
    if as_json:
        typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        _tell(answer)


async def _asked(settings: Settings) -> Any:
    """The answer of the API that runs on the data directory, or of one of our own."""
    from services import processes, wiring
    from services.audit import client
    from services.shared.runtime import lifecycle

    async with lifecycle.Resources() as resources:
        stores = await wiring.stores(resources, settings)
        url = await processes.Process(settings, stores).api_for_tools(resources)
        async with client.connected(url) as api:
            status, answer = await api.get("/v1/topics?allow=partial")
    if status != 200:
        raise Refused(f"topics: {answer['detail']}", Exit.TEMPORARY)
    return answer


def _tell(answer: Any) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("topic", title=escape(_title(answer)), title_justify="left")
    for name in ("edits", "share", "bots", "humans"):
        table.add_column(name, justify="right")
    table.add_column("pages near its middle", overflow="fold")
    for topic in [*answer["topics"], {"label": "(none)", "titles": [], **answer["none"]}]:
        numbers = (f"{topic['edits']:,}", f"{topic['share']:.1%}")
        sides = (f"{topic['bots']:,}", f"{topic['humans']:,}")
        titles = ", ".join(page["title"] for page in topic["titles"][:3])
        table.add_row(escape(topic["label"]), *numbers, *sides, escape(_visible(titles)))
    console = Console()
    console.print(table)
    for line in (answer["note"], *answer["meta"]["reasons"]):
        if line:
            console.print(escape(line))


def _visible(text: str) -> str:
    """Titles are written by strangers, and a terminal obeys what can't be seen."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def _title(answer: Any) -> str:
    span = f"{answer['start'][:10]} to {answer['end'][:10]} (excluded)"
    model = answer["model"]
    if model is None:
        return span
    return (
        f"{span}: {model['verdict']}, silhouette {model['silhouette']:.2f},"
        f" largest topic {model['largest_share']:.0%} of pages"
    )
