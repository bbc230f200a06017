"""Runs as tables for a terminal and as plain values for JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rich.markup import escape
from rich.table import Table

from services.shared.batchview.port import Run


def as_json(run: Run) -> dict[str, Any]:
    """The run as `--json` prints it: its fields, times in ms since 1970."""
    return asdict(run)


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
