"""`bvw export`: what is counted, whole, as a file for other programs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal

import typer

from services.cli import options
from services.shared.domain.positions import shown
from services.shared.runtime import logs
from services.shared.runtime.exits import Exit, Refused
from services.shared.runtime.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from services.serving.api.models.ours import Meta
    from services.serving.export import Export

_STDOUT = Path("-")
_GONE = (
    "what the export stood on is no longer kept; ask for fewer days (--start, --end), or let the running"
    " batch layer keep generations for longer (generation_keep)"
)


@options.configured("source")
def command(
    settings: Settings,
    *,
    what: Annotated[Literal["edits", "pages", "words"], typer.Argument(help="What to export.")],
    form: Annotated[
        Literal["csv", "parquet", "json"], typer.Option("--format", help="How to write it.")
    ] = "csv",
    out: Annotated[Path, typer.Option(help="File to write; - is standard output.")] = _STDOUT,
    project: Annotated[str | None, typer.Option(help="One project, such as pt.wikipedia.")] = None,
    start: Annotated[str | None, typer.Option(help="First day (UTC), YYYYMMDD.")] = None,
    end: Annotated[str | None, typer.Option(help="First day after.")] = None,
    at: Annotated[
        str | None, typer.Option(help="A token `at` of the API: the rows as they stand there.")
    ] = None,
    allow: Annotated[
        Literal["partial"] | None,
        typer.Option(help="Take what there is, where a layer is missing."),
    ] = None,
) -> None:
    """Write every row of edits, pages or words, exactly and as of one moment."""
    if form == "parquet" and out == _STDOUT:
        raise Refused("--format parquet: needs a file; give --out FILE", Exit.USAGE)
    options_ = {"project": project, "start": start, "end": end, "at": at, "allow": allow}
    given = {name: value for name, value in options_.items() if value is not None}
    with _opened(out) as file:
        count, meta = asyncio.run(_export(settings, what, form, given, file))
    _tell(count, meta)


async def _export(
    settings: Settings, what: str, form: str, given: Mapping[str, str], file: BinaryIO
) -> tuple[int, Meta]:
    from services import wiring
    from services.serving import export
    from services.serving.answers import Answers
    from services.serving.api.problems import ProblemError
    from services.serving.pins import Pins
    from services.shared.batchview.port import Gone
    from services.shared.runtime import lifecycle

    async with lifecycle.Resources() as resources:
        stores = await wiring.stores(resources, settings)
        pins = Pins(stores.log, stores.speed, stores.batch, stores.clock, live=0)
        answers = Answers(stores.speed, stores.batch, stores.cache)
        try:
            begun = await export.begin(pins, answers, stores.clock, what, given)
            return await _written(begun, form, file), begun.meta
        except ProblemError as problem:
            code = Exit.TEMPORARY if problem.status == 503 else Exit.USAGE
            raise Refused(f"export: {problem.detail}", code) from None
        except Gone:
            raise Refused(f"export: {_GONE}", Exit.TEMPORARY) from None


async def _written(export: Export, form: str, file: BinaryIO) -> int:
    """How many rows there were."""
    from services.serving.formats import FORMATS

    count = 0
    writer = await asyncio.to_thread(FORMATS[form], file, export)
    async for rows in export.rows():
        await asyncio.to_thread(writer.write, rows)
        count += len(rows)
    await asyncio.to_thread(writer.close)
    return count


@contextlib.contextmanager
def _opened(out: Path) -> Iterator[BinaryIO]:
    """The file gets its name once it is whole."""
    if out == _STDOUT:
        try:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            # Whoever read has had enough. Python would complain again when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit from None
        return
    part = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(out)
    except OSError as error:
        raise Refused(f"--out: cannot write {out} ({error.strerror})") from None
    finally:
        part.unlink(missing_ok=True)


def _tell(count: int, meta: Meta) -> None:
    typer.echo(f"{count:,} rows, {meta.completeness}, as of {meta.as_of_time}", err=True)
    for reason in meta.reasons:
        typer.echo(f"partial: {logs.plain(reason)}", err=True)
    stands = f"horizon {shown(meta.horizon)}, as_of {shown(meta.as_of)}"
    typer.echo(f"generation {meta.generation}, {stands}", err=True)
    typer.echo(f"at {meta.at}", err=True)
