from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field, SecretStr

from services.shared.runtime import settings
from services.shared.runtime.exits import Exit, Refused
from services.shared.runtime.settings import Origin, Settings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _file(folder: Path, text: str, name: str = "bvw.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def _refusal(**given: object) -> str:
    with pytest.raises(Refused) as caught:
        Settings.load(flags=given)
    assert caught.value.code == Exit.CONFIGURATION
    assert "\n" not in caught.value.message
    return caught.value.message


def test_each_source_beats_the_one_before(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.load().port == 8080
    _file(folder, "port = 1")
    assert Settings.load().port == 1
    monkeypatch.setenv("BVW_PORT", "2")
    assert Settings.load().port == 2
    assert Settings.load(flags={"port": "3"}).port == 3
    assert Settings.load(flags={"port": None}).port == 2


def test_every_value_tells_its_origin(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _file(folder, "port = 1\npage_limit = 5", "other.toml")
    monkeypatch.setenv("BVW_PORT", "2")
    (folder / "address").write_text("127.0.0.2\n")
    monkeypatch.setenv("BVW_HOST_FILE", str(folder / "address"))
    loaded = Settings.load(path, {"types": "edit,new", "data_dir": "here"})
    origins = {origin.name: origin for origin in loaded.origins()}
    assert origins["port"] == Origin("port", "2", "BVW_PORT")
    assert origins["page_limit"] == Origin("page_limit", "5", str(path))
    assert origins["host"] == Origin("host", "127.0.0.2", "BVW_HOST_FILE")
    assert origins["types"] == Origin("types", "edit,new", "--types")
    assert origins["data_dir"].origin == "--data"
    assert origins["partitions"].origin == settings.DEFAULT
    assert origins.keys() == Settings.model_fields.keys()


def test_the_file_can_be_named_in_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _file(folder, "port = 1")
    monkeypatch.setenv("BVW_CONFIG", str(_file(folder, "port = 2", "named.toml")))
    assert Settings.load().port == 2
    assert Settings.load(_file(folder, "port = 3", "flag.toml")).port == 3


def test_the_environment_is_read_by_load_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BVW_PORT", "2")
    assert Settings().port == 8080


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("port", "many", "port: 'many' from --port is not accepted; accepted: 0 (any free) to"),
        ("port", "70000", "to 65535"),
        ("batch_every", "5 weeks", "a duration: 250ms"),
        ("batch_every", "-1", "a duration"),
        ("disk_budget", "-1", "500MB, 40GB"),
        ("types", "edit,edits", "edit, new, log, categorize, external, other"),
        ("speed", "0", "a whole number from 1, or max"),
        ("log_level", "loud", "debug, info, warning, error"),
        ("prot", "1", "--set: no setting 'prot' (did you mean 'port'?)"),
        ("xyzzy", "1", "--set: no setting 'xyzzy'; see: bvw config show"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(name: str, value: str, said: str) -> None:
    assert said in _refusal(**{name: value})


def test_a_refusal_names_the_file_or_the_variable(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _file(folder, "prot = 1")
    assert str(_refusal()).startswith("bvw.toml: no setting 'prot'")
    path.write_text("port = [")
    assert "bvw.toml: not a TOML file (" in _refusal()
    path.unlink()
    monkeypatch.setenv("BVW_PORT", "x")
    assert "'x' from BVW_PORT" in _refusal()
    monkeypatch.setenv("BVW_PORT_FILE", "absent")
    assert "keep one" in _refusal()
    monkeypatch.delenv("BVW_PORT")
    assert "cannot read absent from BVW_PORT_FILE (No such file" in _refusal()


def test_a_named_file_must_exist() -> None:
    with pytest.raises(Refused, match=r"absent\.toml: cannot read .* \(No such file"):
        Settings.load(Path("absent.toml"))


def test_an_unknown_variable_is_one_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BVW_PROT", "1")
    monkeypatch.setenv("BVW_CONFIG", "")
    monkeypatch.setenv("BVW_TEST_X", "the tests' own")
    assert Settings.load().warnings == ("unknown variable BVW_PROT (did you mean 'BVW_PORT'?)",)


def test_values_are_read_as_people_write_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BVW_PROJECTS", "pt.*, *.wikipedia,")
    monkeypatch.setenv("BVW_NAMESPACES", "0,1")
    monkeypatch.setenv("BVW_DISK_BUDGET", "500 MB")
    monkeypatch.setenv("BVW_LOG_LEVEL", "DEBUG")
    monkeypatch.setenv("BVW_DEDUPE_WINDOW", "100ms")
    loaded = Settings.load()
    assert loaded.projects == ("pt.*", "*.wikipedia")
    assert loaded.namespaces == (0, 1)
    assert loaded.disk_budget == 500_000_000
    assert loaded.log_level == "debug"
    assert loaded.dedupe_window == pytest.approx(0.1)


def test_a_file_takes_lists_and_numbers(folder: Path) -> None:
    _file(folder, 'types = ["edit", "new"]\nspeed = 10\nbatch_every = 1.5\nnamespaces = [0]')
    loaded = Settings.load()
    assert (loaded.types, loaded.speed) == (("edit", "new"), "10")
    assert (loaded.batch_every, loaded.namespaces) == (1.5, (0,))


@pytest.mark.parametrize("line", ["port = true", "disk_budget = true", "namespaces = [0, true]"])
def test_true_is_not_the_number_one(folder: Path, line: str) -> None:
    _file(folder, line)
    assert "is not accepted" in _refusal()


def test_an_empty_variable_is_as_if_it_were_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATA_DIR", "PORT", "CONTACT"):
        monkeypatch.setenv(f"BVW_{name}", "")
    assert Settings.load().origins() == Settings().origins()
    assert "a path" in _refusal(data_dir="")


@pytest.mark.parametrize(
    ("contact", "accepted"),
    [
        ("you@example.org", True), ("https://example.org/~you", True), ("", True),
        ("you", False), ("you@", False), ("you@example.org\r\nX: y", False), ("a (b)@c.d", False),
    ],
)  # fmt: skip
def test_a_contact_can_be_written_to_and_fits_into_a_header(contact: str, accepted: bool) -> None:
    if accepted:
        assert Settings.load(flags={"contact": contact}).contact == contact
    else:
        assert "you@example.org, or a web page" in _refusal(contact=contact)


def test_every_shown_value_can_be_given_back() -> None:
    shown = {name: value for name, value, _ in Settings().origins()}
    assert Settings.load(flags=shown).model_dump() == Settings().model_dump()


def test_the_data_directory_follows_xdg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere")
    assert Settings().data_dir == Path("/somewhere/bots-vs-wiki")
    monkeypatch.setenv("XDG_DATA_HOME", "not/absolute")
    assert Settings().data_dir == Path.home() / ".local/share/bots-vs-wiki"
    assert Settings.load(flags={"data_dir": "~/here"}).data_dir == Path.home() / "here"


class _WithSecret(Settings):
    password: SecretStr = Field(
        SecretStr(""), description="", min_length=3, json_schema_extra={"accepts": "a word"}
    )


def test_a_secret_is_never_shown(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "secret").write_text("hunter2\n")
    monkeypatch.setenv("BVW_PASSWORD_FILE", str(folder / "secret"))
    loaded = _WithSecret.load()
    assert loaded.password.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(loaded)
    assert ("password", "**********", "BVW_PASSWORD_FILE") in loaded.origins()
    (folder / "secret").write_text("hu")
    with pytest.raises(Refused, match="password: the value from BVW_PASSWORD_FILE is not accepted"):
        _WithSecret.load()
