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
from services.wiring import Chosen

CONTACT = "you@example.org"


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


def test_each_source_has_its_own_directory(home: Path) -> None:
    demo = wiring.directory(settings(), chosen=Chosen("demo"))
    assert (demo.source, demo.path) == ("demo", home / "demo")
    week = wiring.directory(settings(), chosen=Chosen("week.jsonl"))
    assert week.path.parent == home
    assert week.path != demo.path
    assert week.source == str(home.parent / "week.jsonl")


def test_a_tool_without_names_takes_the_directory_used_last(home: Path, tmp_path: Path) -> None:
    used = wiring.directory(settings(), chosen=Chosen("a.jsonl"))
    elsewhere = wiring.directory(settings(data_dir=tmp_path / "x"), chosen=Chosen("demo"))
    wiring.remember(elsewhere)
    assert wiring.directory(settings()) == elsewhere
    assert wiring.directory(settings(source="a.jsonl")) == used
    assert wiring.directory(settings(data_dir=used.path)) == used
    wiring.directory(settings(), chosen=Chosen("a.jsonl"))
    assert wiring.directory(settings()) == elsewhere, "opened, but not used"
    wiring.remember(used)
    assert wiring.directory(settings()) == used


def test_a_tool_on_a_new_machine_says_how_to_begin(home: Path) -> None:
    with pytest.raises(Refused, match="there is no data here; bvw up") as why:
        wiring.directory(settings())
    assert why.value.code == Exit.CONFIGURATION
    (home / "last.json").parent.mkdir(exist_ok=True)
    (home / "last.json").write_text("{broken")
    with pytest.raises(Refused, match="there is no data here; bvw up"):
        wiring.directory(settings())
    assert not (home / "demo").exists()


def test_the_directory_of_another_source_is_refused_with_the_command_that_goes_on(
    tmp_path: Path,
) -> None:
    wiring.directory(settings(data_dir=tmp_path / "x"), chosen=Chosen("demo"))
    for chosen in (Chosen("a.jsonl"), None):
        with pytest.raises(Refused, match=r"holds the changes of demo.*bvw up --data .*x --source"):
            wiring.directory(settings(data_dir=tmp_path / "x", source="a.jsonl"), chosen=chosen)
    assert json.loads((tmp_path / "x" / "bvw.json").read_text())["source"] == "demo"


def test_an_unknown_format_is_refused_by_every_command(tmp_path: Path) -> None:
    made = wiring.directory(settings(data_dir=tmp_path / "x"), chosen=Chosen("demo"))
    (made.path / "bvw.json").write_text('{"format": 99, "source": "demo"}')
    for chosen in (Chosen("demo"), None):
        with pytest.raises(Refused, match="has format 99, this version takes"):
            wiring.directory(settings(data_dir=made.path), chosen=chosen)


async def test_a_new_directory_has_both_layers_from_its_first_moment(resources: Resources) -> None:
    stores = await wiring.stores(resources, await loaded(partitions="3"), chosen=Chosen("demo"))
    assert await stores.batch.current() is None
    process = Process(await loaded(), stores)
    await process.begin()
    await process.begin()
    (generation,) = await stores.batch.generations()
    assert (generation.number, generation.segments) == (0, ())
    assert generation.horizon == zero(3) == await stores.log.stable_end()
    assert generation.log == stores.log.identity


async def test_the_lake_is_opened_once_and_only_when_it_is_needed(resources: Resources) -> None:
    stores = await wiring.stores(resources, await loaded(), chosen=Chosen("demo"))
    assert not (stores.path / "lake").exists()
    assert await stores.lake() is await stores.lake()
    assert (stores.path / "lake").exists()


async def test_what_the_data_are_is_told_apart(resources: Resources, tmp_path: Path) -> None:
    recording = tmp_path / "week.jsonl"
    await asyncio.to_thread(recording.write_text, "")
    assert (
        await wiring.stores(resources, await loaded(), chosen=Chosen("demo"))
    ).kind == "simulated"
    stores = await wiring.stores(resources, await loaded(), chosen=Chosen(str(recording)))
    assert stores.kind == "recording"
    source = await wiring.source(await loaded(), stores)
    assert "week.jsonl" in source.description
    with pytest.raises(Refused, match="--events limits the simulator"):
        await wiring.source(await loaded(), stores, events=5)
    for stream in ("live", "https://stream.example.org/v2/stream/recentchange"):
        live = await wiring.stores(resources, await loaded(contact=CONTACT), chosen=Chosen(stream))
        assert live.kind == "live"
        assert (
            "live changes" in (await wiring.source(await loaded(contact=CONTACT), live)).description
        )


