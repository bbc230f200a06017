"""A directory belongs to one source and one format, and says what to do about any other."""

import json
from pathlib import Path

import pytest

from services.shared.runtime import datadir, description
from services.shared.runtime.description import FORMAT, Description
from services.shared.runtime.exits import Exit, Refused


def refusal(path: Path, source: str | None = None, *, create: bool = True) -> str:
    with pytest.raises(Refused) as refused:
        datadir.open_directory(path, source=source, create=create)
    assert refused.value.code == Exit.CONFIGURATION
    assert "\n" not in refused.value.message
    assert str(path) in refused.value.message
    return refused.value.message


def test_each_source_has_a_directory_of_its_own(tmp_path: Path) -> None:
    sources = ["live", "demo", "/a/week 1.jsonl.gz", "/b/week 1.jsonl.gz", "/a/week 1.jsonl.zst",
               "https://s.example.org/v2/stream/a", "https://s.example.org/v2/stream/b"]  # fmt: skip
    places = [datadir.of_source(tmp_path, source) for source in sources]
    assert len(set(places)) == len(places)
    assert [place.name for place in places[:2]] == ["live", "demo"]
    assert places[2].name.startswith("recorded-week-1-")
    assert places[5].name.startswith("live-s-example-org-")
    assert all(place.parent == tmp_path for place in places)


def test_a_recording_is_the_same_by_any_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    full = str(tmp_path / "week.jsonl")
    assert datadir.of_source(tmp_path, "week.jsonl") == datadir.of_source(tmp_path, full)
    datadir.open_directory(tmp_path / "data", source="week.jsonl", create=True)
    again = datadir.open_directory(tmp_path / "data", source=full, create=True)
    assert again.source == full


def test_a_directory_is_made_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "base" / "demo"
    made = datadir.open_directory(path, source="demo", create=True)
    assert made == datadir.DataDirectory(path, "demo")
    assert datadir.open_directory(path, create=False) == made
    assert datadir.open_directory(path, source="demo", create=False) == made
    assert [entry.name for entry in path.iterdir()] == ["bvw.json"]
    assert json.loads((path / "bvw.json").read_text()) == {"format": FORMAT, "source": "demo"}


def test_an_empty_volume_will_do(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    assert datadir.open_directory(tmp_path, source="demo", create=True).source == "demo"


def test_a_start_that_was_cut_off_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / ".bvw.json.123").write_text('{"form')
    assert datadir.open_directory(tmp_path, source="demo", create=True).source == "demo"


def test_a_reader_makes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "none yet"
    assert f"bvw up --data '{path}'" in refusal(path, create=False)
    assert not path.exists()


def test_somebody_elses_directory_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("dear")
    for create in (True, False):
        assert "an empty or a new one" in refusal(tmp_path, "demo", create=create)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.txt"]


def test_another_source_is_refused_with_the_way_on(tmp_path: Path) -> None:
    datadir.open_directory(tmp_path, source="/records/week 1.jsonl", create=True)
    message = refusal(tmp_path, "demo")
    assert f"bvw up --data {tmp_path} --source '/records/week 1.jsonl'" in message
    assert "not of demo" in message


@pytest.mark.parametrize("text", ["[]", '{"format": 1}', '{"format": "1", "source": "demo"}'])
def test_an_unknown_description_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "bvw.json").write_text(text)
    assert f"takes format {FORMAT}" in refusal(tmp_path, "demo")
    assert (tmp_path / "bvw.json").read_text() == text


def test_another_format_is_refused_with_the_way_on(tmp_path: Path) -> None:
    description.write(tmp_path, Description("demo", format=FORMAT - 1))
    assert f"bvw migrate --data {tmp_path}" in refusal(tmp_path, "demo")
    assert datadir.source_at(tmp_path) == "demo"
    description.write(tmp_path, Description("demo", format=FORMAT + 1))
    assert "a newer one" in refusal(tmp_path, "demo")
    assert "bvw migrate" not in refusal(tmp_path, "demo")


def test_a_directory_that_is_being_filled_is_nobodys_yet(tmp_path: Path) -> None:
    path = tmp_path / "copy"
    datadir.claim(path, Description("demo", "digest"))
    (path / "log.sqlite").write_bytes(b"half of it")
    for create in (True, False):
        assert "goes on with it" in refusal(path, "demo", create=create)
    datadir.claim(path, Description("demo", "digest"))
    description.finish(path)
    assert datadir.open_directory(path, create=False).source == "demo"
    assert description.read(path) == Description("demo", "digest")
    with pytest.raises(Refused, match="has data already"):
        datadir.claim(path, Description("demo"))


def test_nothing_of_others_is_filled_up(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("dear")
    with pytest.raises(Refused, match="choose an empty or a new one"):
        datadir.claim(tmp_path, Description("demo"))
    with pytest.raises(Refused, match="cannot use"):
        datadir.claim(tmp_path / "thesis.txt", Description("demo"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bvw.json").write_bytes(b"\xff{")
    assert "damaged" in refusal(tmp_path, "demo")


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refusal(tmp_path / "file", "demo")
    refusal(tmp_path / "file" / "below", "demo")


def test_bytes_of_the_disk(tmp_path: Path) -> None:
    assert datadir.free_bytes(tmp_path / "not" / "yet") > 0
    assert datadir.used_bytes(tmp_path) == 0
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "part").write_bytes(b"x" * 100_000)
    assert 100_000 <= datadir.used_bytes(tmp_path) < 200_000
