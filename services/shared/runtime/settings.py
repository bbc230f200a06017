"""What can be set, from where, and what it is: the only module that reads the environment.

Later wins: defaults < TOML file < `BVW_*` environment < flags. The file is `--config`, else
`BVW_CONFIG`, else `./bvw.toml` if there is one. `BVW_X_FILE` names a file whose text is the value
of `x`, which is how secrets come in. A value that does not fit, or a key that does not exist, in the
file or a flag is refused in one line; an unknown `BVW_` variable may be a neighbour's (Kubernetes
makes up some) and is a warning. `origins` tells for each value where it came from.

To add a setting: one field here and its row in docs/settings.md; tests/house compares the two.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ByteSize,
    PrivateAttr,
    SecretStr,
    TypeAdapter,
    ValidationError,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from services.shared.runtime.duration import Duration
from services.shared.runtime.exits import Refused
from services.shared.runtime.fields import (
    LIST,
    ChangeType,
    List,
    LogLevel,
    duration,
    not_empty,
    of_schemes,
    setting,
    split,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PREFIX = "BVW_"
DEFAULT = "default"
_CONFIG = "BVW_CONFIG"
# Read by the tests, not by the product.
_OF_TESTS = ("BVW_RECORDINGS", "BVW_REQUIRE", "BVW_TEST_")

_BYTES = TypeAdapter(ByteSize)


def data_home() -> Path:
    base = os.environ.get("XDG_DATA_HOME", "")
    home = Path(base) if Path(base).is_absolute() else Path.home() / ".local" / "share"
    return home / "bots-vs-wiki"


class Origin(NamedTuple):
    name: str
    value: str
    origin: str


class Settings(BaseSettings):
    """`Settings()` is the defaults, whatever the environment; `load` is what a process runs with."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    # Where and what
    data_dir: Annotated[Path, BeforeValidator(not_empty), AfterValidator(Path.expanduser)] = (
        setting(data_home, "Data directory; by default each source has its own in it.", "a path")
    )
    source: str = setting(
        "auto",
        "Where changes come from.",
        "auto, live, demo, the URL of a stream such as Wikimedia's, or the path of a recording"
        " (.jsonl, .jsonl.gz, .jsonl.zst or a folder)",
        min_length=1,
    )
    contact: str = setting(
        "",
        "Whom the live stream's operators can write to; they refuse who does not say.",
        "an address such as you@example.org, or a web page",
        pattern=r"^$|^[!-\'*-~]+@[!-\'*-~]+\.[!-\'*-~]+$|^https?://[!-\'*-~]+$",
    )
    speed: str = setting(
        "max",
        "Replay speed of a recording, as a multiple of its own time.",
        "a whole number from 1, or max",
        pattern=r"^(max|[1-9][0-9]{0,5})$",
        coerce_numbers_to_str=True,
    )
    projects: List = setting((), "Projects to collect, as globs such as pt.* or *.wikipedia.", LIST)
    types: Annotated[tuple[ChangeType, ...], NoDecode, BeforeValidator(split)] = setting(
        (), "Types to collect.", f"edit, new, log, categorize, external, other; {LIST}"
    )
    namespaces: Annotated[tuple[int, ...], NoDecode, BeforeValidator(split)] = setting(
        (), "Namespace numbers to collect.", f"whole numbers; {LIST}"
    )
    largest_event: ByteSize = setting(
        ByteSize(1 << 20),
        "Largest event that is taken; a larger one is rejected, and kept as far as this.",
        "bytes from 1KiB to 8MiB",
        ge=1 << 10,
        le=8 << 20,
    )

    # The live stream
    resume_overlap: Duration = duration(
        "10s", "How much of the stream is read again after a reconnect; copies count once."
    )
    stream_watchdog: Duration = duration(
        "60s", "Time without a byte after which the stream is connected to anew."
    )
    reconnect_wait: Duration = duration(
        "1s", "Longest wait before the first reconnect; it doubles while nothing new comes."
    )
    reconnect_longest: Duration = duration("60s", "Longest wait before any reconnect.")
    canary_alarm: Duration = duration(
        "30m", "Time without a canary event after which an alarm is raised."
    )

    # Serving
    host: str = setting(
        "127.0.0.1", "Address that the API and the metrics listen on.", "an address", min_length=1
    )
    port: int = setting(
        8080, "Port of the API and the page.", "0 (any free) to 65535", ge=0, le=65535
    )
    metrics_port: int = setting(
        9464, "Port of the Prometheus metrics.", "0 (off) to 65535", ge=0, le=65535
    )
    page_limit: int = setting(
        1000, "Most rows in one page of an answer.", "1 to 10000", ge=1, le=10_000
    )
    pin_live: Duration = duration(
        "50ms", "How long serving may reuse the visible position that it has read."
    )
    cache_url: Annotated[SecretStr, AfterValidator(of_schemes("redis", "rediss"))] = setting(
        SecretStr(""),
        "The cache that several serving processes share.",
        "redis://HOST:PORT/DATABASE, or rediss:// with TLS; none: each has its own in memory",
    )
    feed_readers: int = setting(
        2000, "Most readers of the live feed at once.", "1 to 100000", ge=1, le=100_000
    )

    # Logs
    log_level: LogLevel = setting(
        "info", "Least level that is logged.", "debug, info, warning, error"
    )
    log_format: Literal["auto", "json", "console"] = setting(
        "auto", "How a log line looks; auto is console on a terminal.", "auto, json, console"
    )

    # Stores on servers; what is not named is a file in the data directory
    log_url: Annotated[SecretStr, AfterValidator(of_schemes("kafka"))] = setting(
        SecretStr(""),
        "The event log on Kafka.",
        "kafka://HOST:PORT[,HOST:PORT…][/PREFIX]; none: a file",
    )
    speed_url: Annotated[SecretStr, AfterValidator(of_schemes("http", "https"))] = setting(
        SecretStr(""),
        "The speed view on Elasticsearch.",
        "http(s)://[USER:PASSWORD@]HOST:PORT[/PREFIX]; none: a file",
    )
    batch_url: Annotated[SecretStr, AfterValidator(of_schemes("mongodb"))] = setting(
        SecretStr(""),
        "The batch view on MongoDB.",
        "mongodb://[USER:PASSWORD@]HOST:PORT/DATABASE; none: a file",
    )

    # Event log and speed layer
    partitions: int = setting(
        4,
        "Partitions of a new log; fixed for its life. On Kafka 12 if not given.",
        "1 to 64",
        ge=1,
        le=64,
    )
    dedupe_window: Duration = duration(
        "7d", "Copies of an event that arrive within this are exact at every moment."
    )
    log_retention_margin: Duration = duration(
        "7d", "How much longer than the dedupe window the log keeps events."
    )
    document_keep: Duration = duration(
        "24h", "Log time after which a speed document shrinks to its id and position."
    )

    # Batch layer
    batch_every: Duration = duration("5m", "Time between the starts of batch runs.")
    first_batch_after: Duration = duration(
        "15s", "The first batch run starts within this of the first events."
    )
    generation_keep: Duration = duration("15m", "How long a superseded generation stays readable.")
    minutes_keep: Duration = duration(
        "48h", "Log time before the horizon for which counts by minute are kept."
    )

    topic_sample: int = setting(
        20_000,
        "Most pages that a topic model is made from.",
        "0 (no topics) to 100000",
        ge=0,
        le=100_000,
    )
    topic_age: Duration = duration(
        "7d", "How long a topic model serves; where pages double, a new one is made earlier."
    )

    # Disk
    disk_budget: ByteSize = setting(
        ByteSize(40_000_000_000),
        "Most bytes the data directory may take.",
        "bytes: 500MB, 40GB",
        gt=0,
    )
    disk_warn_ratio: float = setting(
        0.8, "Share of the disk budget at which a warning is given.", "0 to 1", ge=0, le=1
    )

    # Proof
    crash_at: str = setting(
        "",
        "Crash point at which the process dies, to test its recovery.",
        "NAME or NAME:N; none if empty",
    )

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)
    _warnings: tuple[str, ...] = PrivateAttr(default=())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Nothing ambient: `load` merges the sources itself, to know each value's origin."""
        return (init_settings,)

    @classmethod
    def load(cls, config: Path | None = None, flags: Mapping[str, object] | None = None) -> Self:
        """The settings of this process; `flags` that are None were not given."""
        values: dict[str, Any] = {}
        origins: dict[str, str] = {}
        for name, value, origin in _given(cls, config, flags or {}):
            if name not in cls.model_fields:
                raise Refused(f"{origin}: no setting {name!r}{_nearest(name, cls.model_fields)}")
            values[name], origins[name] = value, origin
        for name, value in values.items():
            if _is_truth(value):  # which pydantic would take for the number 1
                raise _not_accepted(cls, name, value, origins[name])
        try:
            settings = cls(**values)
        except ValidationError as error:
            raise _refusal(cls, error, values, origins) from None
        settings._origins.update(origins)
        settings._warnings = tuple(_unknown_variables(cls))
        return settings

    def origin(self, name: str) -> str:
        """`default`, the file's path, the variable's or the flag's name."""
        return self._origins.get(name, DEFAULT)

    def origins(self) -> list[Origin]:
        """Every value as text (secrets redacted) with its origin, by name."""
        return [
            Origin(name, shown(getattr(self, name)), self.origin(name))
            for name in sorted(type(self).model_fields)
        ]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What `load` found odd but not wrong, a line each."""
        return self._warnings


def shown(value: object) -> str:
    """A value as it could be written in the environment."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, ByteSize):
        texts = (value.human_readable(decimal=decimal) for decimal in (True, False))
        return next((text for text in texts if _BYTES.validate_python(text) == value), f"{value}B")
    return str(value)  # of a SecretStr: asterisks


