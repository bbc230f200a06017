"""Recordings: which are accepted, what is in them, and what happens when one is damaged."""

import asyncio
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from services.collector.source.pace import LONGEST_WAIT, Pace, event_time
from services.collector.source.port import Frame
from services.collector.source.recorded import Recorded
from services.shared.runtime.clock import ManualClock, SystemClock
from services.shared.runtime.exits import Exit, Refused


async def opened(path: Path) -> Recorded:
    return await Recorded.open(path, clock=SystemClock())


async def payloads(path: Path) -> list[bytes]:
    source = await opened(path)
    return [payload async for frame in source.frames(None) for payload in frame.payloads]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", []),
        (b"\n\r\n  \n", []),
        (b"1\n\n2\r\n\r\n3", [b"1", b"2", b"3"]),
        (b"\n1\n", [b"1"]),
    ],
)
@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst"])
async def test_blank_lines_and_line_ends(
    tmp_path: Path, text: bytes, expected: list[bytes], suffix: str
) -> None:
    pack: dict[str, Callable[[bytes], bytes]] = {
        ".jsonl": bytes,
        ".jsonl.gz": gzip.compress,
        ".jsonl.zst": zstandard.compress,
    }
    (tmp_path / f"a{suffix}").write_bytes(pack[suffix](text))
    assert await payloads(tmp_path) == expected


async def test_a_line_beyond_any_event_is_cut_and_the_next_one_is_whole(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"x" * 300_000 + b"\nnext\nlast")
    source = await Recorded.open(tmp_path, largest=100_000, clock=SystemClock())
    frames = [frame async for frame in source.frames(None)]
    assert [len(p) for f in frames for p in f.payloads] == [100_001, 4, 4]
    assert [frame.cut for frame in frames if frame.cut] == [{0: 300_000}]
    rest = [frame async for frame in source.frames(frames[0].cursor)]
    assert [p for f in rest for p in f.payloads] == [b"next", b"last"][
        len(frames[0].payloads) - 1 :
    ]


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
async def test_a_file_that_is_cut_off_gives_its_whole_lines_then_says_where(
    tmp_path: Path, name: str
) -> None:
    lines = [json.dumps({"n": n, "noise": n * n * 7919 % 999_983}).encode() for n in range(20_000)]
    pack = gzip.compress if name.endswith("gz") else zstandard.compress
    packed = pack(b"\n".join(lines))
    (tmp_path / name).write_bytes(packed[: len(packed) * 2 // 3])
    source = await opened(tmp_path / name)
    frames: list[Frame] = []
    with pytest.raises(Refused, match=rf"{name}: damaged or cut off after byte \d+") as refusal:
        await _collect(source, frames)
    assert refusal.value.code == Exit.CONFIGURATION
    got = [payload for frame in frames for payload in frame.payloads]
    assert 5_000 < len(got) < 20_000
    assert got == lines[: len(got)]
    more: list[Frame] = []
    with pytest.raises(Refused):  # from where it stands too: not as if it had ended
        await _collect(source, more, frames[-1].cursor)
    assert more == []


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
async def test_what_precedes_the_damage_is_less_than_a_frame(tmp_path: Path, name: str) -> None:
    pack = (
        gzip.compress
        if name.endswith("gz")
        else zstandard.ZstdCompressor(write_checksum=True).compress
    )
    whole = pack(b"1\n2\n3")
    (tmp_path / name).write_bytes(whole[:-2])
    frames: list[Frame] = []
    with pytest.raises(Refused, match="damaged"):
        await _collect(await opened(tmp_path), frames)
    # The third line may be the beginning of a longer one.
    assert [frame.payloads for frame in frames] == [(b"1", b"2")]


async def test_what_is_no_gzip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(b'{"plain": 1}\n')
    with pytest.raises(Refused, match="damaged"):
        await payloads(tmp_path)


async def _collect(source: Recorded, into: list[Frame], cursor: str | None = None) -> None:
    async for frame in source.frames(cursor):
        into.append(frame)  # noqa: PERF401 - what precedes an error counts


async def test_what_is_no_recording_is_refused_with_what_is(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("a,b")
    for path, why in [
        (tmp_path / "nowhere.jsonl", "no such file"),
        (tmp_path / "events.csv", "not a recording by its name"),
        (tmp_path, "no recording in this folder"),
    ]:
        with pytest.raises(Refused, match=rf"{why}.*\.jsonl\.zst"):
            await opened(path)


async def test_the_name_stands_for_the_content(tmp_path: Path) -> None:
    for folder, text in [("a", b"1\n"), ("b", b"1\n"), ("c", b"2\n")]:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "events.jsonl").write_bytes(text)
    a, b, c = [await opened(tmp_path / folder) for folder in "abc"]
    assert a.name == b.name != c.name
    assert a.name == (await opened(tmp_path / "a" / "events.jsonl")).name
    with (tmp_path / "a" / "events.jsonl").open("ab") as file:  # it grows
        file.write(b"3\n")
    (tmp_path / "a" / "later.jsonl").write_bytes(b"4\n")
    assert (await opened(tmp_path / "a")).name == b.name


async def test_a_recording_that_has_grown_is_read_on_and_what_would_be_passed_over_is_refused(
    tmp_path: Path,
) -> None:
    (tmp_path / "1.jsonl").write_bytes(b"1\n")
    (tmp_path / "3.jsonl").write_bytes(b"2\n")
    cursor = [frame async for frame in (await opened(tmp_path)).frames(None)][-1].cursor
    with (tmp_path / "3.jsonl").open("ab") as file:
        file.write(b"3\n")
    (tmp_path / "4.jsonl").write_bytes(b"4\n")
    following = [frame async for frame in (await opened(tmp_path)).frames(cursor)]
    assert [payload for frame in following for payload in frame.payloads] == [b"3", b"4"]
    (tmp_path / "2.jsonl").write_bytes(b"lost\n")
    with pytest.raises(Refused, match=r"2 files now precede '3\.jsonl'.*sorts behind"):
        await _collect(await opened(tmp_path), [], cursor)


async def test_a_cursor_in_a_file_that_is_gone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"1\n")
    source = await opened(tmp_path)
    with pytest.raises(Refused, match=r"'b\.jsonl'"):
        await _collect(source, [], '{"file":"b.jsonl","line":1,"offset":2}')


async def test_progress_reaches_its_end(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"1\n" * 3_000)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b"2\n" * 3_000))
    source = await opened(tmp_path)
    seen = [source.progress, *[source.progress async for _ in source.frames(None)]]
    assert seen == sorted(seen)
    assert seen[0].done == 0
    assert seen[-1].done == seen[-1].total


