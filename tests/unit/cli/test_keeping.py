"""Backup, restore, status, check-up and export, as a person or a script meets them."""

from __future__ import annotations

import csv
import json
import shutil
import socket
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from services.shared.runtime.exits import Exit
from tests.unit.cli.test_verbs import get, held, served
from tests.unit.conftest import Product, bvw


def test_a_backup_is_restored_and_answers_exactly(product: Product, tmp_path: Path) -> None:
    kept, home = tmp_path / "kept here", {"XDG_DATA_HOME": str(tmp_path)}
    done = bvw("backup", kept, "--data", product.data)
    assert done.code == Exit.OK, done.err
    assert done.out == ""
    assert f"{kept} is a backup of {product.data}: all up to " in done.err
    done = bvw("restore", kept, **home)
    assert done.code == Exit.OK, done.err
    (made,) = (tmp_path / "bots-vs-wiki").iterdir()
    assert made.name.startswith("recorded-made-"), "the place of its source"
    assert f"bvw up --data {made} goes on from there" in done.err
    assert json.loads(bvw("audit", "--json", "--data", made).out)["exact"] is True
    again = bvw("restore", kept, **home)
    assert again.code == Exit.CONFIGURATION
    assert "has data already" in again.err


def test_status_tells_what_the_directory_says_or_the_running_process(product: Product) -> None:
    done = bvw("status", "--json", "--data", product.data)
    assert done.code == Exit.OK, done.err
    told = json.loads(done.out)
    assert told["caught_up"]
    assert told["horizon"] == told["end"]
    with served(product.data) as url:
        running = json.loads(bvw("status", "--json", "--data", product.data).out)
        assert {**running, "now": 0} == {**get(f"{url}/v1/status"), "now": 0}
        assert f"serving       {url}\n" in bvw("status", "--data", product.data).out
    said: str = held(product.data, "speed", "status", "--data", product.data).out
    assert "serving       nobody; read from the directory\n" in said
    assert "collector     not running\n" in said
    assert "answers       exact\n" in said
    speed = next(line for line in said.splitlines() if line.startswith("speed  "))
    assert "not running" not in speed


