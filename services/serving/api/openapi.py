"""The OpenAPI 3.1 document, made from the routes and models that answer."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from services.serving.api.models import feed, ours
from services.serving.api.parameters import Q_LIMIT, Parameter
from services.serving.api.present import VERSION
from services.serving.api.route import ALIAS, Route
from services.serving.api.routes import ROUTES
from services.serving.feed import asked

PROBLEM: Final = "application/problem+json"
_REF: Final = "#/components/schemas/{name}"

_PROBLEMS: Final = {
    "400": "A parameter is unknown or can't be read.",
    "404": "No change of this project is known, or no such topic.",
    "410": "What the token stands on is no longer kept.",
    "422": "Well formed, but beyond a limit that the answer names.",
    "503": "A layer is missing and the caller does not take a partial answer.",
}
_HEADERS: Final = {
    "X-Generation": "Number of the generation that the answer stands on.",
    "X-Horizon": "Next positions of the batch part, per partition.",
    "X-As-Of": "Next positions of the whole answer, per partition.",
    "X-As-Of-Time": "Log time there.",
    "X-Completeness": "exact or partial",
    "X-At": "Token: with at=… the same question is answered exactly here again.",
}


def document() -> dict[str, Any]:
    present = (ours.StatusAnswer, ours.RunsAnswer, ours.AuditAnswer, ours.Problem)
    noticed = (feed.GapNotice, feed.OverrunNotice)
    models = [*(route.model for route in ROUTES), *present, *noticed]
    _, schemas = msgspec.json.schema_components(models, ref_template=_REF)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Bots vs Wiki",
            "version": VERSION,
            "description": "Edits of Wikipedia by bots and by people, live and exact. Paths under"
            f" /metrics answer as the Wikimedia Analytics API does, also under {ALIAS}.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}, {"url": ALIAS, "description": "for the paths under /metrics"}],
        "paths": {route.path: {"get": _operation(route)} for route in ROUTES}
        | _present_paths()
        | {asked.PATH: {"get": _stream_operation()}},
        "components": {"schemas": schemas},
    }


def _operation(route: Route) -> dict[str, Any]:
    headers = {
        name: {"description": text, "schema": {"type": "string"}} for name, text in _HEADERS.items()
    }
    answered = _content(route.model, route.summary) | {"headers": headers}
    return {
        "operationId": _operation_id(route.path),
        "summary": route.summary,
        "tags": ["Analytics API" if route.is_aqs else "Bots vs Wiki"],
        "parameters": [_parameter(parameter) for parameter in route.accepted],
        "responses": {"200": answered, "304": {"description": "Not modified."}, **_problems()},
    }


def _present_paths() -> dict[str, Any]:
    def plain(name: str, model: type[msgspec.Struct], summary: str, **more: Any) -> dict[str, Any]:
        answered = {more.pop("status", "200"): _content(model, summary)}
        if "200" in answered:
            answered["304"] = {"description": "Not modified."}
        return {
            "operationId": name,
            "summary": summary,
            "tags": ["Bots vs Wiki"],
            "responses": answered | _problems(*more.pop("problems", ())),
            **more,
        }

    last = "The last recount, or the one that is running."
    return {
        "/v1/status": {"get": plain("status", ours.StatusAnswer, "Positions, lags and gaps.")},
        "/v1/batch/runs": {
            "get": plain(
                "batch-runs",
                ours.RunsAnswer,
                "Batch runs, newest first.",
                parameters=[_parameter(Q_LIMIT)],
            )
        },
        "/v1/audit": {
            "get": plain("audit", ours.AuditAnswer, last),
            "post": plain(
                "start-audit",
                ours.AuditAnswer,
                "Start a recount; from this machine only.",
                status="202",
                problems=("403",),
            ),
        },
    }


def _stream_operation() -> dict[str, Any]:
    data = ", ".join(
        f"{name}: {_REF.format(name=model.__name__)}"
        for name, model in (
            ("message", ours.ChangeRow),
            ("gap", feed.GapNotice),
            ("overrun", feed.OverrunNotice),
        )
    )
    header = {
        "name": asked.HEADER,
        "in": "header",
        "required": False,
        "description": f"{asked.Q_LAST_ID.description} Accepted: {asked.Q_LAST_ID.accepted}.",
        "schema": {"type": "string"},
    }
    said = f"Server-sent events; the JSON in data is, by event, {data}"
    return {
        "operationId": "changes-stream",
        "summary": "The changes as they become visible.",
        "tags": ["Bots vs Wiki"],
        "parameters": [*map(_parameter, asked.PARAMETERS), header],
        "responses": {
            "200": {
                "description": said,
                "content": {asked.TYPE: {"schema": {"type": "string"}}},
            },
            **_problems(),
        },
    }


def _content(model: type[msgspec.Struct], text: str) -> dict[str, Any]:
    schema = {"$ref": _REF.format(name=model.__name__)}
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _problems(*more: str) -> dict[str, Any]:
    texts = _PROBLEMS | {"403": "Not from this machine, or from a page of another origin."}
    schema = {"$ref": _REF.format(name=ours.Problem.__name__)}
    statuses: Iterable[str] = (*_PROBLEMS, *more)
    return {
        status: {"description": texts[status], "content": {PROBLEM: {"schema": schema}}}
        for status in statuses
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if parameter.default is not None:
        schema["default"] = parameter.default
    said = f"{parameter.description} Accepted: {parameter.accepted}.".strip()
    described: dict[str, Any] = {
        "name": parameter.name,
        "in": "path" if parameter.path else "query",
        "required": parameter.path,
        "description": said,
        "schema": schema,
    }
    if parameter.example:
        described["example"] = parameter.example
    return described


def _operation_id(path: str) -> str:
    """The path's fixed parts; one of the things that /v1/things lists is its `things-by-name`."""
    parts = path.split("/")[1:]
    fixed = [part for part in parts if part[:1] != "{"]
    by = [f"by-{part[1:-1]}" for part in parts if part[:1] == "{"] if parts[0] == "v1" else []
    return "-".join((*fixed, *by))
