"""Room for readers: what the system lets a process have is asked for, and what is missing is told."""

import resource
from collections.abc import Iterator

import pytest

from services.serving import descriptors


@pytest.fixture
def hard() -> Iterator[int]:
    """The most that may be asked for here; what was before comes back."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1_024, before[1]))
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def soft() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_room_is_asked_for(hard: int, caplog: pytest.LogCaptureFixture) -> None:
    descriptors.make_room(500)
    assert soft() == 1_524
    descriptors.make_room(100)
    assert soft() == 1_524, "nothing is given back"
    assert caplog.text == ""


def test_what_is_not_given_is_told(hard: int, caplog: pytest.LogCaptureFixture) -> None:
    if hard == resource.RLIM_INFINITY:
        pytest.skip("here everything is given")
    descriptors.make_room(hard)
    assert soft() == hard
    assert "few_open_files" in caplog.text
