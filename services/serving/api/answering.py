"""From a request to bytes: read the parameters, find where to stand, and answer or find the answer.

The way of a warm answer is short on purpose: what a URL asks is remembered, the pin is read at most
every 50 ms, and the whole body is in the cache under pin and question. An answer that many wait for
is made once.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from aiohttp import hdrs, web
from multidict import CIMultiDict

from services.serving.answers import Answers
from services.serving.api import bodies, problems
from services.serving.api.asked import Asked
from services.serving.api.guard import HEADERS
from services.serving.api.present import VERSION
from services.serving.api.route import ALIAS, Route, read
from services.serving.kept import kept
from services.serving.pin import EXACT, PARTIAL
from services.serving.pins import Pins, Standing
from services.shared.batchview.port import Gone
from services.shared.cache.port import Cache
from services.shared.runtime import metrics
from services.shared.runtime.clock import Clock
from services.shared.runtime.unavailable import Unavailable

LONGEST_ANSWER: Final = 30.0
_REMEMBERED: Final = 512
_LIVE: Final = "max-age=1, must-revalidate"
_AT: Final = "max-age=60, must-revalidate"


@dataclass(slots=True)
class Question:
    """What a URL asks; `text` is the same for all ways to write it. Of the last answer to it `key`
    and `head` are kept: to make the headers is most of what a warm answer takes.
    """

    route: Route
    values: Mapping[str, Any]
    text: str
    key: str = ""
    head: CIMultiDict[str] = field(default_factory=CIMultiDict)


class Made(msgspec.Struct, array_like=True, frozen=True):
    """An answer as it is kept: why it is partial, and its body."""

    reasons: list[str]
    body: bytes


_DECODER: Final = msgspec.msgpack.Decoder(Made)


class Answering:
    def __init__(
        self, pins: Pins, answers: Answers, cache: Cache, clock: Clock, *, page_limit: int
    ) -> None:
        self._pins = pins
        self._answers = answers
        self._cache = cache
        self._clock = clock
        self._page_limit = page_limit
        self._questions: OrderedDict[str, Question] = OrderedDict()
        self._making: dict[str, asyncio.Task[Made]] = {}
        self._encoder = msgspec.json.Encoder()

    async def respond(self, route: Route, request: web.Request) -> web.Response:
        question = self._question(route, request)
        try:
            try:
                return await self._respond(question, request)
            except (Gone, Unavailable):
                # Removed, or begun anew, while we asked: stand on what is there now.
                self._pins.forget()
                return await self._respond(question, request)
        except Gone:
            raise problems.gone() from None
        except Unavailable as error:
            raise problems.unavailable(error.retry_after) from error
        except TimeoutError:
            raise problems.unavailable(LONGEST_ANSWER) from None

    async def _respond(self, question: Question, request: web.Request) -> web.Response:
        standing = await self._stand(question)
        key = f"{standing.key}:{question.text}"
        if bodies.matches(request, etag := _etag(key)):
            return web.Response(status=304, headers=_head(question, standing, etag))
        made = await self._found(key) or await self._made_once(key, question, standing)
        if made.reasons:
            metrics.PARTIAL_ANSWERS.inc()
        if question.key != key:
            head = _head(question, standing, etag) | _completeness(made.reasons)
            question.head, question.key = CIMultiDict(head), key
        return web.Response(body=made.body, headers=question.head.copy())

    def _question(self, route: Route, request: web.Request) -> Question:
        url = request.raw_path
        known = self._questions.get(url)
        if known is not None:
            self._questions.move_to_end(url)
            return known
        # A handler's path is known to the router in decoded form, and the query to yarl.
        values = read(route.accepted, request.match_info, request.query.items())
        text = f"{request.path.removeprefix(ALIAS)}?{urlencode(sorted(request.query.items()))}"
        self._questions[url] = Question(route, values, text)
        if len(self._questions) > _REMEMBERED:
            self._questions.popitem(last=False)
        return self._questions[url]

    async def _stand(self, question: Question) -> Standing:
        token = _pinned(question)
        if token is None:
            standing = self._pins.fresh() or await self._pins.now()
        else:
            found = await self._pins.at(token)
            if found is None:
                raise problems.gone()
            standing = found
        if standing.pin.reasons and question.values["allow"] is None:
            raise problems.missing(standing.pin.reasons)
        return standing

    async def _found(self, key: str) -> Made | None:
        return await kept(self._cache, key, _DECODER.decode)

    async def _made_once(self, key: str, question: Question, standing: Standing) -> Made:
        """Whoever comes while it is being made waits for the same answer."""
        task = self._making.get(key)
        if task is None:
            task = asyncio.create_task(self._make(key, question, standing))
            self._making[key] = task
            task.add_done_callback(lambda done: self._made(key, done))
        return await asyncio.shield(task)

    def _made(self, key: str, done: asyncio.Task[Made]) -> None:
        del self._making[key]
        if not done.cancelled():
            done.exception()  # seen, even when nobody waits any more

    async def _make(self, key: str, question: Question, standing: Standing) -> Made:
        asked = Asked(
            question.values, standing, self._answers, self._clock, page_limit=self._page_limit
        )
        asked.reasons.extend(standing.pin.reasons)
        async with asyncio.timeout(LONGEST_ANSWER):
            answer = await question.route.answer(asked)
        made = Made(asked.reasons, self._encoder.encode(answer))
        await self._cache.put(key, msgspec.msgpack.encode(made))
        return made


def _pinned(question: Question) -> Any:
    """The token under which is asked, if any: a cursor carries one too."""
    cursor = question.values.get("cursor")
    return question.values["at"] if cursor is None else cursor.at


def _head(question: Question, standing: Standing, etag: str) -> dict[str, str]:
    return {
        hdrs.ETAG: etag,
        hdrs.CACHE_CONTROL: _LIVE if _pinned(question) is None else _AT,
        hdrs.CONTENT_TYPE: "application/json",
        **standing.headers,
        **HEADERS,
    }


def _completeness(reasons: list[str]) -> dict[str, str]:
    if not reasons:
        return {"X-Completeness": EXACT}
    warning = f'199 - "partial: {_plain("; ".join(reasons))}"'
    return {"X-Completeness": PARTIAL, hdrs.WARNING: warning}


@lru_cache(_REMEMBERED)
def _etag(key: str) -> str:
    return f'"{hashlib.blake2b(f"{VERSION}:{key}".encode(), digest_size=12).hexdigest()}"'


def _plain(text: str) -> str:
    """A header takes no line breaks, quotes or letters beyond ASCII."""
    return "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "?" for c in text)
