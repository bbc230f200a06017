"""`bvw simulate`: a stream of changes to try things on, with the truth about it.

The same flags give the same bytes, whenever and wherever they are given: that is why the stream
begins at a fixed time unless told otherwise.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import sys
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from services.shared.runtime.exits import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.collector.simulator.truth import Truth

_START = "2026-01-05T12:00:00Z"
_STDOUT = Path("-")
_SUFFIXES = ".jsonl, .jsonl.gz, .jsonl.zst, or - for standard output"


def command(
    *,
    seed: Annotated[int, typer.Option(min=0, max=2**63, help="Same seed, same stream.")] = 42,
    rate: Annotated[float, typer.Option(help="Changes a second, on average over a day.")] = 35.0,
    events: Annotated[int, typer.Option(min=0, help="How many lines to write.")] = 10_000,
    out: Annotated[Path, typer.Option(help=f"File to write: {_SUFFIXES}.")] = _STDOUT,
    truth: Annotated[Path | None, typer.Option(help="File for the exact counts, as JSON.")] = None,
    start: Annotated[str, typer.Option(help="When the stream begins (ISO 8601).")] = _START,
) -> None:
    """Write simulated changes as JSON lines, and the exact counts to check answers against."""
    from services.collector.simulator.stream import Stream
    from services.collector.simulator.truth import Truth

    if not 0 < rate < float("inf"):
        raise Refused(f"--rate: {rate:g} is not accepted; accepted: a number above 0")
    stream, counts = Stream(seed, rate, _start_ms(start)), Truth()
    try:
        with _opened(out) as file:
            for arrival in islice(stream, events):
                file.write(arrival.raw + b"\n")
                counts.add(arrival)
    except BrokenPipeError:
        # Whoever read has had enough. Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    except OSError as error:
        raise Refused(f"--out: cannot write {out} ({error.strerror})") from None
    if truth is not None:
        _write_truth(truth, counts, {"seed": seed, "rate": rate, "start": start})


def _start_ms(start: str) -> int:
    try:
        moment = datetime.fromisoformat(start)
    except ValueError:
        raise Refused(
            f"--start: {start!r} is not accepted; accepted: a time such as {_START}"
        ) from None
    return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)


@contextlib.contextmanager
def _opened(out: Path) -> Iterator[BinaryIO | gzip.GzipFile]:
    """The file to write to; what is compressed has no name and time in it, so equal runs are equal."""
    if out == _STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif out.name.endswith(".jsonl"):
        with out.open("wb") as plain:
            yield plain
    elif out.name.endswith(".jsonl.gz"):
        with out.open("wb") as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
            yield packed
    elif out.name.endswith(".jsonl.zst"):
        import zstandard

        with zstandard.open(out, "wb") as packed:
            yield packed
    else:
        raise Refused(f"--out: {out} is not accepted; accepted: {_SUFFIXES}")


def _write_truth(path: Path, counts: Truth, run: dict[str, object]) -> None:
    text = json.dumps(run | counts.as_json(), ensure_ascii=False, indent=1)
    try:
        path.write_text(text + "\n", "utf-8")
    except OSError as error:
        raise Refused(f"--truth: cannot write {path} ({error.strerror})") from None
