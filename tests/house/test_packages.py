"""What is installed: data files come with the package, and a service needs its own libraries only."""

from __future__ import annotations

import importlib.resources
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.house import sources

# Libraries of the optional parts; what a service's image does not carry is a part of them.
TEXT = {"nltk", "regex", "stopwordsiso"}
LAKE = {"pyarrow", "pyiceberg", "sqlalchemy"}
TOPICS = {"sklearn", "scipy", "threadpoolctl"}
PAGE = {"vl_convert"}
FAST = {"uvloop"}

# Runs `bvw` as if some packages were not installed.
WITHOUT = """
import sys
absent = set(sys.argv[1].split(","))
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"{name} is not in this image", name=name)
sys.meta_path.insert(0, Absent())
from services.cli import main
sys.argv = ["bvw", *sys.argv[2:]]
main.run()
"""


def bvw_without(absent: set[str], *words: object) -> str:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, ",".join(absent), *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stderr


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that an image of the collector made: it needs none of the optional parts."""
    data = tmp_path_factory.mktemp("image") / "data"
    words = ("--source", "demo", "--events", 50, "--data", data, "--metrics-port", 0)
    bvw_without(TEXT | LAKE | TOPICS | PAGE | FAST, "collect", *words)
    return data


def test_the_speed_layer_needs_no_lake_and_no_page(collected: Path) -> None:
    said = bvw_without(LAKE | TOPICS | PAGE | FAST, "speed", "rebuild", "--data", collected)
    assert "the speed view is rebuilt" in said


def test_the_batch_layer_needs_no_page(collected: Path) -> None:
    bvw_without(PAGE | FAST, "batch", "run", "--data", collected)


def test_serving_needs_no_lake() -> None:
    imports = "from services import processes, wiring; from services.serving import serve"
    code = WITHOUT.replace("from services.cli import main", imports).partition("sys.argv =")[0]
    subprocess.run([sys.executable, "-c", code, ",".join(LAKE | TOPICS | FAST)], check=True)


def test_the_extras_bring_what_their_services_need() -> None:
    project = tomllib.loads(sources.files()["pyproject.toml"])["project"]
    extras = {name: " ".join(needs) for name, needs in project["optional-dependencies"].items()}
    assert "lake" not in extras["serving"] + extras["speed"] + extras["collector"]
    assert "scikit-learn" in extras["batch"]
    assert "vl-convert" in extras["serving"]
    assert all("vl-convert" not in extras[name] for name in ("collector", "speed", "batch"))
    assert all(name in extras["all"] for name in ("collector", "speed", "batch", "serving", "fast"))


def test_data_files_are_inside_the_package() -> None:
    """What is read at run time lies where the wheel takes it from, and is reached from there."""
    named = {
        "services.shared.text": ["keep.txt"],
        "services.collector.simulator": ["themes.toml", "languages.toml"],
        "services.serving": ["page/index.html", "page/main.js", "page/page.css"],
    }
    for package, files in named.items():
        for file in files:
            assert importlib.resources.files(package).joinpath(*file.split("/")).read_bytes()
    wheel = tomllib.loads(sources.files()["pyproject.toml"])["tool"]["hatch"]["build"]
    assert wheel["targets"]["wheel"] == {"packages": ["services"]}


def test_help_takes_no_longer_than_a_thought() -> None:
    """Counted in modules, which is what takes the time: all libraries together are thousands."""
    program = "import sys; from services.cli import main; sys.argv = ['bvw', '--help']"
    counting = "import atexit; atexit.register(lambda: print(len(sys.modules), file=sys.stderr))"
    done = subprocess.run(
        [sys.executable, "-c", f"{program}; {counting}; main.run()"],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    assert "Usage: bvw" in done.stdout
    assert int(done.stderr) < 450
