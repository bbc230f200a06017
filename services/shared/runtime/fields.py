"""What a setting is made of: its text, what it accepts, and how what was given is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from services.shared.runtime.duration import Duration

LIST = "values separated by commas (a list in the file); none means all"
_DURATION = "a duration: 250ms, 15s, 5m, 24h, 7d; a bare number is seconds"


def setting(default: Any, text: str, accepts: str, **limits: Any) -> Any:
    made = {"default_factory": default} if callable(default) else {"default": default}
    return Field(**made, description=text, json_schema_extra={"accepts": accepts}, **limits)


def duration(default: str, text: str) -> Any:
    return setting(Duration.of(default), text, _DURATION)


def split(value: object) -> object:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def not_empty(value: object) -> object:
    if value == "":
        raise ValueError("an empty path would be the directory that one happens to be in")
    return value


def of_schemes(*schemes: str) -> Callable[[SecretStr], SecretStr]:
    """The URL of a server, or nothing."""

    def check(value: SecretStr) -> SecretStr:
        url = value.get_secret_value()
        if url and (urlsplit(url).scheme not in schemes or not urlsplit(url).hostname):
            raise ValueError("no such URL")
        return value

    return check


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


List = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split)]
ChangeType = Literal["edit", "new", "log", "categorize", "external", "other"]
LogLevel = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)]
