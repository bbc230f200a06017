"""The bar: on a terminal only, and full at the end."""

import io
from pathlib import Path

from rich.console import Console

from services.collector import progress
from services.collector.source.recorded import Recorded
from services.shared.runtime.clock import SystemClock
from tests.unit.collector.events import Listed


async def drawn(path: Path, *, terminal: bool) -> str:
    out = io.StringIO()
    source = await Recorded.open(path, clock=SystemClock())
    async with progress.shown(source, Console(file=out, force_terminal=terminal, width=100)):
        async for _ in source.frames(None):
            pass
    return out.getvalue()


async def test_a_recording_has_a_bar_that_reaches_its_end(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_bytes(b"1\n" * 1_000)
    text = await drawn(tmp_path / "events.jsonl", terminal=True)
    assert "recording events.jsonl" in text
    assert "100%" in text


async def test_nothing_is_drawn_into_a_file_or_for_a_source_without_end(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_bytes(b"1\n")
    assert await drawn(tmp_path, terminal=False) == ""
    out = io.StringIO()
    async with progress.shown(Listed([]), Console(file=out, force_terminal=True)):
        pass
    assert out.getvalue() == ""
