"""`bvw version`: what to name in a report, the program's version and what it runs on."""

from __future__ import annotations

import importlib.metadata
import json
import platform

import typer

from services.cli.options import Json


def command(*, as_json: Json = False) -> None:
    """Print the version."""
    version = importlib.metadata.version("bots-vs-wiki")
    running = {"version": version, "python": platform.python_version(), "os": platform.platform()}
    if as_json:
        typer.echo(json.dumps(running))
    else:
        typer.echo(f"bots-vs-wiki {version} (Python {running['python']}, {running['os']})")
