from pathlib import Path

import pytest

from services.shared.lake import sweep
from services.shared.lake.sweep import GRACE_MS

T0 = 1_700_000_000_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    table = tmp_path / "raw" / "recentchange" / "data"
    table.mkdir(parents=True)
    for name in ("used", "lost"):
        (table / name).write_bytes(b"12345")
    (tmp_path / "catalog.db").write_bytes(b"")
    return tmp_path


def path(root: Path, name: str) -> str:
    return str(root / "raw" / "recentchange" / "data" / name)


def run(root: Path, now: int, *used: str) -> None:
    sweep.sweep(root, sweep.files(root), {path(root, name) for name in used}, now)


def names(root: Path) -> set[str]:
    return {Path(file).name for file in sweep.files(root)}


def test_the_catalogue_is_no_file_of_a_table(root: Path) -> None:
    assert sweep.files(root) == {path(root, "used"): 5, path(root, "lost"): 5}


def test_a_lost_file_goes_after_the_grace_time(root: Path) -> None:
    run(root, T0, "used")
    run(root, T0 + GRACE_MS - 1, "used")
    assert names(root) == {"used", "lost"}
    run(root, T0 + GRACE_MS, "used")
    assert names(root) == {"used"}
    assert sweep.condemned(root) == {}


def test_the_grace_time_runs_from_when_the_file_was_let_go(root: Path) -> None:
    run(root, T0, "used", "lost")
    run(root, T0 + GRACE_MS, "used")
    assert names(root) == {"used", "lost"}


def test_a_file_that_is_used_again_is_pardoned(root: Path) -> None:
    run(root, T0, "used")
    run(root, T0 + 1, "used", "lost")
    run(root, T0 + GRACE_MS, "used")
    assert names(root) == {"used", "lost"}


def test_a_torn_list_starts_the_grace_time_anew(root: Path) -> None:
    run(root, T0, "used")
    (root / "condemned.json").write_text('{"torn')
    run(root, T0 + GRACE_MS, "used")
    assert names(root) == {"used", "lost"}
    run(root, T0 + 2 * GRACE_MS, "used")
    assert names(root) == {"used"}
