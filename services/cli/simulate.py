"""`bvw simulate`: a stream of changes to try things on, with the truth about it; written, or served.

The same flags give the same bytes, whenever and wherever they are given: that is why the stream
begins at a fixed time unless told otherwise.

With --serve it is a fake of Wikimedia EventStreams instead of a file: the same answers to the byte, and with
--faults the same troubles and worse. The address of the stream is all that goes to stdout; what its clients did
is at /_fake/stats.
"""

from __future__ import annotations

import asyncio
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

from services.shared.runtime.clock import SystemClock
from services.shared.runtime.exits import Exit, Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from services.collector.simulator.stream import Simulated, Stream
    from services.collector.upstream.happenings import Arrival

_START = "2026-01-05T12:00:00Z"
_EVENTS = 10_000
_STDOUT = Path("-")
_SUFFIXES = ".jsonl, .jsonl.gz, .jsonl.zst, or - for standard output"
_LOOPBACK = "127.0.0.1"
_AT_ONCE = "max"


def command(
    *,
    seed: Annotated[int, typer.Option(min=0, max=2**63, help="Same seed, same stream.")] = 42,
    rate: Annotated[float, typer.Option(help="Changes a second, on average over a day.")] = 35.0,
    events: Annotated[
        int | None,
        typer.Option(min=0, help=f"How many; {_EVENTS} by default, of a recording all."),
    ] = None,
    out: Annotated[Path, typer.Option(help=f"File to write: {_SUFFIXES}.")] = _STDOUT,
    truth: Annotated[Path | None, typer.Option(help="File for the exact counts, as JSON.")] = None,
    start: Annotated[
        str, typer.Option(help="When the stream begins: a time (ISO 8601), or now.")
    ] = _START,
    serve: Annotated[
        str | None,
        typer.Option(
            metavar="[HOST]:PORT",
            help="Serve them as Wikimedia EventStreams does instead; port 0 takes a free one.",
        ),
    ] = None,
    faults: Annotated[
        str, typer.Option(help="With --serve: what goes wrong; @FILE reads it, help lists it.")
    ] = "",
    recording: Annotated[
        Path | None, typer.Option(help="With --serve: the events of a recording instead.")
    ] = None,
    pace: Annotated[
        str,
        typer.Option(
            help="With --serve: max puts all events into the history at once; a number lets them"
            " come at so many times their own speed, from when the first reader is there."
        ),
    ] = _AT_ONCE,
) -> None:
    """Write or serve simulated changes, with the exact counts to check answers against."""
    from services.collector.simulator.stream import Stream

    if faults == "help":
        return _list_faults()
    if serve is None and (faults or recording or pace != _AT_ONCE):
        raise Refused("--faults, --recording and --pace go with --serve [HOST]:PORT", Exit.USAGE)
    if not 0 < rate < float("inf"):
        raise Refused(f"--rate: {rate:g} is not accepted; accepted: a number above 0")
    stream = Stream(seed, rate, _start_ms(start))
    count = _EVENTS if events is None else events
    run: dict[str, object] = {"seed": seed, "rate": rate, "start": start}
    if serve is None:
        return _write(out, truth, islice(stream, count), run)
    address, multiple, script = _address(serve), _pace(pace), _script(faults)
    if truth is not None:
        _count(truth, recording, islice(stream, count), run | {"faults": script})
    arrivals = _arrivals(stream, count, recording, events)
    return _serve(address, arrivals, script, pace=multiple, seed=seed)


def _write(
    out: Path, truth: Path | None, arrivals: Iterable[Simulated], run: dict[str, object]
) -> None:
    from services.collector.simulator.truth import Truth

    counts = Truth()
    try:
        with _opened(out) as file:
            for arrival in arrivals:
                file.write(arrival.raw + b"\n")
                counts.add(arrival)
    except BrokenPipeError:
        # Whoever read has had enough. Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    except OSError as error:
        raise Refused(f"--out: cannot write {out} ({error.strerror})") from None
    if truth is not None:
        _write_truth(truth, run | counts.as_json())


def _count(
    truth: Path, recording: Path | None, arrivals: Iterable[Simulated], run: dict[str, object]
) -> None:
    """The truth before anything is served. What faults add beside the events is not in it."""
    from services.collector.simulator.truth import Truth

    if recording is not None:
        raise Refused("--truth: is known of simulated changes, not of a recording", Exit.USAGE)
    counts = Truth()
    for arrival in arrivals:
        counts.add(arrival)
    _write_truth(truth, run | counts.as_json())


def _arrivals(
    stream: Stream, count: int, recording: Path | None, events: int | None
) -> Iterator[Arrival]:
    from services.collector.upstream import arrivals

    if recording is None:
        return arrivals.simulated(stream, count)
    return arrivals.recorded(recording, events)


def _serve(
    address: tuple[str, int],
    arrivals: Iterator[Arrival],
    script: str,
    *,
    pace: float | None,
    seed: int,
) -> None:
    from services.collector.upstream import faults, serve
    from services.collector.upstream.history import History
    from services.shared.runtime import lifecycle, logs

    logs.configure("warning", service="simulate")
    parsed = faults.parse(script)

    async def program(stop: asyncio.Event) -> None:
        served = serve.serving(History(), parsed, *address, arrivals=arrivals, pace=pace, seed=seed)
        await serve.run(stop, served, typer.echo)

    lifecycle.main(program)


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 0xFFFF:
        raise Refused(
            f"--serve: {text!r} is not accepted; accepted: [HOST]:PORT, such as :8080", Exit.USAGE
        )
    return host.strip("[]") or _LOOPBACK, int(port)


def _pace(text: str) -> float | None:
    if text == _AT_ONCE:
        return None
    with contextlib.suppress(ValueError):
        if 0 < (pace := float(text)) < float("inf"):
            return pace
    raise Refused(f"--pace: {text!r} is not accepted; accepted: max, or a number above 0")


def _script(faults: str) -> str:
    if not faults.startswith("@"):
        return faults
    try:
        return Path(faults[1:]).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"--faults: cannot read {faults[1:]} ({error})") from None


def _list_faults() -> None:
    from services.collector.upstream import faults

    typer.echo(faults.described())


def _start_ms(start: str) -> int:
    if start == "now":
        return int(SystemClock().now() * 1000)
    try:
        moment = datetime.fromisoformat(start)
    except ValueError:
        raise Refused(
            f"--start: {start!r} is not accepted; accepted: now, or a time such as {_START}"
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


def _write_truth(path: Path, told: dict[str, object]) -> None:
    text = json.dumps(told, ensure_ascii=False, indent=1)
    try:
        path.write_text(text + "\n", "utf-8")
    except OSError as error:
        raise Refused(f"--truth: cannot write {path} ({error.strerror})") from None
