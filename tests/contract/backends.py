"""Which adapter of a port a contract test runs over: `--backends=embedded,real`."""

import os
from collections.abc import Mapping
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


def url(variable: str) -> str:
    """Where the server is that a real backend is tested on."""
    found = os.environ.get(variable)
    if not found:
        pytest.fail(
            f"{variable} is not set; it names a server to test on, or:"
            " python -m tests.launchers with -- pytest --backends=real …",
            pytrace=False,
        )
    return found
