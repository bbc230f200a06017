"""Answers without a stream: those of other routes, those that a script has, those of what stands in front.

In front of the real service are a limit for each client and a policy for robots. Their words are from its source
and from reports; the recorded service had neither.
"""

import math
from typing import Any

from services.collector.upstream import answers, assignment, deserializer
from services.collector.upstream.answers import Answer
from services.collector.upstream.assignment import Refusal
from services.collector.upstream.faults import Fault, Retry
from services.collector.upstream.history import STREAMS
from services.collector.upstream.request import Request

_TEXT = "text/plain; charset=utf-8"
_POLICY = (
    b"Please set a user-agent and respect our robot policy https://w.wiki/4wJS."
    b" See also https://phabricator.wikimedia.org/T400119.\n"
)
_TOO_MANY = {
    "type": "too_many_requests",
    "title": "Too Many Concurrent Connections From Your Client IP",
    "detail": "Your HTTP client is likely opening too many concurrent connections.",
}


def route(asked: Request) -> Answer:
    """Whatever is no stream."""
    if asked.streams and asked.method == "OPTIONS":
        return answers.options()
    if asked.method in {"GET", "HEAD"} and asked.path == "/":
        return answers.root()
    if asked.method in {"GET", "HEAD"} and asked.path == "/_info":
        return answers.info()
    return answers.no_route(asked.method, asked.path)


def json(value: Any) -> Answer:
    return answers.sized(200, answers.JSON, deserializer.stringify(value))


def answer(fault: Fault, asked: Request, now: float) -> Answer:
    """What a request is answered instead."""
    match fault.name:
        case "html":
            page = answers.page("Wikimedia Error", "Our servers are under maintenance.")
            return answers.sized(200, answers.HTML, page)
        case "redirect":
            return answers.sized(fault["CODE"], _TEXT, b"", (("Location", asked.uri),))
        case "notopic":
            return answers.refusal(_without_topic(asked))
        case _:
            return status(fault["CODE"], asked, _retry_after(fault["RETRY"], fault["CODE"], now))


def status(code: int, asked: Request, more: answers.Headers = ()) -> Answer:
    """An error, in the form that this code comes in."""
    if code == 403:
        return answers.sized(code, _TEXT, _POLICY, more)
    if code == 429:
        body = {"status": code, **_TOO_MANY, "method": asked.method, "uri": asked.uri}
        return answers.sized(
            code, f"{answers.JSON}; charset=utf-8", deserializer.stringify(body), more
        )
    return answers.sized(code, answers.HTML, answers.page("Wikimedia Error", f"Error {code}"), more)


def _retry_after(retry: Retry | None, code: int, now: float) -> answers.Headers:
    if retry is None or not (code == 429 or code >= 500):
        return ()
    if retry.as_date:
        return (("Retry-After", answers.date(math.ceil(now + retry.seconds))),)
    return (("Retry-After", str(math.ceil(retry.seconds))),)


def _without_topic(asked: Request) -> Refusal:
    """As if the last topic that the client remembers were not there any more."""
    topics = list(dict.fromkeys(t for s in asked.streams for t in STREAMS.get(s, ())))
    absent = (assignment.topics_named(asked.headers.get("last-event-id", "")) or topics)[-1:]
    return assignment.not_available(absent, [topic for topic in topics if topic not in absent])
