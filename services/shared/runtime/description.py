"""`bvw.json`: what a data directory says of itself.

It names the source, what the source's content is known by where it has one (another recording may come
under the same path), and the format of everything beside it. Whoever opens the directory reads it before
anything else. It is always written in one step, so it is there whole or not at all.

While a directory is being filled from another one its description has another name, under which nobody
looks for it; taking the name it should have is the last step, and makes the directory whole.
"""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from services.shared.runtime import durable
from services.shared.runtime.exits import Refused

FORMAT: Final = 2
"""Grows with any change to what is stored that the code before it, or after it, could not read;
`keeping.migrate` then gets the steps that lead to it."""
NAME: Final = "bvw.json"
UNFINISHED: Final = "unfinished.json"


@dataclass(frozen=True, slots=True)
class Description:
    """`source` is its full name, see `datadir.full_source`; `content` is empty where it has none."""

    source: str
    content: str = ""
    format: int = FORMAT


def read(path: Path) -> Description:
    """Of a directory, whatever its format. Raises FileNotFoundError where there is none."""
    try:
        told = json.loads((path / NAME).read_text("utf-8"))
    except ValueError:
        raise Refused(
            f"{path / NAME}: is damaged; restore it, or choose another directory with --data"
        ) from None
    return _understood(path, told)


def check(path: Path, described: Description) -> None:
    """Refuses any format but ours, with the way on."""
    if described.format < FORMAT:
        raise Refused(
            f"{path}: has format {described.format}, this version takes {FORMAT};"
            f" bvw migrate --data {shlex.quote(str(path))} brings it there"
        )
    if described.format > FORMAT:
        raise Refused(
            f"{path}: has format {described.format}, this version takes {FORMAT};"
            " use the version of bvw that made it or a newer one, or another --data"
        )


def write(path: Path, described: Description, name: str = NAME) -> None:
    """Durable on return, and never half there."""
    told = {"format": described.format, "source": described.source}
    if described.content:
        told |= {"content": described.content}
    content = f"{json.dumps(told, indent=2)}\n".encode()
    durable.write(path / name, content, by=path / f".{NAME}.{os.getpid()}")
    durable.sync(path.parent)


def finish(path: Path) -> None:
    """What was begun under the other name is whole."""
    (path / UNFINISHED).rename(path / NAME)
    durable.sync(path)


def _understood(path: Path, told: Any) -> Description:
    made = told.get("format") if isinstance(told, dict) else None
    source = told.get("source") if isinstance(told, dict) else None
    if not isinstance(made, int) or not isinstance(source, str):
        raise Refused(
            f"{path / NAME}: is none that this version knows (it takes format {FORMAT});"
            " use the version of bvw that made it, or choose another directory with --data"
        )
    return Description(source, str(told.get("content", "")), made)
