import json
from dataclasses import replace
from io import StringIO

from rich.console import Console
from rich.table import Table

from services.batch import report
from services.shared.batchview.port import Run, Step

STEPS = (
    Step("ingest", "done", 0, 1.5, 12_345, 12_000),
    Step("define", "failed", 0, 0.1, error="x [red]"),
)
RUN = Run("r1", "run", "failed", 1_709_208_000_000, 1_709_208_002_500, 7, STEPS)


def text(table: Table) -> str:
    out = StringIO()
    Console(file=out, width=180).print(table)
    return out.getvalue()


def test_a_run_shows_its_steps() -> None:
    shown = text(report.steps(RUN))
    assert "run r1: failed, generation 7" in shown
    assert "12,345" in shown
    assert "1.50" in shown
    assert "x [red]" in shown


def test_runs_show_when_how_long_and_why() -> None:
    shown = text(report.runs([RUN, Run("r2", "rebuild", "running", 0)]))
    assert "2024-02-29 12:00:00" in shown
    assert "2.5" in shown
    assert "define: x [red]" in shown
    assert "rebuild" in shown


def test_json_is_the_run() -> None:
    assert json.loads(json.dumps(report.as_json(RUN)))["steps"][0]["rows_in"] == 12_345


def test_bars_are_drawn_on_a_terminal_only_and_follow_the_run() -> None:
    for terminal in (True, False):
        out = StringIO()
        console = Console(file=out, force_terminal=terminal, width=100)
        with report.bars(console) as tell:
            tell(Run("r", "run", "running", 0, steps=(Step("ingest", "running", 0, 0.0, 5, 4),)))
            tell(replace(RUN, steps=(Step("ingest", "running", 0, 0.0, 50, 40, expected=100),)))
            tell(RUN)
        assert ("ingest" in out.getvalue()) is terminal
