"""A data directory as `bvw up` leaves it, made once for every test that only reads it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest


class Done(NamedTuple):
    code: int
    out: str
    err: str


class Product(NamedTuple):
    """A recording of simulated changes, and its data directory, caught up."""

    recording: Path
    data: Path


def bvw(*words: object, **variables: str) -> Done:
    """The command as a person calls it; `variables` are settings as the environment gives them."""
    done = subprocess.run(
        [sys.executable, "-m", "services.cli.main", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **variables},
        timeout=120,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Product:
    folder = tmp_path_factory.mktemp("product")
    made = Product(folder / "made.jsonl", folder / "data")
    for words in (
        ("simulate", "--events", 300, "--out", made.recording),
        (
            "up", "--source", made.recording, "--data", made.data,
            "--projects", "pt.wikipedia,en.wikipedia",
            "--until-caught-up", "--port", 0, "--metrics-port", 0,
        ),
    ):  # fmt: skip
        done = bvw(*words)
        assert done.code == 0, done.err
    return made
