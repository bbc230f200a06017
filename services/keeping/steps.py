"""The steps of migrations. Each takes a directory from before it, or from after it, to after it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from services.wiring import LAKE


def condemned(path: Path) -> None:
    """Format 1 named the lake's condemned files by full path.

    What was condemned somewhere else, before the directory was moved, is forgotten: it has its grace time anew.
    """
    lake = (path / LAKE).resolve()
    listed = lake / "condemned.json"
    with contextlib.suppress(FileNotFoundError, ValueError):
        since = json.loads(listed.read_bytes())
        places = {
            str(lake.joinpath(file).relative_to(lake)): at
            for file, at in since.items()
            if lake.joinpath(file).is_relative_to(lake)
        }
        fresh = listed.with_suffix(".migrated")
        fresh.write_text(json.dumps(places))
        fresh.replace(listed)
