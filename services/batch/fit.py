"""Pages -> a topic model, in a process of its own: `python -m services.batch.fit`.

The libraries that find topics take more memory than all the rest and are needed for seconds, so they
live and die with this process. It reads a `Task` (`sample`) and writes a `TopicModel`, both as MessagePack, and
takes no more than one processor.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import msgspec
import numpy as np
from threadpoolctl import threadpool_limits

from services.batch.cluster import Clusters, clusters
from services.batch.features import Features, Numbers, features
from services.batch.sample import Described, Task
from services.shared.domain.topics import Page, Topic, TopicModel, identified, packed

_WORDS: Final = 8
_TITLES: Final = 5


def model(task: Task) -> TopicModel:
    """The model of a sample; one without topics where there is nothing to tell apart."""
    of = features(task.sample)
    found = clusters(of) if of else None
    made = TopicModel(
        id="",
        text_version=task.text_version,
        made_at=task.made_at,
        pages=task.pages,
        sample=len(task.sample),
        covered=0,
        silhouette=0.0,
        largest_share=0.0,
        topics=(),
        vocabulary=(),
        weights=b"",
    )
    return identified(_with_topics(made, of, found) if of and found else made)


def _with_topics(made: TopicModel, of: Features, found: Clusters) -> TopicModel:
    topics = tuple(_topics(of, found))
    return replace(
        made,
        covered=len(found.pages),
        silhouette=found.silhouette,
        largest_share=topics[0].pages / len(found.pages),
        topics=topics,
        vocabulary=tuple(of.stems[index] for index in found.stems.tolist()),
        weights=packed(found.word_weights.ravel().tolist()),
    )


def _topics(of: Features, found: Clusters) -> Iterator[Topic]:
    has = (of.matrix > 0).astype(float)
    everywhere = np.asarray(has.mean(axis=0)).ravel()
    for number, place in enumerate(found.on_map):
        labelled = np.flatnonzero(found.labels == number)
        nearest_first = labelled[np.argsort(-found.closeness[labelled], kind="stable")]
        own = found.pages[nearest_first].tolist()
        within = np.asarray(has[own].mean(axis=0)).ravel()
        pages = [of.pages[index] for index in own]
        yield Topic(
            words=_shown(pages, _distinctive(of, within, everywhere)),
            titles=_titles(pages),
            x=float(place[0]),
            y=float(place[1]),
            pages=len(own),
        )


def _distinctive(of: Features, within: Numbers, everywhere: Numbers) -> list[str]:
    """Stems by how much more often they are within than everywhere, weighted by how often that is."""
    scores = within * np.log(np.maximum(within, 1e-12) / everywhere)
    best = np.argsort(-scores, kind="stable")[:_WORDS]
    return [of.stems[index] for index in best if scores[index] > 0]


def _shown(pages: Sequence[Described], stems: Sequence[str]) -> tuple[str, ...]:
    """Each stem in the form in which it is seen most on the pages, the first of equals."""
    forms = Counter(word for page in pages for word in page.words)
    ranked = sorted(forms, key=lambda word: (-forms[word], word.form))
    form: dict[str, str] = {}
    for word in ranked:
        form.setdefault(word.stem, word.form)
    return tuple(form[stem] for stem in stems)


def _titles(pages: Sequence[Described]) -> tuple[Page, ...]:
    """The first pages; a title that several projects have counts once."""
    titles: dict[str, Page] = {}
    for page in pages:
        titles.setdefault(page.title, Page(page.project, page.title))
    return tuple(titles.values())[:_TITLES]


def main() -> None:
    task = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Task)
    with threadpool_limits(1):
        made = model(task)
    sys.stdout.buffer.write(msgspec.msgpack.encode(made))


if __name__ == "__main__":
    main()
