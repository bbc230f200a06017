"""What tests do to an Elasticsearch server beside the view: ask it, disturb it, clean it up."""

import json
import urllib.error
import urllib.request
from typing import Any


def call(url: str, method: str, path: str, body: object = None) -> Any:
    """The server's answer, None where there is nothing."""
    request = urllib.request.Request(
        f"{url}/{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 404:
                return None
            raise RuntimeError(error.read().decode()) from error


def indices(url: str, prefix: str) -> list[str]:
    return sorted(call(url, "GET", f"{prefix}-*/_settings/index.uuid") or ())


def remove(url: str, prefix: str) -> None:
    """Everything with the prefix."""
    for name in indices(url, prefix):
        call(url, "DELETE", name)
    call(url, "DELETE", f"_index_template/{prefix}-*")
