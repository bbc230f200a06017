"""The command as a person meets it: a real process each, since imports and exit codes matter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from services import cli
from services.cli import options
from services.shared.runtime.exits import Exit

HEAVY = {
    "aiohttp", "pydantic", "pyarrow", "pyiceberg", "nltk", "stopwordsiso", "sqlite3", "vl_convert", "numpy",
}  # fmt: skip
VERBS = {path.stem for path in Path(cli.__file__).parent.glob("*.py")} - {
    "__init__", "main", "options",
}  # fmt: skip


def _bvw(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.cli.main", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **variables},
    )


def test_help_lists_every_verb_and_imports_nothing_heavy() -> None:
    program = """
import atexit, sys
from services.cli import main
sys.argv = ["bvw", "--help"]
atexit.register(lambda: print(*(m for m in sys.modules if "." not in m), file=sys.stderr))
main.run()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not HEAVY & set(done.stderr.split())
    listed = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("│ ")}
    assert {"version", "config", "crashpoints"} <= VERBS <= listed


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (("ba",), ["backup", "batch"]),
        (("batch", "re"), ["rebuild"]),
        (("export", "p"), ["pages"]),
        (("audit", "--da"), ["--data"]),
    ],
)
def test_a_shell_completes_verbs_and_their_flags(
    words: tuple[str, ...], completed: list[str]
) -> None:
    typed = {"COMP_WORDS": " ".join(("bvw", *words)), "COMP_CWORD": str(len(words))}
    done = _bvw(_BVW_COMPLETE="complete_bash", **typed)
    assert (done.returncode, done.stderr) == (Exit.OK, "")
    assert done.stdout.split() == completed


def test_the_script_for_a_shell_is_printed() -> None:
    done = _bvw("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "_BVW_COMPLETE=complete_bash" in done.stdout


def test_a_wrong_verb_or_flag_gets_the_nearest() -> None:
    done = _bvw("confg")
    assert done.returncode == Exit.USAGE
    assert "Did you mean 'config'?" in done.stderr
    assert not done.stdout
    (line,) = done.stderr.splitlines()
    for words in (("config", "show"), ("up",)):
        done = _bvw(*words, "--log-levle", "info")
        assert done.returncode == Exit.CONFIGURATION
        (line,) = done.stderr.splitlines()
        assert "--log-levle" in line
        assert "--log-level" in line
        assert f"bvw {' '.join(words)} --help" in line


def test_a_value_that_is_no_number_is_one_line_too() -> None:
    done = _bvw("batch", "runs", "--limit", "many")
    assert done.returncode == Exit.USAGE
    (line,) = done.stderr.splitlines()
    assert "--limit" in line
    assert "bvw batch runs --help" in line


def test_without_a_verb_it_shows_what_there_is() -> None:
    done = _bvw()
    assert "crashpoints" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_refusal_is_one_line_on_stderr_with_its_code() -> None:
    done = _bvw("config", "show", "--set", "prot=1")
    assert done.returncode == Exit.CONFIGURATION
    assert done.stderr == "bvw: --set: no setting 'prot' (did you mean 'port'?)\n"
    assert not done.stdout


def test_config_show_prints_values_and_origins() -> None:
    done = _bvw("config", "show", "--set", "page_limit=7", "--json", BVW_PORT="81", BVW_PROT="82")
    assert done.returncode == Exit.OK
    shown = {entry["name"]: entry for entry in json.loads(done.stdout)}
    assert shown["port"] == {"name": "port", "value": "81", "origin": "BVW_PORT"}
    assert shown["page_limit"]["origin"] == "--page-limit"
    (warning,) = map(json.loads, done.stderr.splitlines())
    assert warning["warning"] == "unknown variable BVW_PROT (did you mean 'BVW_PORT'?)"
    plain = _bvw("config", "show", BVW_PORT="81").stdout.splitlines()
    assert ["port", "81", "BVW_PORT"] in [line.split() for line in plain]


def test_an_armed_point_must_exist() -> None:
    done = _bvw("config", "show", BVW_CRASH_AT="nowhere:1")
    assert done.returncode == Exit.CONFIGURATION
    assert "no crash point 'nowhere'" in done.stderr
    assert "BVW_CRASH_AT" in done.stderr


def test_version_says_what_to_report() -> None:
    assert (
        _bvw("--version").stdout.strip() == json.loads(_bvw("version", "--json").stdout)["version"]
    )
    assert "Python" in _bvw("version").stdout


def test_crashpoints_lists_them() -> None:
    points = json.loads(_bvw("crashpoints", "--json").stdout)
    assert [line.split()[0] for line in _bvw("crashpoints").stdout.splitlines()] == list(points)


def test_a_defect_keeps_its_traceback() -> None:
    program = """
from services.cli import main
def broken(**_): raise RuntimeError("broken")
main.app = broken
main.run()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == Exit.DEFECT
    assert "RuntimeError: broken" in done.stderr


def test_a_pair_needs_its_equals_sign() -> None:
    done = _bvw("config", "show", "--set", "port")
    assert done.returncode == Exit.USAGE
    assert "is not NAME=VALUE" in done.stderr


def test_a_verb_gets_flags_for_the_settings_that_it_names() -> None:
    program = """
import typer
from services.cli import options
app = typer.Typer()
@app.command()
@options.configured("port", "batch_every")
def verb(settings, *, fast: bool = False):
    print(settings.port, settings.batch_every, settings.data_dir, settings.origin("port"), fast)
app()
"""
    words = ["--port", "9", "--batch-every", "90s", "--data", "here", "--fast"]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True
    )
    assert done.stdout == "9 90s here --port True\n"


def test_a_flag_of_no_setting_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        options.configured("no_such_setting")(lambda _settings: None)
