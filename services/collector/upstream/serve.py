"""A fake of the upstream: the EventStreams service as it was recorded, over a history, with faults.

    async with serving(history, "cut=100,3 status=429") as upstream:
        ...  # a client of upstream.url; history.append(…) whenever something happens

`arrivals` are put into the history besides, all at once or at a `pace`; see `feed`. What clients did is
in `upstream.stats`, and at /_fake/stats for those in another process. A stream never ends by itself.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Final

from services.collector.upstream import faults, request, stats
from services.collector.upstream.connection import close
from services.collector.upstream.feed import Feed
from services.collector.upstream.happenings import Arrival
from services.collector.upstream.history import History
from services.collector.upstream.mishaps import Mishaps
from services.collector.upstream.request import Malformed
from services.collector.upstream.upstream import Upstream
from services.collector.upstream.visit import Visit
from services.shared.runtime.clock import Clock, SystemClock
from services.shared.runtime.exits import Exit, Refused

_FIRST_REQUEST_S: Final = 60.0
_NEXT_REQUEST_S: Final = 5.0
_CLOSE_S: Final = 1.0


@contextlib.asynccontextmanager
async def serving(
    history: History,
    script: str | faults.Script = "",
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    arrivals: Iterable[Arrival] = (),
    pace: float | None = None,
    seed: int = 0,
    clock: Clock | None = None,
) -> AsyncIterator[Upstream]:
    """Serves while inside, once the feed is ready for readers. Port 0 takes a free one."""
    parsed = faults.parse(script) if isinstance(script, str) else script
    mishaps = Mishaps(parsed, seed)
    upstream = Upstream(history, mishaps, clock or SystemClock())
    feed = Feed(
        history,
        upstream.audience,
        arrivals,
        parsed,
        pace=pace,
        seed=seed,
        happened=mishaps.happened,
    )
    with _told_of_growth(upstream):
        async with _feeding(upstream, feed), _listening(upstream, host, port):
            yield upstream


async def run(
    stop: asyncio.Event,
    served: contextlib.AbstractAsyncContextManager[Upstream],
    announce: Callable[[str], object],
) -> None:
    """Serves until `stop`, which may come while the history is being filled; tells the stream's URL."""

    async def serve() -> None:
        async with served as upstream:
            announce(upstream.url)
            if upstream.fed:
                await upstream.fed
            await stop.wait()

    serves, stopped = asyncio.create_task(serve()), asyncio.create_task(stop.wait())
    await asyncio.wait({serves, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    serves.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serves


@contextlib.contextmanager
def _told_of_growth(upstream: Upstream) -> Iterator[None]:
    listener = upstream.audience.history_grew
    upstream.history.listeners.append(listener)
    try:
        yield
    finally:
        upstream.history.listeners.remove(listener)


@contextlib.asynccontextmanager
async def _feeding(upstream: Upstream, feed: Feed) -> AsyncIterator[None]:
    """Feeds while inside, which begins when readers may come; refuses arrivals that cannot be read."""
    upstream.feed, feeding = feed, asyncio.create_task(feed.run())
    upstream.fed = feeding
    ready = asyncio.create_task(feed.ready.wait())
    try:
        await asyncio.wait({ready, feeding}, return_when=asyncio.FIRST_COMPLETED)
        if feeding.done():
            feeding.result()
        yield
    finally:
        ready.cancel()
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)


@contextlib.asynccontextmanager
async def _listening(upstream: Upstream, host: str, port: int) -> AsyncIterator[None]:
    """Answers while inside; whatever is open at the end is broken off."""
    visitors: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_visited(upstream, reader, writer))
        visitors.add(task)
        task.add_done_callback(visitors.discard)

    server = await _bound(accept, host, port)
    bound = server.sockets[0].getsockname()
    shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
    upstream.address = f"http://{shown}:{bound[1]}"
    try:
        yield
    finally:
        server.close()
        for task in visitors:
            task.cancel()
        await asyncio.gather(*visitors, return_exceptions=True)


async def _bound(
    accept: Callable[[asyncio.StreamReader, asyncio.StreamWriter], None], host: str, port: int
) -> asyncio.Server:
    try:
        return await asyncio.start_server(accept, host, port, limit=request.LARGEST_HEAD)
    except OSError as error:
        raise Refused(
            f"--serve: cannot listen on {host}:{port} ({error.strerror}); give another port, or 0"
            " for any that is free",
            Exit.TEMPORARY,
        ) from None


async def _visited(
    upstream: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """One connection, from its first byte to its last. Who does not take the rest is not waited for."""
    try:
        close(writer, await _requests(upstream, reader, writer))
        async with asyncio.timeout(_CLOSE_S):
            await writer.wait_closed()
    except (OSError, RuntimeError):
        pass  # the client has gone in the middle of it (the latter is uvloop's word), or takes too long
    finally:
        writer.transport.abort()


async def _requests(
    upstream: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> str | None:
    """Request by request, as long as answers have an end; how to close the connection then."""
    within, counted = _FIRST_REQUEST_S, False
    while True:
        try:
            asked = await request.read(reader, within)
        except Malformed as malformed:
            writer.write(b"HTTP/1.1 %d \r\nConnection: close\r\n\r\n" % malformed.status)
            return None
        if asked is None:
            return None
        if not counted and asked.path != stats.PATH:
            upstream.stats.connected(asyncio.get_running_loop().time())
            counted = True
        visit = Visit(upstream, asked, reader, writer)
        if not await visit.answered():
            return visit.how
        within = _NEXT_REQUEST_S
