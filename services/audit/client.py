"""The API as the audit asks it: over HTTP, like anybody else."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp
import msgspec

from services.shared.runtime.exits import Exit, Refused

TIMEOUT: Final = aiohttp.ClientTimeout(total=120)


class HttpApi:
    """Create it with `connected`."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def get(self, path: str) -> tuple[int, Any]:
        try:
            async with self._session.get(path) as response:
                body = await response.read()
                return response.status, msgspec.json.decode(body) if body else None
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
            raise Refused(
                f"audit: no usable answer from {self._session._base_url}{path}"  # noqa: SLF001
                f" ({type(error).__name__})",
                Exit.TEMPORARY,
            ) from error


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[HttpApi]:
    """The API at a base URL such as http://127.0.0.1:8080."""
    async with aiohttp.ClientSession(url, timeout=TIMEOUT) as session:
        yield HttpApi(session)


async def answers(url: str) -> bool:
    """Whether somebody serves there."""
    timeout = aiohttp.ClientTimeout(total=2)
    try:
        async with (
            aiohttp.ClientSession(url, timeout=timeout) as session,
            session.get("/healthz") as response,
        ):
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False