async def test_a_paced_replay_hands_out_the_same_events_in_more_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [b'{"timestamp":%d}' % (1_500_000_000 + n // 10) for n in range(40)]
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(events))
    clock = ManualClock()
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(round(seconds, 6))
        clock.advance(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    source = await Recorded.open(tmp_path, speed="5", clock=clock)
    frames = [frame async for frame in source.frames(None)]
    assert slept == [0.2, 0.2, 0.2]
    assert [len(frame.payloads) for frame in frames] == [10, 10, 10, 10]
    for index, frame in enumerate(frames):
        rest = [p async for f in source.frames(frame.cursor) for p in f.payloads]
        assert rest == events[10 * (index + 1) :]


def test_pace_keeps_distances_and_caps_pauses() -> None:
    pace = Pace(2)
    assert pace.wait(1000.0, now=50.0) == 0
    assert pace.wait(1004.0, now=50.0) == 2  # half of its distance
    assert pace.wait(1004.0, now=52.5) == 0  # late: at once, and
    assert pace.wait(1006.0, now=52.5) == 0.5  # no delay adds up
    assert pace.wait(900.0, now=52.5) == 0  # out of order
    assert pace.wait(None, now=52.5) == 0
    assert pace.wait(90_000.0, now=53.0) == LONGEST_WAIT
    assert pace.wait(90_002.0, now=53.0 + LONGEST_WAIT) == 1  # goes on from there


@pytest.mark.parametrize(
    ("payload", "time"),
    [
        (b'{"meta":{"dt":"2015-09-12T00:46:58Z"},"timestamp":5}', 1442018818.0),
        (b'{"meta":{"dt":"2015-09-12T00:46:58.500Z"}}', 1442018818.5),
        (b'{"meta":{"dt":"2015-09-12T00:46:58+00:00"}}', 1442018818.0),
        (b'{"timestamp":5}', 5.0),
        (b'{"meta":{"dt":"soon"},"timestamp":5}', None),
        (b'{"timestamp":"x"}', None),
        (b"[]", None),
        (b"\xff", None),
        (b'{"x":' + b"[" * 100_000, None),
    ],
)
def test_event_time(payload: bytes, time: float | None) -> None:
    assert event_time(payload) == time
