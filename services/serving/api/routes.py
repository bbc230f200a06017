"""Every question that can be asked, in one table."""

from typing import Final

from services.serving.api import aqs, changes, parameters, share, texts, topics
from services.serving.api.models import aqs as aqs_models
from services.serving.api.models import ours
from services.serving.api.models import topics as topics_models
from services.serving.api.parameters import (
    CALENDAR,
    DAY,
    EDITOR_TYPE,
    END,
    GRANULARITY,
    LEVEL,
    MONTH,
    PAGE_TYPE,
    PROJECT,
    Q_BY,
    Q_CHANGES_END,
    Q_CHANGES_START,
    Q_CURSOR,
    Q_EDITOR,
    Q_END,
    Q_GRANULARITY,
    Q_LIMIT,
    Q_NAMESPACES,
    Q_PROJECT,
    Q_SHARE_TYPES,
    Q_START,
    Q_TYPES,
    Q_WORDS,
    START,
    TOPIC,
    YEAR,
)
from services.serving.api.route import Route

_WHO: Final = (PROJECT, EDITOR_TYPE, PAGE_TYPE)
_STEPS: Final = (*_WHO, GRANULARITY, START, END)
_DISTINCT: Final = (*_WHO, LEVEL, CALENDAR, START, END)
_TOP: Final = (*_WHO, YEAR, MONTH, DAY)
_SPAN: Final = (Q_PROJECT, Q_START, Q_END)
_CHANGES_SPAN: Final = (Q_PROJECT, Q_CHANGES_START, Q_CHANGES_END)
_TEXTS: Final = (Q_PROJECT, Q_EDITOR, Q_START, Q_END, Q_LIMIT)

_SERIES_PATH: Final = "aggregate/{project}/{editor-type}/{page-type}/{granularity}/{start}/{end}"
_DISTINCT_PATH: Final = (
    "aggregate/{project}/{editor-type}/{page-type}/{activity-level}/{granularity}/{start}/{end}"
)
_TOP_PATH: Final = "top-by-edits/{project}/{editor-type}/{page-type}/{year}/{month}/{day}"

ROUTES: Final = (
    Route(
        f"/metrics/edits/{_SERIES_PATH}",
        "Edits per step of time.",
        (*_STEPS, parameters.TYPE),
        aqs_models.EditsAnswer,
        aqs.edits,
    ),
    Route(
        f"/metrics/bytes-difference/net/{_SERIES_PATH}",
        "Bytes added minus bytes removed by edits, per step of time.",
        _STEPS,
        aqs_models.NetBytesAnswer,
        aqs.net_bytes,
    ),
    Route(
        f"/metrics/bytes-difference/absolute/{_SERIES_PATH}",
        "Bytes added plus bytes removed by edits, per step of time.",
        _STEPS,
        aqs_models.AbsoluteBytesAnswer,
        aqs.absolute_bytes,
    ),
    Route(
        f"/metrics/edited-pages/{_DISTINCT_PATH}",
        "Distinct pages that were edited, per day or month.",
        _DISTINCT,
        aqs_models.EditedPagesAnswer,
        aqs.edited_pages,
    ),
    Route(
        f"/metrics/editors/{_DISTINCT_PATH}",
        "Distinct editors, per day or month.",
        _DISTINCT,
        aqs_models.EditorsAnswer,
        aqs.editors,
    ),
    Route(
        f"/metrics/edited-pages/{_TOP_PATH}",
        "The 100 pages with most edits of a day or month.",
        _TOP,
        aqs_models.TopPagesAnswer,
        aqs.top_pages,
    ),
    Route(
        f"/metrics/editors/{_TOP_PATH}",
        "The 100 editors with most edits of a day or month.",
        _TOP,
        aqs_models.TopEditorsAnswer,
        aqs.top_editors,
    ),
    Route(
        "/v1/share",
        "How much is done by whom, and its course.",
        (*_SPAN, Q_BY, Q_SHARE_TYPES, Q_GRANULARITY),
        ours.ShareAnswer,
        share.share,
    ),
    Route(
        "/v1/agreement",
        "Edits by whether the bot flag is set and whether the name says bot.",
        _SPAN,
        ours.AgreementAnswer,
        share.agreement,
    ),
    Route(
        "/v1/words/top",
        "The words of edited titles by edits.",
        _TEXTS,
        ours.WordsAnswer,
        texts.top_words,
    ),
    Route(
        "/v1/hashtags/top",
        "The hashtags of comments by edits.",
        _TEXTS,
        ours.HashtagsAnswer,
        texts.top_hashtags,
    ),
    Route(
        "/v1/topics",
        "The topics of pages, by edits.",
        _SPAN,
        topics_models.TopicsAnswer,
        topics.topics,
    ),
    Route(
        "/v1/topics/{topic}",
        "One topic: who edits it, when, and which pages.",
        (TOPIC, *_SPAN, Q_LIMIT),
        topics_models.TopicAnswer,
        topics.topic,
    ),
    Route(
        "/v1/changes",
        "The newest changes, searched and filtered.",
        (*_CHANGES_SPAN, Q_EDITOR, Q_TYPES, Q_NAMESPACES, Q_WORDS, Q_LIMIT, Q_CURSOR),
        ours.ChangesAnswer,
        changes.changes,
    ),
    Route(
        "/v1/projects",
        "Projects with their edits in the span.",
        (Q_START, Q_END),
        ours.ProjectsAnswer,
        texts.projects,
    ),
    Route(
        "/v1/span",
        "First and last event day with changes.",
        (),
        ours.SpanAnswer,
        texts.span,
    ),
)
