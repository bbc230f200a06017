"""The command `bvw`: one file a verb, found by its name, imported when it is called. `bvw --help` reads
of each file what the verb says about itself and imports none.

To add a verb `frobnicate`, add services/cli/frobnicate.py and nothing else:

    \"\"\"What it does, for whoever maintains it.\"\"\"
    from services.cli import options
    from services.shared.runtime.settings import Settings

    @options.configured("port")            # settings that this verb has flags for
    def command(settings: Settings, *, fast: bool = False) -> None:
        \"\"\"The first line is what `bvw --help` says.\"\"\"
        from services import wiring        # heavy imports in the body: help stays quick
        ...

A verb with verbs of its own (`bvw config show`) has a `typer.Typer` called `app` instead of
`command`. `configured` adds --config, --set, --data and the log flags, loads the settings, sets up the
logs and hands over the settings. What was asked for goes to stdout, logs and errors to stderr. What the caller can
put right is raised as `exits.Refused`: one line and its exit code; other outcomes are
`raise typer.Exit(Exit.DIFFERENT)`. Anything else that escapes is a defect and keeps its traceback.
"""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import pkgutil
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import typer.core
import typer.main

from services import cli
from services.shared.runtime import memory
from services.shared.runtime.exits import Exit, Refused
from services.shared.runtime.unavailable import Unavailable

_NOT_VERBS = {"main", "options"}


class _Verbs(MutableMapping[str, Any]):
    """The verbs by name, each with enough of it to be listed."""

    def __init__(self) -> None:
        found = {module.name for module in pkgutil.iter_modules(cli.__path__)}
        self._names = sorted(found - _NOT_VERBS)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        return typer.core.TyperCommand(name, help=_summary(name))

    def __setitem__(self, name: str, command: Any) -> NoReturn:
        raise TypeError(f"{name}: a verb is a file in services/cli")

    __delitem__ = None  # type: ignore[assignment]


class _Lazy(typer.core.TyperGroup):
    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Verbs()

    def resolve_command(self, *given: Any) -> Any:
        """The verb itself, to be run: only now is its file imported."""
        name, listed, rest = super().resolve_command(*given)
        return name, listed and _command(str(listed.name)), rest


def _summary(name: str) -> str:
    """What a verb's file says: the text of its `command`, or of its `typer.Typer(help=…)`."""
    path = Path(cli.__file__).with_name(f"{name}.py")
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name == "command":
            return ast.get_docstring(node) or ""
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "app":
            helps = (k.value for k in getattr(node.value, "keywords", ()) if k.arg == "help")
            return str(ast.literal_eval(next(helps, ast.Constant(""))))
    return ""


def _command(name: str) -> Any:
    module = importlib.import_module(f"services.cli.{name}")
    if hasattr(module, "app"):
        command: Any = typer.main.get_group(module.app)
    else:
        single = typer.Typer(add_completion=False)
        single.command(name)(module.command)
        command = typer.main.get_command(single)
    command.name = name
    return command


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(importlib.metadata.version("bots-vs-wiki"))
        raise typer.Exit


app = typer.Typer(
    cls=_Lazy,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _bvw(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="The version.")
    ] = False,
) -> None:
    """Who edits Wikipedia, bots or people: every change, live and exactly."""


def run() -> NoReturn:
    """What the installed `bvw` calls; turns every ending into an exit code of `exits.Exit`."""
    memory.be_modest()
    try:
        code = app(prog_name="bvw", standalone_mode=False)
    except typer.TyperException as error:
        # Without a message it was help that was shown, for want of a verb.
        said = " ".join(error.format_message().split()).rstrip(".")
        if said:
            typer.echo(f"bvw: {said}; see: {_path(error)} --help", err=True)
        sys.exit(Exit.CONFIGURATION if hasattr(error, "option_name") else Exit.USAGE)
    except typer.Abort:
        sys.exit(Exit.INTERRUPTED)
    except Unavailable as error:
        typer.echo(f"bvw: {error}; try again once there is room, or it answers", err=True)
        sys.exit(Exit.TEMPORARY)
    except Refused as refusal:
        typer.echo(f"bvw: {refusal.message}", err=True)
        sys.exit(refusal.code)
    except Exception:  # noqa: BLE001 - the process ends here
        traceback.print_exc()
        sys.exit(Exit.DEFECT)
    sys.exit(code or Exit.OK)


def _path(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    return str(context.command_path) if context else "bvw"


if __name__ == "__main__":
    run()