def flag(name: str) -> str:
    """The flag that sets a field."""
    return "--data" if name == "data_dir" else "--" + name.replace("_", "-")


def accepts(model: type[BaseSettings], name: str) -> str:
    """What a field takes, in words."""
    extra = model.model_fields[name].json_schema_extra
    return str(extra["accepts"]) if isinstance(extra, dict) else ""


def _given(
    model: type[BaseSettings], config: Path | None, flags: Mapping[str, object]
) -> Iterator[tuple[str, object, str]]:
    """Every value that somebody gave as (name, value, origin); a later one wins."""
    path = _config_path(config)
    if path is not None:
        for name, value in _read_toml(path).items():
            yield name, value, str(path)
    for name, value in EnvSettingsSource(model, env_ignore_empty=True)().items():
        yield name, value, _variable(name)
    for name in model.model_fields:
        if _variable(name) + "_FILE" in os.environ:
            yield name, _read_value_file(name), _variable(name) + "_FILE"
    for name, value in flags.items():
        if value is not None:
            yield name, value, flag(name) if name in model.model_fields else "--set"


def _config_path(config: Path | None) -> Path | None:
    named = config or (Path(os.environ[_CONFIG]) if os.environ.get(_CONFIG) else None)
    if named is not None:
        return named
    here = Path("bvw.toml")
    return here if here.is_file() else None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise Refused(f"{path}: cannot read the configuration ({error.strerror})") from None
    except ValueError as error:  # TOML's and UTF-8's both are
        raise Refused(f"{path}: not a TOML file ({error})") from None


