"""Pages as numbers: TF-IDF of their words. Pure.

A word counts once for a page, and the more the fewer pages have it. What hardly any page has tells
nothing about others, and what a large part of them has tells nothing about any.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

from services.batch.sample import Described

LEAST_PAGES: Final = 3
MOST_OF_PAGES: Final = 0.3
MOST_WORDS: Final = 20_000

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Features:
    """`matrix` has a row of length 1 for each page and a column for each stem; `weights` are the stems'."""

    pages: tuple[Described, ...]
    stems: tuple[str, ...]
    weights: Numbers
    matrix: Any


def features(described: Sequence[Described]) -> Features | None:
    """The pages that have a word in common with others; None where there are none such."""
    vectorizer = TfidfVectorizer(
        analyzer=_stems,
        binary=True,
        min_df=LEAST_PAGES,
        max_df=MOST_OF_PAGES,
        max_features=MOST_WORDS,
    )
    try:
        matrix = vectorizer.fit_transform(described)
    except ValueError:  # no word is left
        return None
    covered = np.flatnonzero(matrix.getnnz(axis=1))
    pages = tuple(described[index] for index in covered.tolist())
    stems = tuple(map(str, vectorizer.get_feature_names_out()))
    return Features(pages, stems, vectorizer.idf_, matrix[covered])


def _stems(page: Described) -> list[str]:
    return [word.stem for word in page.words]
