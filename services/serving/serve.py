"""The serving service: listens, answers, and ends in order.

On the way out no connection is taken any more, idle ones are closed, and requests that are being
answered get a few seconds to end.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

import structlog
from aiohttp import web

from services.serving import descriptors
from services.serving.api.app import Deps, build
from services.serving.files import Files
from services.serving.protocol import Runner
from services.shared.runtime.exits import Exit, Refused

DRAIN: Final = 1.0
"""Seconds; with the rest of the way out well below `lifecycle.CLOSE`."""

_log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def listening(deps: Deps, *, host: str, port: int) -> AsyncIterator[str]:
    """Serves while inside; yields the URL. Port 0 takes a free one."""
    descriptors.make_room(deps.feed_readers)
    files = await Files.open(deps.cache_dir)
    runner = Runner(build(deps, files), access_log=None, shutdown_timeout=DRAIN)
    try:
        await runner.setup()
        url = await _listen(runner, host, port)
        _log.info("serving", url=url)
        yield url
    finally:
        await runner.cleanup()
        await files.close()


async def run(stop: asyncio.Event, deps: Deps, *, host: str, port: int) -> None:
    """Serves until `stop`."""
    async with listening(deps, host=host, port=port):
        await stop.wait()


async def _listen(runner: web.AppRunner, host: str, port: int) -> str:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        raise Refused(
            f"port: cannot listen on {host}:{port} ({error.strerror}); give --port another, or 0"
            " for any that is free",
            Exit.TEMPORARY,
        ) from None
    bound = runner.addresses[0]
    shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
    return f"http://{shown}:{bound[1]}"
