"""Flags made from settings, so that one declaration gives the file's key, the variable and the flag.

A decorated verb takes `settings` first. Its flags for settings are texts: settings.py alone decides
what is accepted and says so the same way wherever a value came from.
"""

from __future__ import annotations

import functools
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec, TypeVar

import structlog
import typer

from services.shared.runtime import crash, logs, settings
from services.shared.runtime.exits import Refused
from services.shared.runtime.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

P = ParamSpec("P")
R = TypeVar("R")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_EVERYWHERE = ("data_dir", "log_level", "log_format")


def tell(done: str) -> None:
    """What has been done so far, to who waits for the rest."""
    typer.echo(done, err=True)


def configured(
    *fields: str,
) -> Callable[[Callable[Concatenate[Settings, P], R]], Callable[..., R]]:
    """Gives a verb its settings, and flags for those that it names."""
    names = (*fields, *_EVERYWHERE)

    def decorate(verb: Callable[Concatenate[Settings, P], R]) -> Callable[..., R]:
        @functools.wraps(verb)
        def configured_verb(*args: Any, **given: Any) -> R:
            flags = {name: given.pop(name) for name in names}
            flags |= _pairs(given.pop("set_"))
            loaded = _start(verb.__module__.rpartition(".")[2], given.pop("config"), flags)
            return verb(loaded, *args, **given)

        own = list(inspect.signature(verb, eval_str=True).parameters.values())[1:]
        parameters = [*own, *_flags(names)]
        vars(configured_verb)["__signature__"] = inspect.Signature(parameters)
        configured_verb.__annotations__ = {p.name: p.annotation for p in parameters}
        return configured_verb

    return decorate


def _start(service: str, config: Path | None, flags: dict[str, object]) -> Settings:
    loaded = Settings.load(config, flags)
    logs.configure(loaded.log_level, loaded.log_format, service=service)
    for warning in loaded.warnings:
        structlog.get_logger(__name__).warning("odd_setting", warning=warning)
    try:
        crash.arm(loaded.crash_at)
    except Refused as refusal:
        origin = loaded.origin("crash_at")
        raise Refused(f"{refusal.message} (crash_at is from {origin})") from None
    return loaded


def _flags(names: tuple[str, ...]) -> Iterator[inspect.Parameter]:
    for name in names:
        text = (
            f"{Settings.model_fields[name].description} Accepts {settings.accepts(Settings, name)}."
        )
        yield _parameter(name, str | None, typer.Option(settings.flag(name), help=text))
    text = "TOML file of settings; ./bvw.toml if there is one."
    yield _parameter("config", Path | None, typer.Option("--config", help=text))
    text = "Any other setting; may be repeated."
    made = typer.Option("--set", metavar="NAME=VALUE", help=text)
    yield _parameter("set_", list[str] | None, made)


def _parameter(name: str, kind: Any, option: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, option]
    )


def _pairs(given: list[str] | None) -> dict[str, object]:
    pairs: dict[str, object] = {}
    for pair in given or ():
        name, equals, value = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint="--set")
        pairs[name.strip()] = value
    return pairs
