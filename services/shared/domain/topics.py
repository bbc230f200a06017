"""Topics: what a model says that a page is about, and the one `assign` that everybody uses.

A model is plain numbers: a vector for each word of its vocabulary with one weight per topic. A page
is about the topic that the vectors of its words add up to most. Batch assigns what it knows, serving
what batch does not know yet; for the same words both say the same, on any machine and in any order
of the words. A page none of whose words is known is about no topic, which is said and counted.

How a model came about (`services/batch`) is nothing that its users need to know. Topics of two
models have nothing to do with each other: ids are those of a model, and nothing that is summed up
ever stores one.
"""

import hashlib
import sys
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Literal, NamedTuple

NONE: Final = -1
"""About no topic."""

Verdict = Literal["clear", "scattered", "none"]
CLEAR: Final = "clear"
SCATTERED: Final = "scattered"
NO_TOPICS: Final = "none"
SUBSTANCE: Final = 0.5
"""Silhouettes above this are of clusters that are really there (Kaufman and Rousseeuw 1990); below,
what was found may well be an artefact of having looked."""
MOST: Final = 0.5
"""Where one topic takes more of the pages than this, it is the rest and not a topic."""
_ID_BYTES: Final = 6


class Page(NamedTuple):
    project: str
    title: str


@dataclass(frozen=True, slots=True)
class Topic:
    """What a topic shows of itself.

    `words` are its most distinctive ones in shown form, `titles` the pages nearest to its middle;
    `x` and `y`, from -1 to 1, its place on a map; `pages` how many of the sample are about it.
    """

    words: tuple[str, ...]
    titles: tuple[Page, ...]
    x: float
    y: float
    pages: int

    @property
    def label(self) -> str:
        return ", ".join(self.words[:3])


@dataclass(frozen=True)
class TopicModel:
    """`weights` holds a row for each word of the vocabulary, with a weight for each topic (see `packed`).

    `pages` is about how many distinct pages there were when it was made, `sample` how many of them
    were looked at and `covered` how many of those are about any topic. `silhouette` (cosine) and
    `largest_share` are of the covered ones. `text_version` made the words. `made_at` in ms.
    """

    id: str
    text_version: int
    made_at: int
    pages: int
    sample: int
    covered: int
    silhouette: float
    largest_share: float
    topics: tuple[Topic, ...]
    vocabulary: tuple[str, ...]
    weights: bytes

    def __post_init__(self) -> None:
        held, needed = len(self.numbers), len(self.vocabulary) * len(self.topics)
        if held != needed:
            raise ValueError(f"{held} weights, where words and topics need {needed}")

    @cached_property
    def numbers(self) -> "array[float]":
        """The weights as numbers, row after row."""
        numbers = array("f", self.weights)
        if sys.byteorder == "big":
            numbers.byteswap()
        return numbers

    @cached_property
    def rows(self) -> dict[str, int]:
        """Word -> its row."""
        return {stem: row for row, stem in enumerate(self.vocabulary)}

    @property
    def verdict(self) -> Verdict:
        if not self.topics:
            return NO_TOPICS
        clear = self.silhouette > SUBSTANCE and self.largest_share <= MOST
        return CLEAR if clear else SCATTERED


@dataclass(frozen=True, slots=True)
class PageMap:
    """The pages that batch knows, each with its topic under a model.

    It has the pages of the map `after` (of the same model; empty: of none) and its own. A map never
    changes, so an answer that stands on one can be asked again.
    """

    id: str
    model: str
    after: str = ""


def assign(model: TopicModel, stems: Iterable[str]) -> int:
    """The number of the topic that the words are about, the lowest of equals; `NONE` if no word is
    known. Neither order nor repetitions matter.
    """
    known = model.rows
    rows = sorted({known[stem] for stem in stems if stem in known})
    if not rows or not model.topics:
        return NONE
    width, numbers = len(model.topics), model.numbers
    vectors = [numbers[row * width : (row + 1) * width] for row in rows]
    sums = list(map(sum, zip(*vectors, strict=True)))
    return sums.index(max(sums))


def packed(weights: Iterable[float]) -> bytes:
    """Weights as a model stores them: 32-bit floats, the least byte first."""
    numbers = array("f", weights)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def identified(model: TopicModel) -> TopicModel:
    """The model under the id that its content, and when it was made, give it."""
    seen = hashlib.blake2b(digest_size=_ID_BYTES)
    for part in (model.text_version, model.made_at, model.pages, *model.vocabulary):
        seen.update(f"{part}\n".encode())
    seen.update(model.weights)
    return replace(model, id=seen.hexdigest())
