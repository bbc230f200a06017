"""Which adapter of a port a contract test runs over: `--backends=embedded,real`."""

import os
from collections.abc import Mapping
from types import ModuleType
from typing import TypeVar

import pytest

T = TypeVar("T")


def chosen(of: str, backend: str, adapters: Mapping[str, T]) -> T:
    """The backend's adapter; one that was asked for and is missing is a failure, never a skip."""
    if backend not in adapters:
        pytest.fail(
            f"{of}: no adapter of the backend {backend!r}; there is: {', '.join(adapters)}",
            pytrace=False,
        )
    return adapters[backend]


def url_of(launcher: ModuleType) -> str:
    """Of the server that real adapters are tested on; it must be there."""
    url = os.environ.get(launcher.VARIABLE)
    if not url:
        pytest.fail(
            f"{launcher.VARIABLE} is not set; start one for the tests:"
            f" python -m tests.launchers with {launcher.NAME} -- pytest --backends=real …",
            pytrace=False,
        )
    return url
