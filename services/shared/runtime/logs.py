"""Logs: lines for people on a terminal, one JSON object a line otherwise, always on stderr.

stdout is for data. A line is a stable snake_case `event` with fields beside it; what strangers
wrote (titles, names, comments) stands in fields only, cut to 256 characters, with control, newline
and bidirectional characters escaped, so that no title can forge a line or repaint a terminal.
Libraries that log through the standard library come out in the same shape.
"""

from __future__ import annotations

import json
import logging
import sys
import unicodedata
from typing import TYPE_CHECKING, Any, Literal, TextIO

import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

TEXT_LIMIT = 256
# Traces are ours, but quote values of strangers: lines are kept, the rest is escaped.
_TRACE_LIMIT = 16_384
_FIRST = ("ts", "level", "service", "event")
_UNSAFE = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def configure(
    level: str,
    form: Literal["auto", "json", "console"] = "auto",
    *,
    service: str,
    stream: TextIO | None = None,
) -> None:
    """Sets the whole process's logging; called once, by the command."""
    stream = stream or sys.stderr
    console = form == "console" or (form == "auto" and stream.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        _service(service),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _plain_texts,
    ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _renderer(console, colors=console and stream.isatty()),
            ],
        )
    )
    # What libraries have to say below a warning is theirs; `level` is for our own lines.
    logging.basicConfig(level=max(_number(level), logging.WARNING), handlers=[handler], force=True)
    logging.getLogger("services").setLevel(_number(level))
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]


def plain(text: str, limit: int = TEXT_LIMIT) -> str:
    """A stranger's text as one harmless line: what a terminal would obey is escaped."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    if cut.isascii() and cut.isprintable():
        return cut
    return "".join(_escaped(c) if unicodedata.category(c) in _UNSAFE else c for c in cut)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _plain_texts(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for key, value in event.items():
        if key in {"exception", "stack"}:
            event[key] = "\n".join(plain(line, _TRACE_LIMIT) for line in str(value).split("\n"))
        elif not key.startswith("_"):  # structlog's own: the record and its logger
            event[key] = _plain_value(value)
    return event


def _plain_value(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return {plain(str(key)): _plain_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain_value(item) for item in value]
    return plain(value if isinstance(value, str) else str(value))


def _service(name: str) -> Processor:
    def add(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.setdefault("service", name)
        return event

    return add


def _renderer(console: bool, *, colors: bool) -> Processor:
    if console:
        return structlog.dev.ConsoleRenderer(
            colors=colors, timestamp_key="ts", exception_formatter=structlog.dev.plain_traceback
        )
    return _json_line


def _json_line(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """The fields that every line has come first, so that raw lines can be read too."""
    ordered = {key: event.pop(key) for key in _FIRST if key in event}
    return json.dumps({**ordered, **event}, ensure_ascii=False)
