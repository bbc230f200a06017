"""One request and what it is answered: an error, an answer of the script, or a stream until it ends.

What stands in front comes first, then what the script has for this request, then what the service itself says.
"""

import asyncio
import contextlib

from services.collector.upstream import answers, assignment, request, scripted, stats
from services.collector.upstream.answers import Answer
from services.collector.upstream.assignment import Refusal, Start
from services.collector.upstream.connection import Body, Connection
from services.collector.upstream.mishaps import Ending
from services.collector.upstream.request import Request
from services.collector.upstream.stats import Asking
from services.collector.upstream.upstream import Upstream


class Visit:
    """One request and what it is answered."""

    def __init__(
        self,
        upstream: Upstream,
        asked: Request,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._upstream = upstream
        self._mishaps = upstream.mishaps
        self._request = asked
        self._reader = reader
        self._writer = writer
        self._on = answers.Connection(upstream.now(), asked.http_10, asked.closes)
        self.how: str | None = None

    async def answered(self) -> bool:
        """Whether the connection can be used again."""
        if self._request.streams and self._request.method in {"GET", "HEAD"}:
            asking = self._upstream.asking(self._request)
            return await self._asked_for_stream(asking)
        if self._request.path == stats.PATH:
            return await self._write(scripted.json(self._upstream.as_json()))
        return await self._write(scripted.route(self._request))

    async def _asked_for_stream(self, asking: Asking) -> bool:
        answer = self._limits() or await self._misled()
        if isinstance(answer, Ending):
            return False
        if answer is None:
            await self._upstream.audience.door.wait()
            started = self._start()
            if isinstance(started, Start):
                asking.status = 200
                await self._stream(started, asking)
                return False
            answer = answers.refusal(started)
        asking.status = answer.status
        return await self._write(answer)

    def _limits(self) -> Answer | None:
        """What the real one has in front of it: a limit per client, and a policy for robots."""
        agent = self._request.headers.get("user-agent", "")
        if self._mishaps.standing("agent") and not ("@" in agent or "://" in agent):
            return scripted.status(403, self._request)
        limit = self._mishaps.standing("limit")
        if limit and len(self._upstream.audience) >= limit["CONNECTIONS"]:
            return scripted.status(429, self._request)
        return None

    async def _misled(self) -> Answer | Ending | None:
        """The answer that the script has for this request; an ending if it is none at all."""
        resumes = "last-event-id" in self._request.headers
        fault = self._mishaps.answer(resumes=resumes)
        if fault is None:
            return None
        if fault.name == "hang":
            await self._until_gone(fault["FOR"])
        if fault.name in {"hang", "refuse"}:
            return Ending("fin", 0.0)
        return scripted.answer(fault, self._request, self._upstream.now())

    def _start(self) -> Start | Refusal:
        """Where it starts. What an expired resume point takes away is counted."""
        history, asked = self._upstream.history, self._request.asked
        true = assignment.start(history, asked)
        if isinstance(true, Refusal) or "timestamp" not in (asked.last_event_id or ""):
            return true
        fault = self._mishaps.take("expired")
        if fault is None:
            return true
        by_ms = None if fault["HOW"] == "silent" else int(fault["BY"] * 1000)
        expired = assignment.start(
            history, asked, lambda at_ms: None if by_ms is None else at_ms + by_ms
        )
        if isinstance(expired, Start):
            for place, offset in expired.positions.items():
                self._upstream.stats.skipped += offset - true.positions.get(place, offset)
        return expired

    async def _stream(self, start: Start, asking: Asking) -> None:
        if self._request.method == "HEAD":
            return await self._until_gone(None)
        accept = self._request.headers.get("accept")
        encode, drip = self._mishaps.take("encode"), self._mishaps.standing("drip")
        encoding = encode["HOW"] if encode else None
        wrong = self._mishaps.take("type")
        kind = wrong["TYPE"] if wrong else answers.stream_type(accept)
        self._writer.write(answers.stream_head(kind, self._on, encoding=encoding))
        upstream, chunked = self._upstream, not self._on.http_10
        connection = Connection(
            start,
            Body(self._writer, upstream.stats, chunked=chunked, encoding=encoding, drip=drip),
            asking,
            history=upstream.history,
            mishaps=self._mishaps,
            audience=upstream.audience,
            stats=upstream.stats,
            plain=(accept or "").startswith(answers.JSON),
        )
        self.how = await self._until_either(connection)
        return None

    async def _until_either(self, connection: Connection) -> str | None:
        """Until the stream ends, the client goes, or the stream is cut off."""
        running = asyncio.create_task(connection.run())
        gone = asyncio.create_task(self._until_gone(None))
        self._upstream.audience.enter(connection, running.cancel)
        try:
            await asyncio.wait({running, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._upstream.audience.leave(connection)
            running.cancel()
            gone.cancel()
            ended = (await asyncio.gather(running, gone, return_exceptions=True))[0]
        if isinstance(ended, Exception) and not isinstance(ended, OSError):
            raise ended
        return ended.how if isinstance(ended, Ending) else None

    async def _until_gone(self, within: float | None) -> None:
        """Until the client closes its side; what it says meanwhile is not heard."""
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(within):
                while await self._reader.read(request.LARGEST_HEAD):
                    pass

    async def _write(self, answer: Answer) -> bool:
        head_only = self._request.method == "HEAD"
        self._writer.write(answers.written(answer, self._on, head_only=head_only))
        await self._writer.drain()
        return not self._on.close
