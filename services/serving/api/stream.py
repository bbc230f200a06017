"""`/v1/changes/stream`: the changes as they become visible, as server-sent events.

Everything that can be wrong is said before the stream begins, as a problem. From then on it only ends:
by the reader, because the reader is too slow, or with the process.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import hdrs, web

from services.serving.answers import Answers
from services.serving.api import changes, problems
from services.serving.api.asked import Asked
from services.serving.api.guard import HEADERS
from services.serving.api.parameters import Unreadable
from services.serving.api.route import read
from services.serving.feed import asked
from services.serving.feed.beginning import Beginnings
from services.serving.feed.connection import Connection
from services.serving.feed.fanout import FanOut
from services.serving.feed.feed import Feed, Full
from services.serving.feed.places import Id
from services.serving.feed.reader import Reader
from services.serving.feed.recent import Recent
from services.serving.pins import Pins
from services.shared.runtime.clock import Clock
from services.shared.runtime.unavailable import Unavailable

_HEADERS: Final = {
    hdrs.CONTENT_TYPE: asked.TYPE,
    hdrs.CACHE_CONTROL: "no-cache",
    "X-Accel-Buffering": "no",
    **HEADERS,
}


@dataclass(frozen=True, slots=True)
class Stream:
    feed: Feed
    beginnings: Beginnings
    pins: Pins
    answers: Answers
    clock: Clock

    async def respond(self, request: web.Request) -> web.StreamResponse:
        values = read(asked.PARAMETERS, {}, request.query.items())
        came_from = _last_id(request, values)
        if came_from is None:
            await self._known(values)
        if request.method == hdrs.METH_HEAD:
            return web.Response(headers=_HEADERS)
        try:
            async with self.feed.seat() as (fan_out, recent):
                return await self._stream(request, values, came_from, fan_out, recent)
        except Full:
            raise _full() from None
        except Unavailable as error:
            raise problems.unavailable(error.retry_after) from error

    async def _stream(
        self,
        request: web.Request,
        values: Mapping[str, Any],
        came_from: Id | None,
        fan_out: FanOut,
        recent: Recent,
    ) -> web.StreamResponse:
        search = changes.filters(values)
        if came_from is None:
            beginning = await self.beginnings.newest(
                search, values["last"], floor=fan_out.floor, until=recent.position
            )
        else:
            beginning = await self.beginnings.resumed(came_from, floor=fan_out.floor)
        response = web.StreamResponse(headers=_HEADERS)
        with contextlib.suppress(ConnectionError):  # it has gone already
            connection = await Connection.open(request, response)
            reader = Reader(connection, search, beginning.position)
            try:
                for block in beginning.told:
                    reader.push(block)
                await self.feed.run(reader, fan_out, recent)
            finally:
                await connection.close()
        return response

    async def _known(self, values: Mapping[str, Any]) -> None:
        """A project that is not known is more likely mistyped than about to be founded."""
        standing = self.pins.fresh() or await self.pins.now()
        await Asked(values, standing, self.answers, self.clock, page_limit=0).project()


def _full() -> problems.ProblemError:
    return problems.ProblemError(
        503,
        "as many readers are connected as this server takes; ask again",
        headers={"Retry-After": "10"},
    )


def _last_id(request: web.Request, values: Mapping[str, Any]) -> Id | None:
    """The header is what a browser sends when it comes back, whatever its URL was made with."""
    text = request.headers.get(asked.HEADER)
    if text is None:
        found: Id | None = values[asked.Q_LAST_ID.name]
        return found
    try:
        return asked.last_id(text)
    except Unreadable:
        raise problems.bad(asked.HEADER, text, asked.Q_LAST_ID.accepted) from None
