"""Which pages are about the same: clusters of directions. Pure, and the same every time.

Words are drawn together by the company that they keep: how much more often two of them meet on a page
than chance would have it (pointwise mutual information), of which only what is well above chance is
kept, as vectors (a truncated SVD; Levy and Goldberg 2014). A name that goes with everything has a short
vector and says little, however frequent it is. A page's direction is the TF-IDF sum of its words'
vectors, so pages can be close without a word in common. K-means clusters the directions.

A page belongs to the centre whose direction is nearest to its own. That is a sum over its words, so
`word_weights` are all that is needed to tell it for any page.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.manifold import MDS
from sklearn.metrics import silhouette_score
from sklearn.preprocessing import normalize

from services.batch.features import Features, Numbers

DIMENSIONS: Final = 80
KS: Final = (4, 8, 16, 32, 64, 96)
NEARLY: Final = 0.05
"""Of divisions whose silhouettes differ by no more the finest is taken: it says more."""
PAGES_A_TOPIC: Final = 10
"""There are not so many topics that they have fewer pages than this, on average."""
_TRIED: Final = 5_000
_JUDGED: Final = 2_000
"""Pages that each k is tried with, and that a silhouette is taken of: it costs the square."""

Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Clusters:
    """`pages` and `stems` are the places of those of the features that anything can be said about.

    `labels` are the pages' clusters, the largest is 0; `closeness` how near each is to its centre
    (cosine). `on_map` are the clusters' places on a map, from -1 to 1.
    """

    pages: Places
    stems: Places
    labels: Places
    closeness: Numbers
    word_weights: Numbers
    on_map: Numbers
    silhouette: float


def clusters(of: Features) -> Clusters | None:
    """None where there are too few pages or words to tell anything apart."""
    vectors = _word_vectors(of.matrix)
    if vectors is None:
        return None
    summed = of.matrix @ vectors
    pages, stems = _directed(summed), _directed(vectors)
    directions = normalize(summed[pages])
    k = _best_k(directions)
    if k is None:
        return None
    centres = _centres(directions, k)
    closeness = directions @ centres.T
    return Clusters(
        pages=pages,
        stems=stems,
        labels=closeness.argmax(axis=1),
        closeness=closeness.max(axis=1),
        word_weights=(vectors[stems] @ centres.T) * of.weights[stems, None],
        on_map=_on_map(centres),
        silhouette=_silhouette(directions, centres),
    )


def _word_vectors(matrix: Any) -> Numbers | None:
    """A vector for each word, of length 0 where it keeps no company of its own."""
    has = (matrix > 0).astype(float)
    together = (has.T @ has).tocoo()
    apart = together.row != together.col
    one, other, pages = (each[apart] for each in (together.row, together.col, together.data))
    if not len(pages):
        return None
    totals = np.bincount(one, pages, minlength=matrix.shape[1])
    above_chance = np.log(pages * pages.sum() / (totals[one] * totals[other]))
    above_chance -= np.average(above_chance, weights=pages) / 2
    kept = above_chance > 0
    company = csr_matrix((above_chance[kept], (one[kept], other[kept])), together.shape)
    dimensions = min(DIMENSIONS, len(totals) - 1, int(np.count_nonzero(kept)))
    if dimensions < 2:
        return None
    svd = TruncatedSVD(dimensions, random_state=0)
    vectors: Numbers = svd.fit_transform(company) / np.sqrt(np.maximum(svd.singular_values_, 1e-12))
    return vectors


def _directed(vectors: Numbers) -> Places:
    return np.flatnonzero(np.linalg.norm(vectors, axis=1) > 1e-9)


def _best_k(directions: Numbers) -> int | None:
    tried = directions[:_TRIED]  # pages that come first are as good as any (`sample`)
    scores = {
        k: _silhouette(tried, _centres(tried, k)) for k in KS if k * PAGES_A_TOPIC <= len(tried)
    }
    best = max(scores.values(), default=0.0)
    return max((k for k, score in scores.items() if score >= best - NEARLY), default=None)


def _centres(directions: Numbers, k: int) -> Numbers:
    """The centres' directions, the largest cluster first."""
    found = KMeans(k, n_init=1, random_state=0).fit(directions)
    centres: Numbers = normalize(found.cluster_centers_)
    sizes = np.bincount((directions @ centres.T).argmax(axis=1), minlength=k)
    largest_first = np.argsort(-sizes, kind="stable")
    return centres[largest_first[: np.count_nonzero(sizes)]]


def _silhouette(directions: Numbers, centres: Numbers) -> float:
    """How much nearer pages are to their own cluster than to the next: -1 to 1."""
    judged = directions[:_JUDGED]
    labels = (judged @ centres.T).argmax(axis=1)
    if not 1 < len(np.unique(labels)) < len(judged):
        return -1.0
    return float(silhouette_score(judged, labels, metric="cosine"))


def _on_map(centres: Numbers) -> Numbers:
    """Near topics are near each other."""
    distances = np.clip(1 - centres @ centres.T, 0, 2)
    np.fill_diagonal(distances, 0)
    mds = MDS(metric="precomputed", init="random", n_init=1, random_state=0)
    places: Numbers = mds.fit_transform((distances + distances.T) / 2)
    return places / (np.abs(places).max() or 1.0)
