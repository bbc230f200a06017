"""Every answer of a served world against the OpenAPI document: path, method, status, type and body."""

from functools import cache
from typing import Any

import msgspec
from aiohttp import web
from jsonschema import Draft202012Validator

from services.serving.api import openapi
from services.serving.api.route import ALIAS

UNDESCRIBED = ("/", "/static", "/healthz", "/readyz", "/openapi.json")
"""What people and operators ask: no part of the API's document."""
ANYWHERE = {404, 405, 413, 500}
"""Statuses that belong to no operation: nothing there, and what went wrong before it was reached."""


@cache
def document() -> dict[str, Any]:
    return openapi.document()


@cache
def validator(schema: str) -> Draft202012Validator:
    whole = {"$ref": schema, "components": document()["components"]}
    return Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)


async def check(request: web.Request, response: web.StreamResponse) -> None:
    """For `on_response_prepare`: what does not fit fails the request, and so the test."""
    path = _described(request)
    if path is None:
        return
    methods = document()["paths"][path]
    method = request.method.lower().replace("head", "get")
    described = methods.get(method, {"responses": {}})["responses"].get(str(response.status))
    assert described or response.status in ANYWHERE, (path, response.status)
    if described is None or response.status == 304:
        return
    (kind,) = described["content"]
    assert response.content_type == kind
    if kind == "text/event-stream":
        return
    assert isinstance(response, web.Response)
    assert isinstance(response.body, bytes)
    body = msgspec.json.decode(response.body)
    validator(described["content"][kind]["schema"]["$ref"]).validate(body)
    assert {*described.get("headers", ())} <= {*response.headers}


def _described(request: web.Request) -> str | None:
    """The path as the document has it; variables have no hyphens in the router."""
    resource = request.match_info.route.resource
    if resource is None or resource.canonical.startswith("/{path"):
        return None
    path = resource.canonical.removeprefix(ALIAS)
    if path == "/" or path.startswith(UNDESCRIBED[1:]):
        return None
    paths: list[str] = [*document()["paths"]]
    return next(known for known in paths if known.replace("-", "_") == path.replace("-", "_"))
