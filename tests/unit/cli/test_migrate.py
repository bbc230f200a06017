"""A directory of the format before, and one from another place, as an operator meets them after an upgrade.

The directories of format 1 are made by this version and then taken back: what format 2 changed is put as the
version before wrote it (its description, and the full paths in the lake's list of condemned files); all else is
written by the same code in both. A later format adds what it changes to `taken_back`.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from services.keeping import migrate
from services.shared.runtime.description import FORMAT
from services.shared.runtime.exits import Exit
from tests.unit.cli.test_verbs import held
from tests.unit.conftest import Product, bvw

HOUR_MS = 3_600_000


def taken_back(data: Path) -> None:
    """A directory of this version, as format 1 had it."""
    listed = data / "lake" / "condemned.json"
    since = json.loads(listed.read_bytes())
    assert since, "the lake has let go of some files"
    full = {str((data / "lake").resolve() / place): at - HOUR_MS for place, at in since.items()}
    listed.write_text(json.dumps(full))
    described = json.loads((data / "bvw.json").read_text())
    (data / "bvw.json").write_text(json.dumps(described | {"format": 1}, indent=2) + "\n")


@pytest.fixture
def old(product: Product, tmp_path: Path) -> Path:
    """A directory of format 1 that has never been elsewhere."""
    data = tmp_path / "old data"
    shutil.copytree(product.data, data)
    assert bvw("migrate", "--data", data).code == Exit.OK
    assert bvw("batch", "run", "--data", data).code == Exit.OK
    taken_back(data)
    return data


def migrated(data: Path) -> str:
    done = bvw("migrate", "--data", data)
    assert done.code == Exit.OK, done.err
    assert json.loads((data / "bvw.json").read_text())["format"] == FORMAT
    audit = bvw("audit", "--json", "--data", data)
    assert audit.code == Exit.OK, audit.err
    assert json.loads(audit.out)["events"] > 10
    return done.err


def test_every_older_format_has_its_way_here() -> None:
    assert sorted(migrate.STEPS) == list(range(1, FORMAT))


def test_an_older_directory_is_refused_by_every_verb_with_the_command_that_helps(old: Path) -> None:
    before = (old / "bvw.json").read_text()
    for words in (("serve",), ("audit",), ("batch", "run"), ("up", "--source", "demo")):
        done = bvw(*words, "--data", old)
        assert done.code == Exit.CONFIGURATION
        (line,) = done.err.splitlines()
        assert f"bvw migrate --data '{old}'" in line
    assert (old / "bvw.json").read_text() == before


def test_it_is_brought_to_this_format_and_answers_as_before(old: Path) -> None:
    said = migrated(old)
    assert "format 2: " in said
    assert "format 2: " not in migrated(old), "once is enough"
    listed = json.loads((old / "lake" / "condemned.json").read_bytes())
    assert listed
    assert all((old / "lake" / place).exists() for place in listed)
    assert not any(Path(place).is_absolute() for place in listed)
    done = bvw("batch", "run", "--data", old)
    assert done.code == Exit.OK, done.err
    assert not any((old / "lake" / place).exists() for place in listed), "grace has not begun anew"


@pytest.mark.parametrize("point", ["keeping.step-taken", "lake.settling"])
def test_a_migration_that_dies_is_done_by_the_next_one(old: Path, point: str) -> None:
    moved = old.rename(old.with_name("moved"))
    died = bvw("migrate", "--data", moved, BVW_CRASH_AT=point)
    assert died.code == Exit.CRASHED
    migrated(moved)


def test_a_moved_directory_is_refused_where_the_lake_is_needed_and_settles(old: Path) -> None:
    migrated(old)
    moved = old.rename(old.with_name("moved"))
    done = bvw("batch", "run", "--data", moved)
    assert done.code == Exit.CONFIGURATION
    assert f"bvw migrate --data {moved} " in done.err.splitlines()[-1]
    assert "the lake stands at" in migrated(moved)
    assert bvw("batch", "run", "--data", moved).code == Exit.OK


@pytest.mark.parametrize("role", ["collector", "speed", "batch"])
def test_nothing_is_migrated_under_a_writer(old: Path, role: str) -> None:
    done = held(old, role, "migrate", "--data", old)  # type: ignore[arg-type]
    assert done.code == Exit.TEMPORARY
    assert f"another {role} already runs" in done.err
    assert json.loads((old / "bvw.json").read_text())["format"] == 1


def test_what_is_no_directory_or_a_newer_one_is_left_alone(tmp_path: Path) -> None:
    assert "there is no data here" in bvw("migrate", "--data", tmp_path / "none").err
    text = '{"format": 99, "source": "demo"}'
    (tmp_path / "bvw.json").write_text(text)
    done = bvw("migrate", "--data", tmp_path)
    assert done.code == Exit.CONFIGURATION
    assert "the version of bvw that made it or a newer one" in done.err
    assert (tmp_path / "bvw.json").read_text() == text
