"""Servers for tests, and for who wants to see the product on them.

    python -m tests.launchers install [NAME …]         fetch what they need, into the cache folder
    python -m tests.launchers with [NAME …] -- COMMAND  start them, run the command with their URLs in its
                                                        environment, stop them; its exit code
    python -m tests.launchers product [NAME …] -- bvw …  the same, as settings of the product
    python -m tests.launchers up [NAME …]               start them, print their URLs, stop at Ctrl-C

A server whose URL is in the environment already is used as it is.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

from tests.launchers import place

NOT_LAUNCHERS = {"__init__", "__main__", "place"}


def launchers(names: Sequence[str]) -> list[ModuleType]:
    """Those that are named, or all."""
    there = sorted({path.stem for path in Path(__file__).parent.glob("*.py")} - NOT_LAUNCHERS)
    for name in names:
        if name not in there:
            sys.exit(f"no launcher {name!r}; there is: {', '.join(there)}")
    return [importlib.import_module(f"tests.launchers.{name}") for name in names or there]


def install(names: Sequence[str]) -> None:
    for launcher in launchers(names):
        launcher.install(place.cache())


@contextlib.contextmanager
def running(names: Sequence[str]) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """The URLs by variable, and by setting, while the servers run."""
    with contextlib.ExitStack() as stack:
        urls: dict[str, str] = {}
        settings: dict[str, str] = {}
        for launcher in launchers(names):
            url = os.environ.get(launcher.VARIABLE)
            if not url:
                launcher.install(place.cache())
                server = launcher.start(place.cache())
                stack.callback(server.stop)
                url = server.url
            urls[launcher.VARIABLE] = settings[launcher.SETTING] = url
        yield urls, settings


def main(words: Sequence[str]) -> int:
    verb, *rest = words or [""]
    if verb == "install":
        install(rest)
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if verb == "up":
        with running(rest) as (urls, settings), contextlib.suppress(KeyboardInterrupt):
            for variable, url in (urls | settings).items():
                print(f"export {variable}={url}", flush=True)
            signal.pause()
        return 0
    if verb in {"with", "product"} and "--" in rest:
        at = rest.index("--")
        with running(rest[:at]) as (urls, settings):
            told = os.environ | (urls if verb == "with" else settings)
            signal.signal(signal.SIGINT, lambda *_: None)  # the command's to hear: it ends in order
            return subprocess.run(rest[at + 1 :], env=told, check=False).returncode
    sys.stderr.write(__doc__ or "")
    return 64


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
