"""The changes themselves, newest append first: search and filters over what is kept whole.

Pages never tear: the cursor carries what the first page stands on and the place where the page
ended, so that whatever is appended meanwhile is on no later page.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from services.serving.api import dates, parameters, problems
from services.serving.api.asked import Asked
from services.serving.api.dates import Span
from services.serving.api.models import ours as models
from services.serving.api.parameters import Cursor
from services.serving.pin import packed
from services.shared.domain.positions import reaches
from services.shared.speedview.port import Indexed, Search


async def changes(asked: Asked) -> models.ChangesAnswer:
    start, end = asked.values["start"], asked.values["end"]
    asked.over(_span(asked))
    pin = asked.standing.pin
    if not reaches(pin.visible, pin.since):
        asked.reasons.append("the newest changes are not listed yet: the speed layer is behind")
    await asked.project()
    search = replace(
        filters(asked.values),
        low=None if start is None else int(start.timestamp()),
        high=None if end is None else int(end.timestamp()),
    )
    cursor: Cursor | None = asked.values["cursor"]
    limit = asked.limit
    after = None if cursor is None else cursor.after
    found = await asked.answers.search(asked.standing.pin, search, limit=limit + 1, after=after)
    oldest = await asked.answers.oldest()
    return models.ChangesAnswer(
        meta=asked.meta(),
        oldest=None if oldest is None else dates.iso(oldest),
        changes=[row(indexed) for indexed in found[:limit]],
        next=_next(asked, found[limit - 1]) if len(found) > limit else None,
    )


def _span(asked: Asked) -> Span | None:
    start, end = asked.values["start"], asked.values["end"]
    if start is not None and end is not None and start >= end:
        raise problems.bad("end", f"{end:%Y%m%d%H%M}", f"after start {start:%Y%m%d%H%M}")
    if start is None and end is None:
        return None
    return Span(start or dates.EARLIEST, end or dates.LATEST)


def filters(values: Mapping[str, Any]) -> Search:
    """What the parameters of a list of changes, and of their stream, ask for."""
    project, editors = values["project"], values["editor_type"]
    return Search(
        terms=values["q"] or (),
        projects=() if project == parameters.ALL_PROJECTS else (project,),
        types=values["type"] or (),
        editor_classes=()
        if editors == parameters.ALL_EDITORS
        else parameters.EDITOR_TYPES[editors],
        namespaces=values["namespace"] or (),
    )


def _next(asked: Asked, last: Indexed) -> str:
    place = (last.appended_at, last.partition, last.offset)
    return packed(Cursor(asked.standing.pin.position, place))


def row(indexed: Indexed) -> models.ChangeRow:
    document = indexed.document
    change = document.change
    return models.ChangeRow(
        id=change.id,
        partition=indexed.partition,
        offset=indexed.offset,
        appended_at=dates.iso(indexed.appended_at),
        timestamp=dates.iso(change.timestamp * 1000),
        type=change.type,
        project=change.project,
        wiki=change.wiki,
        namespace=change.namespace,
        title=change.title,
        user=change.user,
        bot=change.bot,
        minor=change.minor,
        editor_type=change.editor_class,
        page_type=change.page_class,
        net_bytes=change.net_bytes,
        comment=change.comment,
        revision=change.revision,
        words=[word.form for word in document.words],
        hashtags=list(document.hashtags),
    )
