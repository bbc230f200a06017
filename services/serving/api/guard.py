"""What surrounds every request: its id, its measure, headers that protect, and problems for errors.

Requests that change something are taken from this machine only, and only under a name of this
machine: a page elsewhere can make a browser here send a request, but it can neither forge the
`Origin` header nor, with a name of its own that resolves to 127.0.0.1, the `Host` header.
"""

import itertools
import secrets
from functools import cache
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import msgspec
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from multidict import istr
from prometheus_client import Counter, Histogram

from services.serving.api import problems
from services.serving.api.openapi import PROBLEM
from services.shared.runtime import metrics
from services.shared.runtime.clock import Clock

_log = structlog.get_logger(__name__)

HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Vary": "Accept-Encoding",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self' data:; connect-src 'self'; font-src 'self'; frame-ancestors 'none';"
    " base-uri 'none'; form-action 'none'",
}
_PROCESS: Final = secrets.token_hex(4)
_numbers: Final = itertools.count(1)
_POLICY: Final = istr("Content-Security-Policy")
_REQUEST_ID: Final = istr("X-Request-Id")
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Routes:
    """Adds routes to the application, each with what surrounds it.

    It wraps the handlers because a middleware of aiohttp costs a warm answer a tenth of its time.
    """

    def __init__(self, app: web.Application, clock: Clock) -> None:
        self._router = app.router
        self._clock = clock

    def get(self, path: str, handler: Handler) -> None:
        self._router.add_get(path, self._guarded(handler, path))

    def post(self, path: str, handler: Handler) -> None:
        self._router.add_post(path, self._guarded(handler, path))

    def otherwise(self) -> None:
        """Answers what none of the routes so far takes."""
        before = list(self._router.resources())

        async def nowhere(request: web.Request) -> web.StreamResponse:
            allowed = [(await resource.resolve(request))[1] for resource in before]
            raise _not_there(request.method, sorted(set().union(*allowed)))

        self._router.add_route("*", "/{path:.*}", self._guarded(nowhere, "none"))

    def _guarded(self, handler: Handler, route: str) -> Handler:
        clock = self._clock

        async def guard(request: web.Request) -> web.StreamResponse:
            started = clock.monotonic()
            own = f"{_PROCESS}-{next(_numbers)}"
            try:
                response = await handler(request)
            except problems.ProblemError as problem:
                response = _problem(request, problem)
            except web.HTTPException as error:
                response = _problem(request, problems.ProblemError(error.status, error.reason))
            except Exception:  # noqa: BLE001 - the caller gets a problem, the log the trace
                _log.exception(
                    "request_failed", request=own, method=request.method, path=request.path
                )
                response = _problem(request, _defect(own))
            if _POLICY not in response.headers:
                response.headers.update(HEADERS)
            response.headers[_REQUEST_ID] = own
            count, time = _series(route, response.status)
            count.inc()
            if not response.prepared:  # how long a stream lasts is up to its reader
                time.observe(clock.monotonic() - started)
            return response

        return guard


def local_only(request: web.Request, host: str) -> None:
    """Raises 403 unless the request comes from this machine and from our own page, or from none."""
    peer = request.remote or ""
    names = _LOCAL | {host}
    origin = request.headers.get("Origin")
    if not _is_loopback(peer):
        raise problems.ProblemError(403, "this changes something: ask from the machine itself")
    if _name(request.host) not in names:
        raise problems.ProblemError(
            403,
            f"Host: {request.host[:256]!r} is not this machine; accepted: {', '.join(sorted(names))}",
        )
    if origin is not None and origin.partition("://")[2] != request.host:
        raise problems.ProblemError(
            403, f"Origin: {origin[:256]!r} is another site; accepted: http://{request.host}"
        )


def _name(host: str) -> str | None:
    """The name without its port; None if it is none."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _is_loopback(peer: str) -> bool:
    try:
        return ip_address(peer).is_loopback
    except ValueError:
        return False


def _problem(request: web.Request, problem: problems.ProblemError) -> web.Response:
    body = msgspec.json.encode(problem.body(request.path))
    headers = {"Cache-Control": "no-store", **problem.headers}
    return web.Response(status=problem.status, body=body, headers=headers, content_type=PROBLEM)


def _not_there(method: str, allowed: list[str]) -> problems.ProblemError:
    if allowed:
        accepted = ", ".join(allowed)
        detail = f"{method} is not for this path; accepted: {accepted}"
        return problems.ProblemError(405, detail, headers={"Allow": accepted})
    return problems.ProblemError(
        404, "there is nothing under this path; /openapi.json lists what there is"
    )


def _defect(own: str) -> problems.ProblemError:
    return problems.ProblemError(500, f"a defect of ours; the log has it as request {own}")


@cache
def _series(route: str, status: int) -> tuple[Counter, Histogram]:
    """The two time series; finding them by their labels costs more than moving them."""
    return metrics.REQUESTS.labels(route, str(status)), metrics.REQUEST_SECONDS.labels(route)