def test_status_of_a_directory_without_views(product: Product, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(product.data, data)
    (data / "speed.sqlite").unlink()
    said = bvw("status", "--data", data).out
    assert "speed view    has not begun; bvw speed fills it from the log\n" in said
    assert "answers       partial; speed view missing\n" in said


def checked(*words: object, **variables: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code of a check-up, and what it says by name."""
    done = bvw("doctor", "--json", *words, **variables)
    return done.code, {check["name"]: check for check in json.loads(done.out)}


def test_a_check_up_of_a_sound_directory_finds_nothing(
    product: Product, unused_tcp_port: int
) -> None:
    words = ("--data", product.data, "--port", unused_tcp_port, "--metrics-port", 0)
    code, checks = checked(*words)
    assert code == Exit.OK
    assert {check["verdict"] for check in checks.values()} <= {"ok", "warn"}
    assert [name for name, check in checks.items() if check["verdict"] == "warn"] in ([], ["disk"])
    assert "all up to" in checks["data"]["said"]
    for line in bvw("doctor", *words).out.splitlines():
        assert line.split()[0] in {"ok", "warn", "fix:"}


def test_a_check_up_says_what_puts_right_what_is_wrong(product: Product, tmp_path: Path) -> None:
    data = tmp_path / "some data"
    shutil.copytree(product.data, data)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = ("--data", data, "--port", port, "--metrics-port", port)
        code, checks = checked(*words, "--set", "disk_budget=1KB")
    assert code == Exit.DIFFERENT
    assert (checks["port"]["verdict"], checks["port"]["fix"]) == ("fail", "bvw up --port 0")
    assert checks["metrics port"]["verdict"] == "fail"
    assert checks["disk"]["verdict"] == "warn"
    assert checks["data"]["fix"] == f"bvw migrate --data '{data}'", "it was moved"

    def fault() -> str:
        code, checks = checked("--data", data, "--port", 0, "--metrics-port", 0)
        assert code == Exit.DIFFERENT
        assert checks["data"]["verdict"] == "fail"
        return f"{checks['data']['said']} FIX {checks['data']['fix']}"

    (data / "batch.sqlite").write_bytes(b"no database at all" * 1000)
    assert "bvw restore DIR --data NEW" in fault()
    told = json.loads((data / "bvw.json").read_text())
    (data / "bvw.json").write_text(json.dumps(told | {"format": 1}))
    assert fault().endswith(f"FIX bvw migrate --data '{data}'")
    (data / "bvw.json").unlink()
    assert "no data directory FIX choose an empty or a new one" in fault()


def test_a_check_up_where_nothing_is_yet(tmp_path: Path) -> None:
    here = ("--data", tmp_path / "none", "--port", 0, "--metrics-port", 0)
    code, checks = checked(*here)
    assert code == Exit.OK
    assert checks["data"]["said"].startswith("none yet")
    assert checks["contact"]["verdict"] == checks["stream"]["verdict"] == "warn"
    assert "BVW_CONTACT=you@example.org" in checks["contact"]["fix"]
    assert not (tmp_path / "none").exists()
    code, checks = checked("--source", "live", *here)
    assert code == Exit.DIFFERENT
    assert checks["contact"]["verdict"] == "fail"


def test_a_check_up_asks_the_stream(tmp_path: Path, unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}/v2/stream/recentchange"
    words = ("--source", url, "--contact", "you@example.org", "--data", tmp_path / "none")
    code, checks = checked(*words, "--port", 0, "--metrics-port", 0)
    assert code == Exit.DIFFERENT
    assert checks["contact"]["verdict"] == "ok"
    assert checks["stream"]["verdict"] == "fail"


def test_a_check_up_tries_the_shared_cache(tmp_path: Path, unused_tcp_port: int) -> None:
    here = ("--data", tmp_path / "none", "--port", 0, "--metrics-port", 0)
    _, checks = checked(*here)
    assert "in memory" in checks["cache"]["said"]
    url = f"redis://:secret@127.0.0.1:{unused_tcp_port}/0"
    code, checks = checked(*here, BVW_CACHE_URL=url)
    assert code == Exit.OK, "answers only take longer"
    assert checks["cache"]["verdict"] == "warn"
    assert "secret" not in json.dumps(checks)
    done = bvw("doctor", *here, BVW_CACHE_URL="http://:secret@cache")
    assert done.code == Exit.CONFIGURATION
    assert "cache_url: the value from BVW_CACHE_URL is not accepted; accepted: redis://" in done.err
    assert "secret" not in done.err


def test_a_running_product_is_no_fault_of_its_port(product: Product) -> None:
    with served(product.data) as url:
        port = url.rpartition(":")[2]
        code, checks = checked("--data", product.data, "--port", port, "--metrics-port", 0)
    assert code == Exit.OK
    assert checks["port"]["said"] == f"this directory is served at {url}"


def test_an_export_says_what_it_stands_on(product: Product, tmp_path: Path) -> None:
    here = ("--data", product.data)
    done = bvw("export", "edits", *here)
    assert done.code == Exit.OK, done.err
    rows = list(csv.DictReader(done.out.splitlines()))
    assert rows
    summary, positions, at = done.err.splitlines()[-3:]
    assert summary.startswith(f"{len(rows):,} rows, exact, as of ")
    assert "horizon" in positions
    out = tmp_path / "words.parquet"
    done = bvw("export", "words", "--format", "parquet", "--out", out, "--at", at[3:], *here)
    assert done.code == Exit.OK, done.err
    assert pq.read_table(out).num_rows > 0
    assert [path.name for path in tmp_path.iterdir()] == ["words.parquet"]
    done = bvw("export", "pages", "--format", "json", "--project", "pt.wikipedia", *here)
    document = json.loads(done.out)
    assert {row["project"] for row in document["pages"]} == {"pt.wikipedia"}
    assert document["meta"]["at"] == at[3:]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("edits", "--format", "parquet"), "give --out FILE"),
        (("edits", "--project", "xx.wikipedia"), "xx.wikipedia"),
        (("edits", "--start", "soon"), "start: 'soon' is not accepted"),
        (("tables",), "'tables'"),
    ],
)
def test_what_can_not_be_exported_is_one_line(
    product: Product, words: tuple[str, ...], said: str
) -> None:
    done = bvw("export", *words, "--data", product.data)
    assert done.code == Exit.USAGE
    assert done.out == ""
    assert said in done.err.splitlines()[-1]


def test_a_file_that_can_not_be_written_is_refused(product: Product, tmp_path: Path) -> None:
    done = bvw("export", "edits", "--out", tmp_path / "none" / "x.csv", "--data", product.data)
    assert done.code == Exit.CONFIGURATION
    assert "--out: cannot write" in done.err.splitlines()[-1]
