"""The page's files: read once at start, served from memory; the page itself once per language.

What draws the charts is Vega from the package vl-convert, made into one module the first time (see
`bundle`) and kept in the cache folder; nothing of it is in this repository, and nothing comes from elsewhere.
"""

import asyncio
import hashlib
import importlib.metadata
from asyncio.subprocess import DEVNULL
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from services.serving import bundle, languages
from services.shared.runtime import child

PAGE: Final = "services.serving.page"
INDEX: Final = "index.html"
VEGA: Final = "vega.js"
TYPES: Final = {
    ".css": "text/css",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}

_BUNDLE: Final = 1


@dataclass(frozen=True, slots=True)
class File:
    body: bytes
    type: str
    etag: str


def file(name: str, body: bytes) -> File:
    digest = hashlib.blake2b(body, digest_size=12).hexdigest()
    return File(body, TYPES[Path(name).suffix], f'"{digest}"')


class Files:
    """Create it with `open`. The chart module may take seconds: only who asks for it waits."""

    def __init__(
        self, files: dict[str, File], pages: dict[str, File], vega: asyncio.Task[File]
    ) -> None:
        self._files = files
        self._vega = vega
        self.pages: Final = pages

    @classmethod
    async def open(cls, cache: Path) -> "Files":
        files = await asyncio.to_thread(lambda: dict(_parts()))
        pages = await asyncio.to_thread(lambda: dict(_pages()))
        return cls(files, pages, asyncio.create_task(_vega(cache)))

    async def get(self, name: str) -> File | None:
        if name == VEGA:
            return await asyncio.shield(self._vega)
        return self._files.get(name)

    async def close(self) -> None:
        self._vega.cancel()
        await asyncio.wait({self._vega})


def _parts() -> Iterator[tuple[str, File]]:
    for entry in resources.files(PAGE).iterdir():
        if Path(entry.name).suffix in TYPES and entry.name != INDEX:
            yield entry.name, file(entry.name, entry.read_bytes())


def _pages() -> Iterator[tuple[str, File]]:
    # All modules are asked for at once: one that asks for the next would take a round trip each.
    names = sorted(entry.name for entry in resources.files(PAGE).iterdir())
    modules = [name for name in (*names, VEGA) if name.endswith(".js")]
    preloads = "".join(f'<link rel="modulepreload" href="/static/{name}">' for name in modules)
    template = resources.files(PAGE).joinpath(INDEX).read_text("utf-8")
    template = template.replace("{{preloads}}", preloads)
    for language, strings in languages.read().items():
        body = languages.written(template, language, strings)
        yield language, file(INDEX, body.encode())


async def _vega(cache: Path) -> File:
    version = await asyncio.to_thread(importlib.metadata.version, "vl-convert-python")
    kept = cache / f"vega-{version}-{_BUNDLE}.js"
    if not await asyncio.to_thread(kept.exists):
        await asyncio.to_thread(cache.mkdir, parents=True, exist_ok=True)
        process = await child.started(bundle.__name__, str(kept), stdin=DEVNULL)
        try:
            code = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if code:
            raise RuntimeError(f"the charts' module could not be made: exit code {code}")
    return file(kept.name, await asyncio.to_thread(kept.read_bytes))
