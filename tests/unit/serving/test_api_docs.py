"""docs/api.md names every operation with its parameters, and its examples are understood."""

import re
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from services.serving.api import openapi
from tests.unit.serving import made
from tests.unit.serving.made import World

DOCUMENT = (Path(__file__).parents[3] / "docs" / "api.md").read_text("utf-8")
OPERATORS = {"GET /healthz", "GET /readyz", "GET /openapi.json"}
EVERYWHERE = {"at", "allow"}


def sections() -> dict[str, str]:
    """Operation → what the document says of it."""
    parts = re.split(r"^### `(.+)`$", DOCUMENT, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def operations() -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in openapi.document()["paths"].items()
        for method, operation in methods.items()
    }


def test_every_operation_is_documented_and_no_other() -> None:
    assert sections().keys() == operations().keys() | OPERATORS


@pytest.mark.parametrize("name", operations())
def test_parameters_are_named(name: str) -> None:
    asked = {p["name"] for p in operations()[name].get("parameters", ()) if p["in"] == "query"}
    said = set(re.findall(r"`([a-z_]+)`", sections()[name]))
    assert asked - EVERYWHERE <= said


def examples() -> list[tuple[str, str]]:
    found = []
    for name, text in sections().items():
        (line,) = re.findall(r"^    \$ (curl .+)$", text, flags=re.MULTILINE)
        url = urlsplit(shlex.split(line)[-1])
        found.append((name.partition(" ")[0], f"{url.path}?{url.query}"))
    return found


@pytest.mark.parametrize(("method", "path"), examples())
async def test_examples_are_understood(world: World, method: str, path: str) -> None:
    await world.append(made.documents(50))
    async with world.served() as client, client.request(method, path) as response:
        assert response.status in ((202,) if method == "POST" else (200, 404, 503))
        if response.status == 404:
            assert "we either do not have data" in await response.text(), "no data, but understood"
        if response.status == 503:
            assert path.startswith("/readyz"), "nothing is published in this world"
