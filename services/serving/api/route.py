"""A route, declared once: path, parameters, what answers it and with which model.

Routing, reading of parameters, validation errors, the OpenAPI document and the check of docs/api.md
all come from the declaration.
"""

import difflib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from services.serving.api import problems
from services.serving.api.asked import Asked
from services.serving.api.parameters import EVERYWHERE, Parameter, Unreadable

ALIAS: Final = "/api/rest_v1"
"""Prefix under which the paths of the Analytics API are served a second time."""


@dataclass(frozen=True, slots=True)
class Route:
    """An answer that stands on a pin. Path parameters are declared in `parameters` too."""

    path: str
    summary: str
    parameters: tuple[Parameter, ...]
    model: type[msgspec.Struct]
    answer: Callable[[Asked], Awaitable[msgspec.Struct]]

    @property
    def accepted(self) -> tuple[Parameter, ...]:
        return (*self.parameters, *EVERYWHERE)

    @property
    def is_aqs(self) -> bool:
        return self.path.startswith("/metrics/")


def read(
    declared: Iterable[Parameter], path: Mapping[str, str], query: Iterable[tuple[str, str]]
) -> dict[str, Any]:
    """The values of all declared parameters by name; raises the problem of the first bad one."""
    names = {parameter.name: parameter for parameter in declared}
    given = {name: path[_key(name)] for name, own in names.items() if own.path}
    for name, text in query:
        if name not in names or names[name].path:
            raise _unknown(name, text, [own.name for own in names.values() if not own.path])
        if name in given:
            raise problems.bad(name, text, "one value; a list is separated by commas")
        given[name] = text
    return {name: _value(own, given.get(name, own.default)) for name, own in names.items()}


def template(path: str) -> str:
    """The path as the router takes it: names of variables have no hyphens there."""
    return "/".join(f"{{{_key(p[1:-1])}}}" if p[:1] == "{" else p for p in path.split("/"))


def _key(name: str) -> str:
    return name.replace("-", "_")


def _value(parameter: Parameter, text: str | None) -> Any:
    if text is None:
        return None
    try:
        return parameter.read(text)
    except Unreadable:
        raise problems.bad(parameter.name, text, parameter.accepted) from None


def _unknown(name: str, text: str, known: list[str]) -> problems.ProblemError:
    near = difflib.get_close_matches(name[:64], known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return problems.unknown(name[:64], text, f"{', '.join(known) or 'no parameters'}{hint}")
