"""What is wrong before there is a request (a line that is no HTTP, a header without end) is a problem
like any other: no trace to the caller, and a line in the log at most.
"""

import msgspec
import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from services.serving.api import guard, problems
from services.serving.api.openapi import PROBLEM

_log = structlog.get_logger(__name__)


class Runner(web.AppRunner):
    """An application whose connections speak as above."""

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        server.__class__ = _Server  # the library lets nobody choose it
        return server


class _Server(web.Server):
    def __call__(self) -> RequestHandler:
        return _Handler(self, loop=self._loop, **self._kwargs)


class _Handler(RequestHandler):
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - the parser's own words, with a caller's bytes in them
    ) -> web.StreamResponse:
        _log.info("request_unreadable", status=status, kind=type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun: nothing more can be said")
        detail = "this is no request that HTTP allows, or one that is larger than what is read"
        problem = problems.ProblemError(status, detail)
        response = web.Response(
            status=status,
            body=msgspec.json.encode(problem.body("")),
            content_type=PROBLEM,
            headers={"Cache-Control": "no-store", **guard.HEADERS},
        )
        response.force_close()
        return response
