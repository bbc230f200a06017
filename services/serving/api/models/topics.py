"""What `/v1/topics` answers: topics by edits, and one of them."""

from typing import Literal

import msgspec

from services.serving.api.models.ours import Course, Meta


class PageRow(msgspec.Struct, frozen=True):
    project: str
    title: str


class TopicCounts(msgspec.Struct, frozen=True):
    """Edits of pages, by whom; `share` is their part of all edits asked for (0 to 1)."""

    edits: int
    bots: int
    humans: int
    share: float


class TopicRow(msgspec.Struct, frozen=True):
    """A topic, or `none`: pages that none of the model's words says anything about.

    `id` is of this model: another model's topics have other ids. `label` are the first of its `words`,
    the most distinctive ones; `titles` are pages nearest to its middle. `x` and `y`, from -1 to 1, are its
    place on a map where related topics lie near each other.
    """

    id: str
    label: str
    words: list[str]
    titles: list[PageRow]
    x: float
    y: float
    edits: int
    bots: int
    humans: int
    share: float


class TopicModelRow(msgspec.Struct, frozen=True):
    """What the topics were found by, and how well.

    Of about `pages` pages `sample` were looked at, and `covered` of these are about any topic. `silhouette`
    (-1 to 1) says how much nearer a page is to its own topic than to the next one, `largest_share` how
    many of the covered pages the largest topic has (0 to 1). `verdict` is what these two mean: `clear`,
    `scattered`, or `none` where no topics were found.
    """

    id: str
    made_at: str
    text_version: int
    pages: int
    sample: int
    covered: int
    silhouette: float
    largest_share: float
    verdict: Literal["clear", "scattered", "none"]


class TopicsAnswer(msgspec.Struct, frozen=True):
    """Topics by edits, most first. The edits of `topics` and of `none` are `edits`, always.

    `model` is null while there is none; `note` says in words what the reader should know of it.
    """

    meta: Meta
    project: str
    start: str
    end: str
    edits: int
    model: TopicModelRow | None
    note: str
    topics: list[TopicRow]
    none: TopicCounts


class TopicPage(msgspec.Struct, frozen=True):
    rank: int
    project: str
    title: str
    edits: int


class TopicClass(msgspec.Struct, frozen=True):
    """Edits of an editor class; `share` is its part of the topic's edits (0 to 1)."""

    name: str
    edits: int
    share: float


class TopicAnswer(msgspec.Struct, frozen=True):
    """One topic: by editor class, day by day (edits by editor class), and its pages by edits."""

    meta: Meta
    project: str
    start: str
    end: str
    model: TopicModelRow | None
    note: str
    topic: TopicRow
    distinct_pages: int
    classes: list[TopicClass]
    course: list[Course]
    pages: list[TopicPage]
