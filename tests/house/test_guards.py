"""The guards of tests/conftest.py are on: a suite that checks nothing would be green too."""

from __future__ import annotations

import os
import warnings

import pytest
from blockbuster import BlockingError

from services.shared.runtime.settings import Settings
from tests import conftest


async def test_a_blocked_loop_raises() -> None:
    with pytest.raises(BlockingError):
        Settings.load()  # looks for ./bvw.toml


def test_a_warning_is_an_error() -> None:
    with pytest.raises(UserWarning, match="odd"):
        warnings.warn("odd", stacklevel=1)


def test_no_setting_of_the_callers_shell_leaks_in() -> None:
    tests_own = ("BVW_RECORDINGS", "BVW_REQUIRE", "BVW_TEST_")
    ours = [name for name in os.environ if name.startswith("BVW_")]
    assert all(name.startswith(tests_own) for name in ours)
    assert not Settings().data_dir.is_relative_to(os.path.expanduser("~/.local"))  # noqa: PTH111


def test_what_is_absent_is_skipped_unless_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BVW_REQUIRE", "")
    with pytest.raises(pytest.skip.Exception, match="no browser"):
        conftest.absent("chromium", "no browser")
    monkeypatch.setenv("BVW_REQUIRE", "recordings,chromium")
    with pytest.raises(pytest.fail.Exception, match=r"required .*: no browser"):
        conftest.absent("chromium", "no browser")
