"""Answers that stand on no pin: their ETag is a digest of their bytes."""

import hashlib

import msgspec
from aiohttp import web

from services.serving.files import File

JSON = "application/json"


def encoded(request: web.Request, answer: msgspec.Struct) -> web.Response:
    """What is so now: kept by nobody without asking again."""
    return whole(request, msgspec.json.encode(answer), JSON)


def whole(request: web.Request, body: bytes, type_: str) -> web.Response:
    digest = hashlib.blake2b(body, digest_size=12).hexdigest()
    return file(request, File(body, type_, f'"{digest}"'))


def file(request: web.Request, found: File) -> web.Response:
    headers = {"ETag": found.etag, "Cache-Control": "no-cache"}
    if matches(request, found.etag):
        return web.Response(status=304, headers=headers)
    charset = "utf-8" if found.type.startswith("text/") else None
    return web.Response(body=found.body, headers=headers, content_type=found.type, charset=charset)


def matches(request: web.Request, etag: str) -> bool:
    """Whether the caller has this very answer already."""
    given = request.headers.get("If-None-Match")
    if given is None:
        return False
    return etag in (tag.strip().removeprefix("W/") for tag in given.split(","))
