"""The rules of ARCHITECTURE.md that neither ruff nor import-linter can express."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator

from tests.house import sources

# Modules that are longer than 400 lines on purpose, with the purpose.
LONG: dict[str, str] = {}

CLOCKS = {
    "time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns",
    "time.perf_counter", "time.perf_counter_ns", "time.localtime", "time.gmtime",
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today",
    "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today",
    "datetime.date.today",
}  # fmt: skip
QUEUES = {"Queue", "LifoQueue", "PriorityQueue", "SimpleQueue"}


def _others(but: str) -> Iterator[tuple[str, ast.Module]]:
    return ((name, tree) for name, tree in sources.modules().items() if name != but)


def test_only_settings_reads_the_environment() -> None:
    reading = {"os.environ", "os.environb", "os.getenv"}
    found = []
    for name, tree in _others(but="services/shared/runtime/settings.py"):
        written = {sources.dotted(node) for node in ast.walk(tree)} | sources.imported(tree)
        found += [f"{name}: {read}" for read in written & reading]
    assert not found, "add a field to settings.py"


def test_only_clock_reads_the_clock() -> None:
    found = []
    for name, tree in _others(but="services/shared/runtime/clock.py"):
        read = {called for called, _ in sources.calls(tree)} | sources.imported(tree)
        found += [f"{name}: {clock}" for clock in read & CLOCKS]
    assert not found, "take a services.shared.runtime.clock.Clock"


def test_every_queue_is_bounded() -> None:
    found = []
    for name, tree in sources.modules().items():
        for called, call in sources.calls(tree):
            owner, _, kind = called.rpartition(".")
            if kind not in QUEUES or owner not in {"", "asyncio", "queue", "multiprocessing"}:
                continue
            sizes = [*call.args, *(k.value for k in call.keywords if k.arg == "maxsize")]
            if not sizes or (isinstance(sizes[0], ast.Constant) and not sizes[0].value):
                found.append(f"{name}:{call.lineno}: {called}")
    assert not found, "give it a size"


def test_the_domain_imports_the_standard_library_only() -> None:
    own = "services.shared.domain"
    found = [
        f"{name}: {imported}"
        for name, tree in sources.modules().items()
        if name.startswith("services/shared/domain/")
        for imported in sources.imported(tree)
        if imported.partition(".")[0] not in sys.stdlib_module_names
        if not imported.startswith(own)
    ]
    assert not found


def test_a_port_imports_no_adapter_and_no_driver() -> None:
    found = [
        f"{name}: {imported}"
        for name, tree in sources.modules().items()
        if name.endswith("/port.py")
        for imported in sources.imported(tree)
        if imported.partition(".")[0] not in {*sys.stdlib_module_names, "services"}
        or imported.endswith((".embedded", ".kafka", ".elasticsearch", ".mongo", ".redis"))
    ]
    assert not found


def test_a_module_fits_on_a_few_screens() -> None:
    lines = {name: sources.files()[name].count("\n") for name in sources.modules()}
    long = {name for name, count in lines.items() if count > 400}
    assert not long - LONG.keys(), "split it, or give the reason in LONG"
    assert not LONG.keys() - long, "short again: take it off LONG"


def test_every_module_tells_its_story() -> None:
    trees = sources.modules().items()
    assert not [name for name, tree in trees if tree.body and not ast.get_docstring(tree)]


def test_the_page_writes_text_nodes_only() -> None:
    unsafe = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\bsrcdoc\b"
    )
    found = [
        f"{name}: {match[0]}"
        for name, text in sources.files().items()
        if name.startswith("services/") and name.endswith((".js", ".mjs", ".html"))
        for match in unsafe.finditer(text)
    ]
    assert not found, "titles are hostile"


def test_nothing_of_others_is_vendored() -> None:
    found = [
        name
        for name, text in sources.files().items()
        if name.endswith((".js", ".mjs", ".css"))
        if ".min." in name or max(map(len, text.splitlines()), default=0) > 1000
    ]
    assert not found, "third-party code comes from a package, not from this repository"


def test_no_path_of_one_machine_is_written_down() -> None:
    machine = re.compile(r"(?<![\w.$~-])/(?:wor" r"k|home|roo" r"t|tm" r"p)/|\.\./share" r"d\b")
    found = [
        f"{name}: {match[0]}"
        for name, text in sources.files().items()
        for match in machine.finditer(text)
    ]
    assert not found
