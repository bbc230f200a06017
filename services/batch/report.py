"""Runs as tables and bars for a terminal, and as plain values for JSON."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from services.shared.batchview.port import Run


def as_json(run: Run) -> dict[str, Any]:
    """The run as `--json` prints it: its fields, times in ms since 1970."""
    return asdict(run)


@contextlib.contextmanager
def bars(console: Console) -> Iterator[Callable[[Run], None]]:
    """A bar for each step that has begun; draws only on a terminal. Yields what a run is told to."""
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (
        TextColumn("{task.description:<8}"),
        BarColumn(),
        TextColumn("{task.completed:>9,} rows in, {task.fields[out]:,} out"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        known: dict[str, TaskID] = {}

        def tell(run: Run) -> None:
            for step in run.steps:
                if step.name not in known:
                    known[step.name] = progress.add_task(step.name, total=None, out=0)
                ended = step.state != "running"
                total = step.rows_in or 1 if ended else step.expected or None
                done = total if ended else step.rows_in
                progress.update(known[step.name], completed=done, total=total, out=step.rows_out)

        yield tell


def steps(run: Run) -> Table:
    """One run, a line for each step."""
    table = Table("step", "state", title=_title(run), title_justify="left")
    for name in ("seconds", "rows in", "rows out"):
        table.add_column(name, justify="right")
    table.add_column("error", overflow="fold")
    for step in run.steps:
        numbers = (f"{step.seconds:.2f}", f"{step.rows_in:,}", f"{step.rows_out:,}")
        table.add_row(step.name, step.state, *numbers, escape(step.error))
    return table


def runs(found: Sequence[Run]) -> Table:
    """Runs, a line each."""
    table = Table("run", "kind", "state", "started (UTC)")
    for name in ("seconds", "events", "generation"):
        table.add_column(name, justify="right")
    table.add_column("error", overflow="fold")
    for run in found:
        table.add_row(
            run.id,
            run.kind,
            run.state,
            _time(run.started_at),
            "" if run.ended_at is None else f"{(run.ended_at - run.started_at) / 1000:.1f}",
            f"{run.steps[0].rows_in:,}" if run.steps else "",
            "" if run.generation is None else str(run.generation),
            escape(next((f"{s.name}: {s.error}" for s in run.steps if s.state == "failed"), "")),
        )
    return table


def _title(run: Run) -> str:
    made = "no new generation" if run.generation is None else f"generation {run.generation}"
    return f"{run.kind} {run.id}: {run.state}, {made}"


def _time(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
