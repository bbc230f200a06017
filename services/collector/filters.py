"""Which changes are collected at all: by project, type and namespace.

Filters act before the log and nowhere else; the views never filter. What they leave out is counted
by the first filter that does. Canaries pass always: they prove that the stream is alive.
"""

import re
from collections.abc import Collection
from fnmatch import translate
from typing import Final

from services.shared.domain.change import Change

PROJECT: Final = "project"
TYPE: Final = "type"
NAMESPACE: Final = "namespace"
NAMES: Final = (PROJECT, TYPE, NAMESPACE)


class Filters:
    """Each one leaves out what it does not name; an empty one leaves out nothing.

    Projects are globs over names as the API writes them (`pt.wikipedia`, `wikidata`); `www.` and
    `.org` are optional.
    """

    def __init__(
        self,
        projects: Collection[str] = (),
        types: Collection[str] = (),
        namespaces: Collection[int] = (),
    ) -> None:
        globs = [
            translate(glob.lower().removeprefix("www.").removesuffix(".org")) for glob in projects
        ]
        self._projects = re.compile("|".join(globs)) if globs else None
        self._types = frozenset(types)
        self._namespaces = frozenset(namespaces)

    def leaving_out(self, change: Change) -> str | None:
        """The first filter that leaves the change out; None if it is collected."""
        if self._projects and not self._projects.match(change.project):
            return PROJECT
        if self._types and change.type not in self._types:
            return TYPE
        if self._namespaces and change.namespace not in self._namespaces:
            return NAMESPACE
        return None
