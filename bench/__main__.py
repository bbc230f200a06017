"""`make bench`: every benchmark, or those that are named; a table, and JSON where asked for."""

import argparse
import importlib
import json
import os
import platform
from pathlib import Path
from typing import Final

from rich.console import Console

from bench import events
from bench.figures import Figure, as_json, table

NAMES: Final = (
    "decode",
    "text",
    "log",
    "speed",
    "latency",
    "api",
    "stream",
    "feed",
    "page",
    "pipeline",
)

ON_SERVERS: Final = ("kafka",)
"""Those that start a server, so only where they are named."""

WIDTH: Final = 132
"""Columns of what is written to a file."""


def main() -> None:
    asked = _arguments()
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    console.print(f"{platform.python_version()}, {os.cpu_count()} cores, {events.origin()}")
    found: dict[str, list[Figure]] = {}
    for name in asked.names or NAMES:
        found[name] = importlib.import_module(f"bench.{name}").figures()
        table(name, found[name], console)
    if asked.json:
        text = json.dumps({name: as_json(figures) for name, figures in found.items()}, indent=1)
        asked.json.write_text(text + "\n", "utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", choices=[[], *NAMES, *ON_SERVERS], help="benchmarks; all if none"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
