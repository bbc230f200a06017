"""The API as the audit asks it: over HTTP, like anybody else."""

import asyncio
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


async def answers(url: str, log: str) -> bool:
    """Whether somebody serves there, and serves this log: another may have taken the port since."""
    try:
        async with (
            asyncio.timeout(10),
            aiohttp.ClientSession(url) as session,
            session.get("/v1/status") as response,
        ):
            told = msgspec.json.decode(await response.read(), type=_Status)
            return response.status == 200 and told.log == log
    except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError):
        return False


class _Status(msgspec.Struct):
    log: str
