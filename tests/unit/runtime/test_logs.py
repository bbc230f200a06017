from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any, Literal

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from services.shared.runtime import logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configured = structlog.get_config()
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:], root.level = handlers, level
    structlog.configure(**configured)


def _logging(form: Literal["auto", "json", "console"], level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    logs.configure(level, form, service="collect", stream=stream)
    return stream


def _lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_off_a_terminal_a_line_is_one_json_object() -> None:
    stream = _logging("auto")
    structlog.get_logger("services.x").info("batch_run", rows=3, ratio=0.5, ok=True, step=None)
    (line,) = _lines(stream)
    assert list(line)[:4] == ["ts", "level", "service", "event"]
    assert line["ts"].endswith("Z")
    assert (line["level"], line["service"], line["event"]) == ("info", "collect", "batch_run")
    assert (line["rows"], line["ratio"], line["ok"], line["step"]) == (3, 0.5, True, None)


def test_libraries_log_in_the_same_shape() -> None:
    stream = _logging("json")
    logging.getLogger("aiohttp").warning("from %s", "a\nlibrary")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.warn("odd", stacklevel=1)
    library, warning = _lines(stream)
    assert (library["event"], library["service"]) == ("from a\\nlibrary", "collect")
    assert "odd" in warning["event"]


def test_the_level_holds_for_all() -> None:
    stream = _logging("json", "warning")
    structlog.get_logger("services.x").info("quiet")
    logging.getLogger("y").info("quiet")
    assert not stream.getvalue()


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_title_cannot_forge_a_line_or_repaint_a_terminal(
    form: Literal["json", "console"],
) -> None:
    stream = _logging(form)
    hostile = "A\nB\x1b[2J\u202egnp.exe\u2028C\x00\ud800"
    structlog.get_logger("services.x").info("odd_title", title=hostile, more={"k": [hostile]})
    written = stream.getvalue()
    assert written.count("\n") == 1
    for character in "\x1b\u202e\u2028\x00":
        assert character not in written
    assert "gnp.exe" in written


def test_texts_are_cut() -> None:
    stream = _logging("json")
    structlog.get_logger("services.x").info("long_title", title="ã" * 1000)
    assert len(_lines(stream)[0]["title"]) == logs.TEXT_LIMIT


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_trace_keeps_its_lines(form: Literal["json", "console"]) -> None:
    stream = _logging(form)
    with contextlib.suppress(ValueError):
        raise_and_log("ti\x1btle")
    assert "Traceback (most recent call last)" in stream.getvalue()
    assert "ValueError" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def raise_and_log(text: str) -> None:
    try:
        raise ValueError(text)
    except ValueError:
        structlog.get_logger("services.x").exception("failed")
        raise


@given(st.text(max_size=400))
def test_plain_texts_are_harmless_and_ordinary_ones_unchanged(text: str) -> None:
    shown = logs.plain(text)
    assert shown.encode("utf-8").decode("utf-8") == shown
    assert len(shown.splitlines()) <= 1
    if len(text) <= logs.TEXT_LIMIT and text.isprintable():
        assert shown == text


def test_what_libraries_say_below_a_warning_is_left_out() -> None:
    stream = _logging("json")
    logging.getLogger("pyiceberg.io").info("loaded")
    logging.getLogger("pyiceberg.io").warning("broken")
    assert [line["event"] for line in _lines(stream)] == ["broken"]