def _read_value_file(name: str) -> str:
    variable = _variable(name)
    if variable in os.environ:
        raise Refused(f"{name}: {variable} and {variable}_FILE are both set; keep one")
    path = Path(os.environ[variable + "_FILE"])
    try:
        return path.read_text("utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise Refused(f"{name}: cannot read {path} from {variable}_FILE ({reason})") from None


def _refusal(
    model: type[BaseSettings],
    error: ValidationError,
    values: Mapping[str, object],
    origins: Mapping[str, str],
) -> Refused:
    name = str(error.errors(include_url=False)[0]["loc"][0])
    return _not_accepted(model, name, values[name], origins[name])


def _not_accepted(model: type[BaseSettings], name: str, value: object, origin: str) -> Refused:
    secret = model.model_fields[name].annotation is SecretStr
    shown = "the value" if secret else repr(value)
    return Refused(
        f"{name}: {shown} from {origin} is not accepted; accepted: {accepts(model, name)}"
    )


def _is_truth(value: object) -> bool:
    """True or false, or a list with one of them: no setting is one."""
    return isinstance(value, bool) or (isinstance(value, list) and any(map(_is_truth, value)))


def _unknown_variables(model: type[BaseSettings]) -> Iterator[str]:
    variables = [_variable(name) for name in model.model_fields]
    known = {_CONFIG, *variables, *(f"{variable}_FILE" for variable in variables)}
    for variable in sorted(os.environ):
        ours = variable.startswith(PREFIX) and not variable.startswith(_OF_TESTS)
        if ours and variable.upper() not in known:
            yield f"unknown variable {variable}{_nearest(variable, known)}"


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else "; see: bvw config show"
