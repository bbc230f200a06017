"""Assigning pages to topics: the same for the same words, whoever asks and in whatever order."""

import random
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shared.domain import topics
from services.shared.domain.topics import NONE, Page, Topic, TopicModel, assign, identified, packed

STEMS = ("roma", "igrej", "bol", "gol", "x")
_weights = st.floats(-4, 4, width=32)


def model(weights: list[list[float]], vocabulary: tuple[str, ...] = STEMS) -> TopicModel:
    """A row of weights for each word."""
    width = len(weights[0]) if weights else 0
    shown = tuple(Topic((f"t{n}",), (Page("p", "T"),), 0.0, 0.0, 1) for n in range(width))
    numbers = packed(number for row in weights for number in row)
    return TopicModel("m", 1, 0, 9, 9, 9, 0.6, 0.2, shown, vocabulary[: len(weights)], numbers)


@st.composite
def models(draw: st.DrawFn) -> TopicModel:
    width = draw(st.integers(1, 4))
    row = st.lists(_weights, min_size=width, max_size=width)
    return model(draw(st.lists(row, min_size=1, max_size=len(STEMS))))


@given(models(), st.lists(st.sampled_from((*STEMS, "unknown")), max_size=8), st.randoms())
def test_a_page_is_about_what_its_words_add_up_to(
    made: TopicModel, stems: list[str], chance: random.Random
) -> None:
    width = len(made.topics)
    sums = [0.0] * width
    for row, stem in enumerate(made.vocabulary):
        if stem in stems:
            weights = made.numbers[row * width : (row + 1) * width]
            sums = [a + b for a, b in zip(sums, weights, strict=True)]
    known = set(stems) & set(made.vocabulary)
    assert assign(made, stems) == (sums.index(max(sums)) if known else NONE)
    repeated = [*stems, *stems]
    chance.shuffle(repeated)
    assert assign(made, repeated) == assign(made, stems)


def test_the_lowest_of_equals() -> None:
    assert assign(model([[1.0, 2.0, 2.0]]), ["roma"]) == 1
    assert assign(model([[1.0, 0.0], [0.0, 1.0]]), ["igrej", "roma"]) == 0


def test_where_no_word_is_known_there_is_no_topic() -> None:
    made = model([[1.0, 0.0]])
    assert assign(made, ["unknown"]) == assign(made, []) == NONE
    assert assign(model([]), ["roma"]) == NONE, "a model that has found nothing"


def test_a_model_is_what_its_content_is() -> None:
    one, other = identified(model([[1.0, 0.0]])), identified(model([[0.0, 1.0]]))
    assert one.id != other.id
    assert identified(replace(one, id="x")).id == one.id
    assert identified(replace(one, made_at=5)).id != one.id, "made again it is new, not old already"
    assert identified(replace(one, text_version=2)).id != one.id
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(one), type=TopicModel) == one


def test_weights_fit_words_and_topics() -> None:
    with pytest.raises(ValueError, match="2 weights, where words and topics need 4"):
        replace(model([[1.0, 0.0]]), vocabulary=("a", "b"))


@pytest.mark.parametrize(
    ("silhouette", "largest", "verdict"),
    [(0.51, 0.5, "clear"), (0.5, 0.2, "scattered"), (0.9, 0.51, "scattered")],
)
def test_scattered_is_called_scattered(silhouette: float, largest: float, verdict: str) -> None:
    made = replace(model([[1.0, 0.0]]), silhouette=silhouette, largest_share=largest)
    assert made.verdict == verdict
    assert model([]).verdict == topics.NO_TOPICS
