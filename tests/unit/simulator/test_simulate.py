"""`bvw simulate`: the same flags give the same file, and its truth is what anybody can count."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import zstandard

from services.cli import simulate
from services.shared.domain import classes
from services.shared.runtime.exits import Refused


def run(out: Path, truth: Path | None = None, **flags: Any) -> bytes:
    simulate.command(out=out, truth=truth, seed=5, **({"events": 3_000} | flags))
    return out.read_bytes()


def naive(lines: list[bytes]) -> dict[str, Any]:
    """Counts made with json alone, first copy of each id."""
    seen: set[tuple[str, int]] = set()
    counts: dict[str, Any] = {"events": len(lines), "canaries": 0, "duplicates": 0}
    types, projects, editors, edits = Counter(), Counter(), Counter(), Counter()  # type: ignore[var-annotated]
    for event in map(json.loads, lines):
        if event["meta"]["domain"] == "canary":
            counts["canaries"] += 1
            continue
        key = (event["meta"]["id"], event["timestamp"] // 86_400)
        if key in seen:
            counts["duplicates"] += 1
            continue
        seen.add(key)
        project = event["server_name"].removesuffix(".org").removeprefix("www.")
        editor = classes.editor_class(event.get("user", ""), bot=event["bot"])
        types[event["type"]] += 1
        projects[project] += 1
        editors[editor] += 1
        edits[editor] += event["type"] in {"edit", "new"}
    changes = {"by_type": types, "by_project": projects, "by_editor_class": editors}
    return counts | {"distinct": len(seen), "changes": changes, "edits": edits}


def test_truth_is_what_a_naive_count_over_the_output_finds(tmp_path: Path) -> None:
    lines = run(tmp_path / "a.jsonl", tmp_path / "truth.json", events=8_000).splitlines()
    truth = json.loads((tmp_path / "truth.json").read_text("utf-8"))
    counted = naive(lines)
    for name in ("events", "canaries", "duplicates", "distinct", "changes"):
        assert truth[name] == counted[name], name
    edits = truth["edits"]
    assert edits["by_editor_class"] == counted["edits"]
    for split in ("by_project_and_editor_class", "by_theme_and_editor_class"):
        total = sum((Counter(row) for row in edits[split].values()), Counter())
        assert total == counted["edits"], split
    titles = {json.loads(line).get("title") for line in lines} - {None}
    assert titles == {title for pages in truth["theme_of_page"].values() for title in pages}


def test_compressed_output_holds_the_same_lines_and_repeats_itself(tmp_path: Path) -> None:
    plain = run(tmp_path / "a.jsonl")
    packed = run(tmp_path / "a.jsonl.gz")
    assert gzip.decompress(packed) == plain
    assert run(tmp_path / "b.jsonl.gz") == packed
    with zstandard.open(run(tmp_path / "a.jsonl.zst") and tmp_path / "a.jsonl.zst", "rb") as file:
        assert file.read() == plain


def test_a_start_moves_the_times(tmp_path: Path) -> None:
    first = json.loads(run(tmp_path / "a.jsonl", start="2025-03-01T06:00:00").splitlines()[0])
    assert first["meta"]["dt"].startswith("2025-03-01T06:00:0")


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"start": "yesterday"}, "--start: 'yesterday'"),
        ({"rate": 0.0}, "--rate"),
        ({"rate": float("nan")}, "--rate"),
        ({"out": Path("changes.csv")}, ".jsonl.gz"),
        ({"out": Path("/nowhere/at/all.jsonl")}, "cannot write"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(flags: dict[str, Any], says: str) -> None:
    with pytest.raises(Refused) as refused:
        simulate.command(**({"events": 1} | flags))
    assert says in refused.value.message
    assert "\n" not in refused.value.message


def test_a_reader_that_has_had_enough_ends_it_quietly() -> None:
    bvw = [sys.executable, "-m", "services.cli.main", "simulate", "--events", "3000"]
    with subprocess.Popen(bvw, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["$schema"]
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0
