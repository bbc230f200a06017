"""`bvw config show`: which value each setting has here, and who gave it."""

from __future__ import annotations

import json

import typer

from services.cli import options
from services.cli.options import Json
from services.shared.runtime.settings import Settings

app = typer.Typer(help="Look at the settings.", no_args_is_help=True)


@app.callback()
def _config() -> None:
    pass  # makes `show` a verb of its own


@app.command()
@options.configured()
def show(settings: Settings, *, as_json: Json = False) -> None:
    """Print every setting with its value and origin, secrets redacted."""
    origins = settings.origins()
    if as_json:
        typer.echo(json.dumps([origin._asdict() for origin in origins], indent=2))
        return
    names, values = (max(len(origin[column]) for origin in origins) for column in (0, 1))
    for name, value, origin in origins:
        typer.echo(f"{name:<{names}}  {value or '-':<{values}}  {origin}")
