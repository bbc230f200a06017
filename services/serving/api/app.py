"""The application: routes, the page and what operators ask."""

from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from services.serving import languages
from services.serving.answers import Answers
from services.serving.api import bodies, guard, openapi
from services.serving.api.answering import Answering
from services.serving.api.guard import Routes
from services.serving.api.models.ours import SourceRow
from services.serving.api.parameters import Q_LIMIT
from services.serving.api.present import Audits, Present
from services.serving.api.route import ALIAS, Route, read, template
from services.serving.api.routes import ROUTES
from services.serving.api.stream import Stream
from services.serving.feed import asked
from services.serving.feed.beginning import Beginnings
from services.serving.feed.feed import BEAT, Feed
from services.serving.files import Files
from services.serving.pins import Pins
from services.shared.batchview.port import BatchView
from services.shared.cache.port import Cache
from services.shared.log.port import EventLog
from services.shared.runtime.clock import Clock
from services.shared.runtime.probes import Readiness
from services.shared.speedview.port import SpeedView

LARGEST_BODY: Final = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Deps:
    """What serving needs. `host` is the name that it is reached by; `cache_dir` a folder for what
    can be made again.
    """

    log: EventLog
    speed: SpeedView
    batch: BatchView
    cache: Cache
    clock: Clock
    audits: Audits
    readiness: Readiness
    source: SourceRow
    cache_dir: Path
    host: str = "127.0.0.1"
    page_limit: int = 1000
    pin_live: float = 0.05
    feed_readers: int = 2000
    feed_beat: float = BEAT


def build(deps: Deps, files: Files) -> web.Application:
    app = web.Application(client_max_size=LARGEST_BODY)
    routes = Routes(app, deps.clock)
    pins = Pins(deps.log, deps.speed, deps.batch, deps.clock, live=deps.pin_live)
    _answers(routes, deps, pins)
    _stream(app, routes, deps, pins)
    _present(routes, deps, pins)
    _audit(routes, deps)
    _documents(routes, files)
    _health(routes, deps)
    routes.otherwise()
    return app


def _answers(routes: Routes, deps: Deps, pins: Pins) -> None:
    answering = Answering(
        pins,
        Answers(deps.speed, deps.batch, deps.cache),
        deps.cache,
        deps.clock,
        page_limit=deps.page_limit,
    )
    for route in ROUTES:
        handler = _handler(answering, route)
        routes.get(template(route.path), handler)
        if route.is_aqs:
            routes.get(ALIAS + template(route.path), handler)


def _handler(answering: Answering, route: Route) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await answering.respond(route, request)

    return handle


def _stream(app: web.Application, routes: Routes, deps: Deps, pins: Pins) -> None:
    feed = Feed(
        deps.speed, deps.log.identity, deps.clock, most=deps.feed_readers, beat=deps.feed_beat
    )
    answers = Answers(deps.speed, deps.batch, deps.cache)
    stream = Stream(feed, Beginnings(deps.speed, deps.log), pins, answers, deps.clock)
    routes.get(asked.PATH, stream.respond)

    async def end(_app: web.Application) -> None:
        await feed.close()

    app.on_shutdown.append(end)


def _present(routes: Routes, deps: Deps, pins: Pins) -> None:
    present = Present(pins, deps.log, deps.speed, deps.batch, deps.clock, deps.source)

    async def status(request: web.Request) -> web.Response:
        read((), {}, request.query.items())
        return bodies.encoded(request, await present.status())

    async def runs(request: web.Request) -> web.Response:
        limit = read((Q_LIMIT,), {}, request.query.items())["limit"]
        return bodies.encoded(request, await present.runs(min(limit, deps.page_limit)))

    routes.get("/v1/status", status)
    routes.get("/v1/batch/runs", runs)


def _audit(routes: Routes, deps: Deps) -> None:
    async def latest(request: web.Request) -> web.Response:
        read((), {}, request.query.items())
        return bodies.encoded(request, deps.audits.latest())

    async def start(request: web.Request) -> web.Response:
        guard.local_only(request, deps.host)
        read((), {}, request.query.items())
        deps.audits.start()
        return web.Response(
            status=202,
            body=msgspec.json.encode(deps.audits.latest()),
            headers={"Cache-Control": "no-store", "Location": "/v1/audit"},
            content_type="application/json",
        )

    routes.get("/v1/audit", latest)
    routes.post("/v1/audit", start)


def _documents(routes: Routes, files: Files) -> None:
    described = msgspec.json.encode(openapi.document())

    async def document(request: web.Request) -> web.Response:
        return bodies.whole(request, described, "application/json")

    async def page(request: web.Request) -> web.Response:
        accepted = request.headers.get("Accept-Language")
        language = languages.chosen(files.pages, request.query.get("lang"), accepted)
        response = bodies.file(request, files.pages[language])
        varies = {"Vary": "Accept-Encoding, Accept-Language", "Content-Language": language}
        response.headers.update(guard.HEADERS | varies)
        return response

    async def part(request: web.Request) -> web.Response:
        found = await files.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound
        return bodies.file(request, found)

    routes.get("/openapi.json", document)
    routes.get("/", page)
    routes.get("/static/{name}", part)


def _health(routes: Routes, deps: Deps) -> None:
    deps.readiness.add("log", deps.log.stable_end)
    deps.readiness.add("speed view", lambda: _there(deps.speed.visible()))
    deps.readiness.add("batch view", lambda: _there(deps.batch.current()))

    async def healthy(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def ready(_request: web.Request) -> web.Response:
        verdicts = await deps.readiness.verdicts()
        everything = all(verdict.ready for verdict in verdicts)
        listed = {v.name: "ready" if v.ready else v.reason for v in verdicts}
        body = {"ready": everything, "dependencies": listed}
        return web.json_response(body, status=200 if everything else 503)

    routes.get("/healthz", healthy)
    routes.get("/readyz", ready)


async def _there(asked: Awaitable[object]) -> None:
    if await asked is None:
        raise LookupError("nothing has been published yet")
