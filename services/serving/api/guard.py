"""What surrounds every request: its id, its measure, headers that protect, and problems for errors.

Requests that change something are taken from this machine only, and only under a name of this
machine: a page elsewhere can make a browser here send a request, but it can neither forge the
`Origin` header nor, with a name of its own that resolves to 127.0.0.1, the `Host` header.
"""

import secrets
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import msgspec
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

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
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def guarded(clock: Clock) -> Middleware:
    """The one middleware."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = clock.monotonic()
        own = secrets.token_hex(8)
        try:
            response = await handler(request)
        except problems.ProblemError as problem:
            response = _problem(request, problem)
        except web.HTTPException as error:
            response = _problem(request, _of_router(request, error))
        except Exception:  # noqa: BLE001 - the caller gets a problem, the log the trace
            _log.exception("request_failed", request=own, method=request.method, path=request.path)
            response = _problem(request, _defect(own))
        response.headers.update(HEADERS)
        response.headers["X-Request-Id"] = own
        _measure(request, response.status, clock.monotonic() - started)
        return response

    return guard


def local_only(request: web.Request, host: str) -> None:
    """Raises 403 unless the request comes from this machine and from our own page, or from none."""
    peer = request.remote or ""
    names = _LOCAL | {host}
    origin = request.headers.get("Origin")
    if not _is_loopback(peer):
        raise problems.ProblemError(403, "this changes something: ask from the machine itself")
    if urlsplit(f"//{request.host}").hostname not in names:
        raise problems.ProblemError(
            403,
            f"Host: {request.host[:256]!r} is not this machine; accepted: {', '.join(sorted(names))}",
        )
    if origin is not None and urlsplit(origin).netloc != request.host:
        raise problems.ProblemError(
            403, f"Origin: {origin[:256]!r} is another site; accepted: http://{request.host}"
        )


def _is_loopback(peer: str) -> bool:
    try:
        return ip_address(peer).is_loopback
    except ValueError:
        return False


def _problem(request: web.Request, problem: problems.ProblemError) -> web.Response:
    body = msgspec.json.encode(problem.body(request.path))
    headers = {"Cache-Control": "no-store", **problem.headers}
    return web.Response(status=problem.status, body=body, headers=headers, content_type=PROBLEM)


def _of_router(request: web.Request, error: web.HTTPException) -> problems.ProblemError:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        detail = f"{request.method} is not for this path; accepted: {allowed}"
        return problems.ProblemError(error.status, detail, headers={"Allow": allowed})
    if isinstance(error, web.HTTPNotFound):
        detail = "there is nothing under this path; /openapi.json lists what there is"
        return problems.ProblemError(error.status, detail)
    return problems.ProblemError(error.status, error.reason)


def _defect(own: str) -> problems.ProblemError:
    return problems.ProblemError(500, f"a defect of ours; the log has it as request {own}")


def _measure(request: web.Request, status: int, seconds: float) -> None:
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else "none"
    metrics.REQUESTS.labels(route, str(status)).inc()
    metrics.REQUEST_SECONDS.labels(route).observe(seconds)
