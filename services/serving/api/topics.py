"""What pages are about: edits by topic, and one topic in detail.

List and detail are one question, grouped by topic, day and editor class, so they can't disagree, and
its batch part is asked once per generation. Each edit is of a topic or of none: they add up to the
edits that every other answer counts.
"""

from typing import Final

from services.serving.api import dates, problems
from services.serving.api.asked import Asked
from services.serving.api.dates import Span
from services.serving.api.models import topics as models
from services.serving.api.models.ours import Course
from services.serving.api.parameters import TopicId
from services.shared.domain import classes
from services.shared.domain.query import Condition, Having, OneOf, Query
from services.shared.domain.topics import CLEAR, NO_TOPICS, NONE, SCATTERED, Topic, TopicModel
from services.shared.domain.views import TOPICS, Rows

_NOTES: Final = {
    CLEAR: "",
    SCATTERED: "The topics are scattered: they run into each other, so take them as a rough guide.",
    NO_TOPICS: "No topics were found: the pages have too few words in common.",
}
_NO_MODEL: Final = (
    "There are no topics yet: a batch run finds them once it knows enough pages, and all edits are"
    " in `none` until then."
)
_NOTHING: Final = Topic((), (), 0.0, 0.0, 0)


async def topics(asked: Asked) -> models.TopicsAnswer:
    span, where, model = await _asked_for(asked)
    rows = await _sums(asked, where)
    total = sum(measures[0] for measures in rows.values())
    found = [_row(model, number, rows, total) for number in range(_size(model))]
    none = _row(model, NONE, rows, total)
    return models.TopicsAnswer(
        meta=asked.meta(),
        project=asked.values["project"],
        start=dates.stamp(span.start),
        end=dates.stamp(span.end),
        edits=total,
        model=_described(model),
        note=_note(model),
        topics=sorted(found, key=lambda row: -row.edits),
        none=models.TopicCounts(
            edits=none.edits, bots=none.bots, humans=none.humans, share=none.share
        ),
    )


async def topic(asked: Asked) -> models.TopicAnswer:
    span, where, model = await _asked_for(asked)
    number = _number(asked.values["topic"], model)
    rows = await _sums(asked, where)
    total = sum(measures[0] for measures in rows.values())
    own = {key: measures for key, measures in rows.items() if key[0] == number}
    row = _row(model, number, rows, total)
    pin, about = asked.standing.pin, (*where, OneOf("topic", (number,)))
    pages = Query(TOPICS, ("project", "title"), about)
    top = await asked.answers.top(pin, pages, measure="edits", limit=asked.limit)
    return models.TopicAnswer(
        meta=asked.meta(),
        project=asked.values["project"],
        start=dates.stamp(span.start),
        end=dates.stamp(span.end),
        model=_described(model),
        note=_note(model),
        topic=row,
        distinct_pages=await asked.answers.count(pin, pages, Having("edits", 1)),
        classes=_classes(own, row.edits),
        course=_course(own, span),
        pages=[
            models.TopicPage(rank=rank, project=str(project), title=str(title), edits=measures[0])
            for rank, ((project, title), measures) in enumerate(top, 1)
        ],
    )


async def _asked_for(asked: Asked) -> tuple[Span, tuple[Condition, ...], TopicModel | None]:
    span, _ = asked.steps(await asked.span(), dates.DAILY)
    asked.over(span)
    where = (*await asked.project(), *dates.within(span))
    return span, where, await asked.answers.model(asked.standing.pin)


async def _sums(asked: Asked, where: tuple[Condition, ...]) -> Rows:
    query = Query(TOPICS, ("topic", "day", "editor_class"), where)
    return await asked.answers.sums(asked.standing.pin, query)


def _size(model: TopicModel | None) -> int:
    return 0 if model is None else len(model.topics)


def _number(asked: TopicId, model: TopicModel | None) -> int:
    """The topic's number in the model that answers: a topic of another one is not known to it."""
    if asked.number == NONE:
        return NONE
    if model is None or asked.model != model.id or asked.number >= len(model.topics):
        raise problems.no_topic(asked.text)
    return asked.number


def _row(model: TopicModel | None, number: int, rows: Rows, total: int) -> models.TopicRow:
    about = _NOTHING if model is None or number == NONE else model.topics[number]
    own = [(key[2], measures[0]) for key, measures in rows.items() if key[0] == number]
    bots, humans = (
        sum(edits for name, edits in own if name in side) for side in (classes.BOTS, classes.HUMANS)
    )
    edits = bots + humans
    return models.TopicRow(
        id=TopicId(model.id if model else "", number).text,
        label=about.label,
        words=list(about.words),
        titles=[models.PageRow(project=page.project, title=page.title) for page in about.titles],
        x=about.x,
        y=about.y,
        edits=edits,
        bots=bots,
        humans=humans,
        share=edits / total if total else 0.0,
    )


def _described(model: TopicModel | None) -> models.TopicModelRow | None:
    if model is None:
        return None
    return models.TopicModelRow(
        id=model.id,
        made_at=dates.iso(model.made_at),
        text_version=model.text_version,
        pages=model.pages,
        sample=model.sample,
        covered=model.covered,
        silhouette=model.silhouette,
        largest_share=model.largest_share,
        verdict=model.verdict,
    )


def _note(model: TopicModel | None) -> str:
    return _NO_MODEL if model is None else _NOTES[model.verdict]


def _classes(own: Rows, total: int) -> list[models.TopicClass]:
    edits = dict.fromkeys((*classes.BOTS, *classes.HUMANS), 0)
    for (_, _, name), measures in own.items():
        edits[str(name)] += measures[0]
    return [
        models.TopicClass(name=name, edits=count, share=count / total if total else 0.0)
        for name, count in edits.items()
    ]


def _course(own: Rows, span: Span) -> list[Course]:
    """Edits by editor class, for each day of the span."""
    names = (*classes.BOTS, *classes.HUMANS)
    days = {at: dict.fromkeys(names, 0) for at in dates.steps(span, dates.DAILY)}
    for (_, day, name), measures in own.items():
        days[dates.from_day(int(day))][str(name)] += measures[0]
    return [Course(timestamp=dates.stamp(at), edits=edits) for at, edits in days.items()]
