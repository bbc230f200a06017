"""The project's own files, read once for the checks of this folder."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
TREES = ("services", "tests", "bench", "docs", "helm", "k8s", ".ci")
TEXTS = {
    ".py",
    ".md",
    ".toml",
    ".yaml",
    ".yml",
    ".js",
    ".mjs",
    ".css",
    ".html",
    ".txt",
    ".json",
    "",
}


@functools.cache
def files() -> dict[str, str]:
    """Path from the root → text, of everything that people write."""
    listed = [path for tree in TREES for path in (ROOT / tree).rglob("*")]
    listed += ROOT.iterdir()
    return {
        path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
        for path in sorted(listed)
        if path.is_file() and path.suffix in TEXTS and "__pycache__" not in path.parts
        if path.name not in {"uv.lock", ".git"}
    }


@functools.cache
def modules() -> dict[str, ast.Module]:
    """Path → syntax tree, of the product's modules."""
    return {
        name: ast.parse(text)
        for name, text in files().items()
        if name.startswith("services/") and name.endswith(".py")
    }


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a name or attribute; anything else is empty."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = dotted(node.value)
        return f"{base}.{node.attr}" if base else ""
    return ""


def calls(tree: ast.Module) -> list[tuple[str, ast.Call]]:
    """Every call with the dotted name that it is written with."""
    return [(dotted(n.func), n) for n in ast.walk(tree) if isinstance(n, ast.Call)]


def imported(tree: ast.Module) -> set[str]:
    """Every module that is imported at run time, anywhere; `from a import b` counts as both."""
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and dotted(node.test).endswith("TYPE_CHECKING")
        for inner in ast.walk(node)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def table(text: str) -> dict[str, list[str]]:
    """The rows of a document's Markdown tables, by their first cell without its backticks."""
    rows: dict[str, list[str]] = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("| `"):
            rows[cells[0].strip("`")] = cells[1:]
    return rows
