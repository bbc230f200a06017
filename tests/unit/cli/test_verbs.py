"""The verbs that work on a data directory, as a person or a script meets them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from services.shared.runtime import roles
from services.shared.runtime.exits import Exit
from tests.unit.conftest import Product, bvw


@contextlib.contextmanager
def served(data: Path, *words: object) -> Iterator[str]:
    """`bvw serve` while inside; its URL."""
    with subprocess.Popen(
        [sys.executable, "-m", "services.cli.main", "serve", "--port", "0", *map(str, words),
         "--data", str(data)],
        stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            announced = eventually(lambda: _announced(data, process.pid))
            yield announced
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == Exit.OK
        finally:
            process.kill()
    assert not (data / "serving.json").exists()


def _announced(data: Path, pid: int) -> str | None:
    with contextlib.suppress(OSError):
        found = json.loads((data / "serving.json").read_text())
        return str(found["url"]) if found["pid"] == pid else None
    return None


def eventually(found: Callable[[], Any]) -> Any:
    async def looked() -> Any:
        async with asyncio.timeout(60):
            while not (what := await asyncio.to_thread(found)):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            return what

    return asyncio.run(looked())


def get(url: str) -> Any:
    with urlopen(url) as answer:
        return json.load(answer)


def held(data: Path, role: roles.Role, *words: object) -> Any:
    """The command while another process has the role."""

    async def run() -> Any:
        async with roles.hold(data, role):
            return await asyncio.to_thread(bvw, *words)

    return asyncio.run(run())


def test_an_audit_prints_its_result_as_json(product: Product) -> None:
    done = bvw("audit", "--json", "--data", product.data)
    assert done.code == Exit.OK
    result = json.loads(done.out)
    assert result["exact"] is True
    assert result["listed"] == result["days_not_recounted"] == result["late_days"] == []
    assert result["differences"] == 0
    assert result["cells"] > result["questions"] > 0
    assert result["generation"] >= 1
    assert result["events"] > 10
    assert sum(result["as_of"]) == result["events"] + result["copies"] + _canaries(product)


def _canaries(product: Product) -> int:
    events = map(json.loads, product.recording.read_text().splitlines())
    return sum(event["meta"]["domain"] == "canary" for event in events)


def test_an_audit_for_people_is_a_verdict_and_exit_1_lists_what_differs(product: Product) -> None:
    done = bvw("audit", "--data", product.data)
    assert done.code == Exit.OK
    assert done.out.startswith("exact: ")
    with planted(product.data):
        done = bvw("audit", "--data", product.data)
        assert done.code == Exit.DIFFERENT
        assert " differences: " in done.out
        assert "answered " in done.out


@contextlib.contextmanager
def planted(data: Path) -> Iterator[None]:
    """While inside, the batch view says what is not so."""
    with contextlib.closing(sqlite3.connect(data / "batch.sqlite")) as connection:
        connection.execute("UPDATE edits SET edits = edits + 1")
        connection.commit()
        yield
        connection.execute("UPDATE edits SET edits = edits - 1")
        connection.commit()


def test_an_audit_takes_the_running_process_and_its_page_and_metrics_tell(
    product: Product, unused_tcp_port: int
) -> None:
    assert '"serving"' in bvw("audit", "--data", product.data).err, "in its own process"
    with served(product.data, "--metrics-port", unused_tcp_port) as url:
        assert '"serving"' not in bvw("audit", "--data", product.data).err
        with urlopen(Request(f"{url}/v1/audit", method="POST", headers={"Origin": url})) as answer:
            assert answer.status == 202
        eventually(lambda: get(f"{url}/v1/audit")["state"] == "done")
        assert get(f"{url}/v1/audit")["exact"] is True
        with urlopen(f"http://127.0.0.1:{unused_tcp_port}/metrics") as answer:
            scraped = answer.read().decode()
    values = dict(line.rsplit(" ", 1) for line in scraped.splitlines() if line[:1] != "#")
    assert float(values["bvw_audit_cells"]) > 0
    assert values["bvw_audit_differences"] == "0.0"


def test_an_audit_without_names_takes_the_directory_used_last(
    product: Product, tmp_path: Path
) -> None:
    (tmp_path / "bots-vs-wiki").mkdir()
    last = json.dumps({"path": str(product.data)})
    (tmp_path / "bots-vs-wiki" / "last.json").write_text(last)
    assert bvw("audit", XDG_DATA_HOME=str(tmp_path)).code == Exit.OK
    (tmp_path / "bots-vs-wiki" / "last.json").unlink()
    done = bvw("audit", XDG_DATA_HOME=str(tmp_path))
    assert done.code == Exit.CONFIGURATION
    assert done.err.count("\n") == 1
    assert "bvw up --data" in done.err


def test_a_taken_port_is_one_line_with_the_way_out(product: Product) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = bvw("serve", "--data", product.data, "--port", port, "--metrics-port", 0)
    assert done.code == Exit.TEMPORARY
    assert f"cannot listen on 127.0.0.1:{port}" in done.err.splitlines()[-1]
    assert "--port" in done.err.splitlines()[-1]


def test_batch_runs_are_listed_run_and_rebuilt(product: Product) -> None:
    done = bvw("batch", "run", "--json", "--data", product.data)
    assert done.code == Exit.OK, done.err
    run = json.loads(done.out)
    assert (run["kind"], run["state"]) == ("run", "done")
    assert [step["name"] for step in run["steps"]] == [
        "ingest", "define", "clean", "count", "renew", "topics", "publish", "compact", "expire",
    ]  # fmt: skip
    done = bvw("batch", "rebuild", "--data", product.data)
    assert done.code == Exit.OK, done.err
    assert "recount" in done.out
    listed = json.loads(bvw("batch", "runs", "--json", "--data", product.data).out)
    assert [run["kind"] for run in listed[:2]] == ["rebuild", "run"]
    assert listed[1]["id"] == run["id"]
    newest = bvw("batch", "runs", "--json", "--limit", 1, "--data", product.data)
    assert json.loads(newest.out) == listed[:1]
    assert "rebuild" in bvw("batch", "runs", "--data", product.data).out


def test_topics_are_told(product: Product) -> None:
    done = bvw("topics", "--json", "--data", product.data)
    assert done.code == Exit.OK, done.err
    answer = json.loads(done.out)
    assert sum(t["edits"] for t in (*answer["topics"], answer["none"])) == answer["edits"] > 0
    told = bvw("topics", "--data", product.data, COLUMNS="200")
    assert told.code == Exit.OK, told.err
    assert "(none)" in told.out
    assert answer["note"][:40] in told.out
    with served(product.data):
        assert (
            json.loads(bvw("topics", "--json", "--data", product.data).out)["topics"]
            == answer["topics"]
        )


def test_a_batch_run_does_not_wait_where_it_is_told_not_to(product: Product) -> None:
    done = held(product.data, "batch", "batch", "run", "--no-wait", "--data", product.data)
    assert done.code == Exit.TEMPORARY
    assert "another batch already runs" in done.err


def test_a_speed_view_is_rebuilt_here_or_by_whoever_has_it(product: Product) -> None:
    done = bvw("speed", "rebuild", "--data", product.data)
    assert done.code == Exit.OK
    assert "the speed view is rebuilt" in done.err
    done = held(product.data, "speed", "speed", "rebuild", "--data", product.data)
    assert done.code == Exit.OK
    assert "asked the running speed layer" in done.err
    shutil.rmtree(product.data / "requests")


def test_each_service_alone_makes_the_same_whole(tmp_path: Path) -> None:
    here = ("--data", tmp_path / "data")
    done = bvw("collect", "--source", "demo", "--events", 200, "--projects", "pt.wikipedia", *here)
    assert done.code == Exit.OK, done.err
    assert bvw("batch", "run", *here).code == Exit.OK
    assert bvw("audit", *here).code == Exit.TEMPORARY, "nothing follows the log yet"
    assert bvw("speed", "rebuild", *here).code == Exit.OK
    result = bvw("audit", "--json", *here)
    assert json.loads(result.out)["exact"], result.out


@pytest.mark.parametrize(
    "words",
    [
        ("batch",),
        ("batch", "runs"),
        ("speed",),
        ("serve",),
        ("audit",),
        ("topics",),
        ("deadletters", "list"),
    ],
)
def test_where_there_is_no_data_every_tool_says_how_to_begin(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    done = bvw(*words, "--data", tmp_path / "none")
    assert done.code == Exit.CONFIGURATION
    (line,) = done.err.splitlines()
    assert line.startswith("bvw: ")
    assert "bvw up --data" in line
    assert not (tmp_path / "none").exists()


def test_dead_letters_are_listed(product: Product) -> None:
    done = bvw("deadletters", "list", "--json", "--data", product.data)
    assert done.code == Exit.OK
    assert [json.loads(line)["reason"] for line in done.out.splitlines()] == []


def test_an_endless_source_cannot_be_caught_up(tmp_path: Path) -> None:
    done = bvw("up", "--until-caught-up", "--data", tmp_path)
    assert done.code == Exit.CONFIGURATION
    assert "--events N" in done.err
