"""The tables in docs/ say what the code says: nothing missing, nothing left over."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Counter, Gauge, Histogram

from services.shared.domain.change import TYPES
from services.shared.domain.classes import EDITOR_CLASSES, PAGE_CLASSES
from services.shared.runtime import crash, metrics, settings
from services.shared.runtime.exits import Exit
from services.shared.runtime.settings import Settings
from tests.house import sources

ROOT = Path(__file__).parents[2]
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text("utf-8")


def _row(*cells: str) -> list[str]:
    return [cell.replace("|", "or") for cell in cells]


def _differences(documented: dict[str, list[str]], actual: dict[str, list[str]]) -> list[str]:
    lines = [f"remove: {name}" for name in documented.keys() - actual.keys()]
    for name, cells in actual.items():
        if documented.get(name) != cells:
            lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return lines


def test_settings_are_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_DATA_HOME")
    defaults = Settings()
    actual = {}
    for name, field in Settings.model_fields.items():
        value = settings.shown(getattr(defaults, name)).replace(str(Path.home()), "~")
        accepted = settings.accepts(Settings, name)
        default = f"`{value}`" if value else ""
        actual[name] = _row(default, accepted, field.description or "")
    documented = sources.table(sources.files()["docs/settings.md"])
    assert not _differences(documented, actual)


def test_exit_codes_are_documented() -> None:
    actual = {str(int(code)): _row(code.name, code.meaning) for code in Exit}
    documented = sources.table(sources.files()["docs/exit-codes.md"])
    assert not _differences(documented, actual)


def _metrics() -> dict[str, Any]:
    return {k: v for k, v in vars(metrics).items() if isinstance(v, Counter | Gauge | Histogram)}


def _described(metric: Any) -> tuple[str, list[str]]:
    # The public way to a metric's name and text is to collect it; its labels have none.
    (family,) = metric.collect()
    name = family.name + ("_total" if family.type == "counter" else "")
    labels = ", ".join(f"`{label}`" for label in metric._labelnames)
    return name, _row(family.type, labels, family.documentation)


def test_metrics_are_documented() -> None:
    actual = dict(_described(metric) for metric in _metrics().values())
    documented = sources.table(sources.files()["docs/metrics.md"])
    assert not _differences({name: cells[:3] for name, cells in documented.items()}, actual)
    silent = [name for name, cells in documented.items() if len(cells) < 4 or not cells[3]]
    assert not silent, "say what to do when it moves"


def test_metric_names_are_prometheus_style() -> None:
    for name, cells in map(_described, _metrics().values()):
        assert name.startswith("bvw_")
        assert not {"`title`", "`user`", "`wiki`", "`page`"} & set(cells[1].split(", "))


def test_every_metric_is_used() -> None:
    used = {
        node.attr
        for name, tree in sources.modules().items()
        if name != "services/shared/runtime/metrics.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and sources.dotted(node).startswith("metrics.")
    }
    assert not _metrics().keys() - used - {"BUILD_INFO"}, "set it, or take it out"


def test_every_setting_is_used() -> None:
    used = {
        node.attr
        for name, tree in sources.modules().items()
        if name != "services/shared/runtime/settings.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        if sources.dotted(node.value).rpartition(".")[2] in {"settings", "loaded"}
    }
    assert not Settings.model_fields.keys() - used, "read it somewhere, or take it out"


def test_every_crash_point_is_where_the_table_says() -> None:
    passed = {
        ast.unparse(call.args[0]).strip("'")
        for tree in sources.modules().values()
        for name, call in sources.calls(tree)
        if name == "crash.point"
    }
    assert sorted(passed) == list(crash.POINTS), "POINTS is sorted and each is called somewhere"


def test_the_glossary_has_the_words_that_the_code_counts_by() -> None:
    said = set(re.findall(r"`([^`]+)`", GLOSSARY))
    words = {*TYPES, *EDITOR_CLASSES, *PAGE_CLASSES}
    assert words <= said, "docs/glossary.md: a word of the API is not explained"


def test_what_the_glossary_points_at_is_there() -> None:
    paths = [word for word in re.findall(r"`([^`\s]+)`", GLOSSARY) if "/" in word]
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_document_that_is_linked_is_there() -> None:
    broken = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
        broken += [f"{page}: {target}" for target in targets if not (page.parent / target).exists()]
    assert not broken
