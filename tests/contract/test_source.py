"""What every source promises (services/collector/source/port.py), over every adapter.

To add one that needs no network: a line in `SOURCES`. A source is opened afresh for every reading,
as after a restart.
"""

import contextlib
import gzip
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import pytest
import zstandard

from services.collector.source.port import Frame, Source
from services.collector.source.recorded import Recorded
from services.collector.source.synthetic import Synthetic
from services.shared.runtime.clock import ManualClock, SystemClock
from tests.contract.backends import chosen

EVENTS = 1_200
MOST_PAYLOADS = 500
MOST_BYTES = 2 * 1024 * 1024
Opener = Callable[[], Awaitable[Source]]


def _payloads() -> list[bytes]:
    return [json.dumps({"n": n, "filler": "x" * (n % 977)}).encode() for n in range(EVENTS)]


def _recorded(path: Path, **files: bytes) -> Opener:
    path.mkdir()
    for name, content in files.items():
        (path / name).write_bytes(content)

    async def open_it() -> Source:
        return await Recorded.open(path, clock=SystemClock())

    return open_it


def _text(payloads: list[bytes]) -> bytes:
    return b"\n".join(payloads) + b"\n"


def _plain(path: Path) -> Opener:
    return _recorded(path, **{"a.jsonl": _text(_payloads())})


def _gz(path: Path) -> Opener:
    return _recorded(path, **{"a.jsonl.gz": gzip.compress(_text(_payloads()))})


def _zst(path: Path) -> Opener:
    return _recorded(path, **{"a.jsonl.zst": zstandard.compress(_text(_payloads()))})


def _folder(path: Path) -> Opener:
    one, two, three = _payloads()[:300], _payloads()[300:301], _payloads()[301:]
    return _recorded(
        path,
        **{
            "1.jsonl.zst": zstandard.compress(_text(one)),
            "2.jsonl": _text(two).rstrip(),
            "3.jsonl.gz": gzip.compress(_text(three[:400])) + gzip.compress(_text(three[400:])),
            "README": b"no recording",
        },
    )


def _simulated(_path: Path) -> Opener:
    async def open_it() -> Source:
        return Synthetic(7, ManualClock(1_700_000_000), events=EVENTS, speed=None)

    return open_it


RECORDED = {"plain": _plain, "gz": _gz, "zst": _zst, "folder": _folder}
SOURCES = {**RECORDED, "simulated": _simulated}


@pytest.fixture(params=SOURCES)
def opener(request: pytest.FixtureRequest, backend: str, tmp_path: Path) -> Opener:
    return chosen("source", backend, {"embedded": SOURCES})[request.param](tmp_path / "source")


async def read(opener: Opener, cursor: str | None = None) -> list[Frame]:
    source = await opener()
    return [frame async for frame in source.frames(cursor)]


def payloads(frames: list[Frame]) -> list[bytes]:
    return [payload for frame in frames for payload in frame.payloads]


@pytest.mark.parametrize("kind", RECORDED)
async def test_a_recording_gives_its_lines(kind: str, tmp_path: Path) -> None:
    """Only of a recording is it known what it must give."""
    assert payloads(await read(RECORDED[kind](tmp_path / "source"))) == _payloads()


async def test_all_of_it_in_bounded_frames(opener: Opener) -> None:
    frames = await read(opener)
    assert len(payloads(frames)) >= EVENTS
    assert all(0 < len(frame.payloads) <= MOST_PAYLOADS for frame in frames)
    assert all(sum(map(len, frame.payloads)) <= MOST_BYTES for frame in frames)


async def test_every_cursor_goes_on_without_loss_or_repetition(opener: Opener) -> None:
    frames = await read(opener)
    for index, frame in enumerate(frames):
        assert payloads(await read(opener, frame.cursor)) == payloads(frames[index + 1 :])


async def test_its_name_outlives_a_restart(opener: Opener) -> None:
    assert (await opener()).name == (await opener()).name
    assert (await opener()).description


async def test_reading_can_be_given_up_at_any_frame(opener: Opener) -> None:
    frames = (await opener()).frames(None)
    assert isinstance(frames, AsyncGenerator)
    async with contextlib.aclosing(frames):
        first = await anext(frames)
    assert payloads([first, *await read(opener, first.cursor)]) == payloads(await read(opener))
