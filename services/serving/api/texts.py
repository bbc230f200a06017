"""The words of titles, the hashtags of comments, and what there is to ask about."""

from collections import Counter

from services.serving import merge
from services.serving.api import dates
from services.serving.api.asked import Asked
from services.serving.api.dates import Span
from services.serving.api.models import ours as models
from services.serving.api.parameters import EDITOR_TYPES
from services.shared.domain import change, classes
from services.shared.domain.query import Condition, OneOf, Query
from services.shared.domain.views import EDITS, HASHTAGS, WORDS


async def top_words(asked: Asked) -> models.WordsAnswer:
    """The first stems by edits, each in the form in which it is seen most."""
    span, where = await _asked_for(asked)
    pin = asked.standing.pin
    ranked = await asked.answers.top(
        pin, Query(WORDS, ("stem",), where), measure="edits", limit=asked.limit
    )
    stems = OneOf("stem", tuple(stem for (stem,), _ in ranked))
    forms = await asked.answers.sums(pin, Query(WORDS, ("stem", "form"), (*where, stems)))
    shown = merge.shown_forms(forms)
    return models.WordsAnswer(
        meta=asked.meta(),
        project=asked.values["project"],
        editor_type=asked.values["editor_type"],
        start=dates.stamp(span.start),
        end=dates.stamp(span.end),
        words=[
            models.WordCount(rank=rank, word=shown[str(stem)], stem=str(stem), edits=edits)
            for rank, ((stem,), (edits,)) in enumerate(ranked, 1)
        ],
    )


async def top_hashtags(asked: Asked) -> models.HashtagsAnswer:
    span, where = await _asked_for(asked)
    query = Query(HASHTAGS, ("hashtag",), where)
    ranked = await asked.answers.top(asked.standing.pin, query, measure="edits", limit=asked.limit)
    return models.HashtagsAnswer(
        meta=asked.meta(),
        project=asked.values["project"],
        editor_type=asked.values["editor_type"],
        start=dates.stamp(span.start),
        end=dates.stamp(span.end),
        hashtags=[
            models.HashtagCount(rank=rank, hashtag=str(tag), edits=edits)
            for rank, ((tag,), (edits,)) in enumerate(ranked, 1)
        ],
    )


async def projects(asked: Asked) -> models.ProjectsAnswer:
    """Every project with edits in the span, most edits first, and how many are by bots."""
    span, _ = asked.steps(await asked.span(), dates.HOURLY)
    asked.over(span)
    where = (OneOf("type", change.EDIT_TYPES), *dates.within(span, "hour"))
    query = Query(EDITS, ("project", "editor_class"), where)
    rows = await asked.answers.sums(asked.standing.pin, query)
    edits: Counter[str] = Counter()
    bots: Counter[str] = Counter()
    for (name, editor_class), measures in rows.items():
        edits[str(name)] += measures[0]
        bots[str(name)] += measures[0] if editor_class in classes.BOTS else 0
    ranked = sorted(edits.items(), key=lambda row: (-row[1], row[0]))
    return models.ProjectsAnswer(
        meta=asked.meta(),
        projects=[models.ProjectRow(project=n, edits=e, bots=bots[n]) for n, e in ranked],
    )


async def span(asked: Asked) -> models.SpanAnswer:
    """First and last event day with changes."""
    asked.over(None)
    days = await asked.answers.days(asked.standing.pin)
    first, last = (days[0], days[-1]) if days else (None, None)
    return models.SpanAnswer(meta=asked.meta(), first=first, last=last)


async def _asked_for(asked: Asked) -> tuple[Span, tuple[Condition, ...]]:
    span, _ = asked.steps(await asked.span(), dates.DAILY)
    asked.over(span)
    editors = EDITOR_TYPES[asked.values["editor_type"]]
    every = editors == classes.EDITOR_CLASSES
    who = () if every else (OneOf("editor_class", editors),)
    return span, (*await asked.project(), *who, *dates.within(span))
