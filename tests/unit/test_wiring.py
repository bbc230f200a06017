"""Which directory a command works on, and what it finds there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services import wiring
from services.processes import Process
from services.shared.domain.positions import zero
from services.shared.runtime.exits import Exit, Refused
from services.shared.runtime.lifecycle import Resources
from services.shared.runtime.settings import Settings


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where data is by default, with nothing in it."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "bots-vs-wiki"


@pytest.fixture
async def resources() -> AsyncIterator[Resources]:
    async with Resources() as opened:
        yield opened


def settings(**given: Any) -> Settings:
    return Settings.load(flags=given)


async def loaded(**given: Any) -> Settings:
    """The same beside a running loop: loading looks for a file."""
    return await asyncio.to_thread(settings, **given)


def test_each_source_has_its_own_directory_and_auto_is_the_simulator(home: Path) -> None:
    demo = wiring.directory(settings(), create=True)
    assert (demo.source, demo.path) == ("demo", home / "demo")
    assert wiring.directory(settings(source="demo"), create=True) == demo
    week = wiring.directory(settings(source="week.jsonl"), create=True)
    assert week.path.parent == home
    assert week.path != demo.path
    assert week.source == str(home.parent / "week.jsonl")


def test_a_tool_without_names_takes_the_directory_used_last(home: Path, tmp_path: Path) -> None:
    used = wiring.directory(settings(source="a.jsonl"), create=True)
    elsewhere = wiring.directory(settings(data_dir=tmp_path / "x", source="demo"), create=True)
    assert wiring.directory(settings(), create=False) == elsewhere
    assert wiring.directory(settings(source="a.jsonl"), create=False) == used
    assert wiring.directory(settings(data_dir=used.path), create=False) == used
    wiring.directory(settings(source="a.jsonl"), create=True)
    assert wiring.directory(settings(), create=False) == used


def test_a_tool_on_a_new_machine_says_how_to_begin(home: Path) -> None:
    with pytest.raises(Refused, match="there is no data here; bvw up") as why:
        wiring.directory(settings(), create=False)
    assert why.value.code == Exit.CONFIGURATION
    (home / "last.json").parent.mkdir(exist_ok=True)
    (home / "last.json").write_text("{broken")
    with pytest.raises(Refused, match="there is no data here; bvw up"):
        wiring.directory(settings(), create=False)
    assert not (home / "demo").exists()


def test_the_directory_of_another_source_is_refused_with_the_command_that_goes_on(
    tmp_path: Path,
) -> None:
    wiring.directory(settings(data_dir=tmp_path / "x", source="demo"), create=True)
    for create in (True, False):
        with pytest.raises(Refused, match=r"holds the changes of demo.*bvw up --data .*x --source"):
            wiring.directory(settings(data_dir=tmp_path / "x", source="a.jsonl"), create=create)
    assert json.loads((tmp_path / "x" / "bvw.json").read_text())["source"] == "demo"


def test_an_unknown_format_is_refused_by_every_command(tmp_path: Path) -> None:
    made = wiring.directory(settings(data_dir=tmp_path / "x"), create=True)
    (made.path / "bvw.json").write_text('{"format": 99, "source": "demo"}')
    for create in (True, False):
        with pytest.raises(Refused, match="format 99 is not known, this version takes 1"):
            wiring.directory(settings(data_dir=made.path), create=create)


async def test_a_new_directory_has_both_layers_from_its_first_moment(resources: Resources) -> None:
    stores = await wiring.stores(resources, await loaded(partitions="3"), create=True)
    assert await stores.batch.current() is None
    process = Process(await loaded(), stores)
    await process.begin()
    await process.begin()
    (generation,) = await stores.batch.generations()
    assert (generation.number, generation.segments) == (0, ())
    assert generation.horizon == zero(3) == await stores.log.stable_end()
    assert generation.log == stores.log.identity


async def test_the_lake_is_opened_once_and_only_when_it_is_needed(resources: Resources) -> None:
    stores = await wiring.stores(resources, await loaded(), create=True)
    assert not (stores.path / "lake").exists()
    assert await stores.lake() is await stores.lake()
    assert (stores.path / "lake").exists()


async def test_what_the_data_are_is_told_apart(resources: Resources, tmp_path: Path) -> None:
    recording = tmp_path / "week.jsonl"
    await asyncio.to_thread(recording.write_text, "")
    assert (await wiring.stores(resources, await loaded(), create=True)).kind == "simulated"
    stores = await wiring.stores(resources, await loaded(source=str(recording)), create=True)
    assert stores.kind == "recording"
    source = await wiring.source(await loaded(source=str(recording)), stores)
    assert "week.jsonl" in source.description
    with pytest.raises(Refused, match="--events limits the simulator"):
        await wiring.source(await loaded(source=str(recording)), stores, events=5)


async def test_the_simulator_ends_only_where_it_is_told_to(resources: Resources) -> None:
    stores = await wiring.stores(resources, await loaded(), create=True)
    endless = await wiring.source(await loaded(), stores)
    limited = await wiring.source(await loaded(), stores, events=5)
    frames = [frame async for frame in limited.frames(None)]
    assert sum(len(frame.payloads) for frame in frames) == 5
    assert endless.name == limited.name, "one cursor for both"


async def test_the_live_stream_is_refused_plainly(resources: Resources) -> None:
    stores = await wiring.stores(resources, await loaded(source="live"), create=True)
    with pytest.raises(Refused, match="not part of this version; use demo or a recording"):
        await wiring.source(await loaded(source="live"), stores)


async def test_a_missing_recording_is_refused_by_name(resources: Resources) -> None:
    stores = await wiring.stores(resources, await loaded(source="absent.jsonl"), create=True)
    with pytest.raises(Refused, match=r"absent\.jsonl"):
        await wiring.source(await loaded(source="absent.jsonl"), stores)


async def test_tools_open_the_log_alone(resources: Resources) -> None:
    stores = await wiring.stores(resources, await loaded(), create=True)
    async with wiring.log(await loaded()) as (path, log):
        assert path == stores.path
        assert log.identity == stores.log.identity