async def test_the_simulator_ends_only_where_it_is_told_to(resources: Resources) -> None:
    stores = await wiring.stores(resources, await loaded(), chosen=Chosen("demo"))
    endless = await wiring.source(await loaded(), stores)
    limited = await wiring.source(await loaded(), stores, events=5)
    frames = [frame async for frame in limited.frames(None)]
    assert sum(len(frame.payloads) for frame in frames) == 5
    assert endless.name == limited.name, "one cursor for both"


async def test_without_a_contact_it_is_the_simulator_and_says_how_to_get_the_real_stream() -> None:
    chosen = await wiring.chosen(await loaded())
    assert chosen.source == "demo"
    assert "make up CONTACT=you@example.org" in chosen.note
    for asked in ("live", "https://stream.example.org/v2/stream/recentchange"):
        with pytest.raises(Refused, match=r"contact: .*BVW_CONTACT.*make up CONTACT="):
            await wiring.chosen(await loaded(source=asked))


async def test_a_stream_in_plain_text_is_taken_from_nearby_only() -> None:
    for near in ("http://127.0.0.1:1/x", "http://localhost/x", "http://upstream:8080/x"):
        assert (await wiring.chosen(await loaded(source=near, contact=CONTACT))).source == near
    with pytest.raises(Refused, match="not encrypted"):
        await wiring.chosen(await loaded(source="http://stream.example.org/x", contact=CONTACT))


async def test_auto_is_live_once_there_is_live_data_and_before_only_where_it_can_be_reached(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiring, "WIKIMEDIA", "http://127.0.0.1:1/nobody")
    given = await loaded(contact=CONTACT)
    chosen = await wiring.chosen(given)
    assert chosen.source == "demo"
    assert "can't be reached" in chosen.note
    assert not await asyncio.to_thread((home / "live").exists)
    async with Resources() as resources:
        await wiring.stores(resources, given, chosen=Chosen("live"))
    assert await wiring.chosen(given) == Chosen("live")


async def test_auto_goes_on_with_what_a_directory_holds(resources: Resources, home: Path) -> None:
    recording = home.parent / "week.jsonl"
    await asyncio.to_thread(recording.write_text, "")
    elsewhere = await loaded(data_dir=home / "x", contact=CONTACT)
    await wiring.stores(resources, elsewhere, chosen=Chosen(str(recording)))
    assert (await wiring.chosen(elsewhere)).source == str(recording)


async def test_a_missing_recording_is_refused_by_name_and_claims_no_directory(home: Path) -> None:
    mistyped = await loaded(source="absent.jsonl", data_dir=home / "x")
    with pytest.raises(Refused, match=r"absent\.jsonl"):
        await wiring.chosen(mistyped)
    assert not await asyncio.to_thread(home.exists)


async def test_another_recording_under_the_same_path_is_refused(
    resources: Resources, home: Path
) -> None:
    recording = home.parent / "week.jsonl"
    await asyncio.to_thread(recording.write_text, '{"first": 1}\n')
    named = await loaded(source=str(recording))
    await wiring.stores(resources, named, chosen=await wiring.chosen(named))
    await asyncio.to_thread(recording.write_text, '{"first": 1}\n{"second": 2}\n')
    await wiring.stores(resources, named, chosen=await wiring.chosen(named))
    await asyncio.to_thread(recording.write_text, '{"another": 1}\n')
    with pytest.raises(Refused, match="was made from another recording"):
        await wiring.stores(resources, named, chosen=await wiring.chosen(named))


def test_a_home_that_can_not_be_written_to_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file" / "home"))
    made = wiring.directory(settings(data_dir=tmp_path / "x"), chosen=Chosen("demo"))
    wiring.remember(made)
    assert made.path == tmp_path / "x"


async def test_tools_open_the_log_alone(resources: Resources) -> None:
    stores = await wiring.stores(resources, await loaded(), chosen=Chosen("demo"))
    async with wiring.log(await loaded()) as (path, log):
        assert path == stores.path
        assert log.identity == stores.log.identity
