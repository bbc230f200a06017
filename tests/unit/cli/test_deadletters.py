"""What `bvw deadletters` prints, and who replays."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.cli import deadletters
from services.collector.filters import Filters
from services.shared.log.embedded import SqliteLog
from services.shared.log.port import DeadLetter
from services.shared.runtime import roles
from services.shared.runtime.clock import SystemClock
from services.shared.runtime.exits import Exit, Refused
from tests.unit.collector.events import event, raws


def letter(raw: bytes, number: int = 1) -> DeadLetter:
    return DeadLetter(f"{number:064x}", raw, "not_json", "odd\x1b[31m", "source", "cursor", 7)


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[SqliteLog]:
    opened = await SqliteLog.open(tmp_path / "log.sqlite", clock=SystemClock())
    yield opened
    await opened.close()


def test_raw_bytes_are_text_where_they_are_text() -> None:
    assert deadletters.whole(letter("é\n".encode()))["raw"] == "é\n"
    binary = deadletters.whole(letter(b"\xff\x00"))
    assert base64.b64decode(binary["raw_base64"]) == b"\xff\x00"
    assert "raw" not in binary


def test_a_letter_cannot_repaint_the_terminal() -> None:
    hostile = letter("a\x1b[2J\u202eb\nforged line".encode())
    for text in (deadletters.line(hostile), *deadletters.page(hostile).splitlines()):
        assert text.isprintable()
    assert "a\\x1b[2J\\u202eb\\nforged line" in deadletters.page(hostile)


async def test_a_list_goes_over_pages_and_ends_at_its_limit(log: SqliteLog) -> None:
    await log.append([], deadletters=[letter(b"x", number) for number in range(120)])
    assert len(await deadletters.listed(log, 1_000, as_json=False)) == 120
    assert (
        await deadletters.listed(log, 100, as_json=False)
        == (await deadletters.listed(log, 1_000, as_json=False))[:100]
    )
    first = json.loads((await deadletters.listed(log, 1, as_json=True))[0])
    assert first == {
        "hash": "0" * 64,
        "reason": "not_json",
        "detail": "odd\x1b[31m",
        "source": "source",
        "cursor": "cursor",
        "at": 7,
        "bytes": 1,
    }


async def test_nobody_collects_so_it_replays_itself(log: SqliteLog, tmp_path: Path) -> None:
    await log.append([], deadletters=[letter(event(1)), letter(b"{", 2)])
    said = await deadletters.replayed(log, tmp_path, None, Filters())
    assert said == "1 appended, 0 left out by filters, 1 rejected again"
    assert await raws(log) == [event(1)]


async def test_a_running_collector_is_asked(log: SqliteLog, tmp_path: Path) -> None:
    await log.append([], deadletters=[letter(event(1))])
    async with roles.hold(tmp_path, "collector"):
        said = await deadletters.replayed(log, tmp_path, [letter(b"").hash], Filters())
    assert "asked the running collector" in said
    assert await raws(log) == []
    requests = await asyncio.to_thread(lambda: list((tmp_path / "requests").iterdir()))
    assert len(requests) == 1


async def test_an_unknown_hash_is_refused_by_name(log: SqliteLog, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no dead letter abc") as refusal:
        await deadletters.replayed(log, tmp_path, ["abc"], Filters())
    assert refusal.value.code == Exit.USAGE
