"""Documents on their way into Elasticsearch and back, without a server."""

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shared.domain.views import Document, Word
from services.shared.speedview import fields, places
from services.shared.speedview.cluster import Cluster
from services.shared.speedview.port import Indexed
from tests.unit.speed.made import at, change, documents

PARTITIONS, OFFSETS = st.integers(0, 63), st.integers(0, (1 << 48) - 1)


@given(document=documents("a"), partition=PARTITIONS, offset=OFFSETS)
def test_a_document_comes_back_as_it_went_in(
    document: Document, partition: int, offset: int
) -> None:
    found = Indexed(partition, offset, 1_000, document)
    action, source = map(json.loads, fields.written(found).splitlines())
    assert fields.indexed(action["index"]["_id"], source) == found
    assert source.keys() == fields.MAPPING["properties"].keys(), "the mapping is strict"


def test_equal_words_stay_apart_and_in_order() -> None:
    words = (Word("a", "A"), Word("b", "B"), Word("a", "A"), Word("a", "A"))
    found = Indexed(0, 1, 1_000, Document(change(), words, ("x", "y", "x")))
    action, source = map(json.loads, fields.written(found).splitlines())
    assert len(set(source["words"])) == 4
    assert fields.indexed(action["index"]["_id"], source) == found


@given(numbers=st.lists(st.integers(-(2**53), 2**53)))
def test_sums_of_parts_are_the_parts_of_sums(numbers: list[int]) -> None:
    """And each part stays far below what floating point adds exactly."""
    parts = [fields.parts(number) for number in numbers]
    assert all(abs(part) <= 1 << 27 for pair in parts for part in pair)
    assert fields.whole(sum(h for h, _ in parts), sum(low for _, low in parts)) == sum(numbers)


@given(earlier=OFFSETS, later=OFFSETS)
def test_the_version_grows_as_the_position_falls(earlier: int, later: int) -> None:
    def version(offset: int) -> int:
        target = json.loads(fields.written(at(0, offset, "a")).splitlines()[0])["index"]
        return int(target["version"])

    assert (version(earlier) > version(later)) == (earlier < later)
    assert 0 < version(later) < 1 << 63


@given(partition=PARTITIONS, offset=OFFSETS)
def test_a_place_is_a_position(partition: int, offset: int) -> None:
    assert places.position(places.place(partition, offset)) == (partition, offset)
    assert places.place(partition, offset) < 1 << 63


@pytest.mark.parametrize(
    ("url", "name", "authorization"),
    [
        ("http://es:9201", "http://es:9201/bvw", None),
        ("https://es/team-a", "https://es:9200/team-a", None),
        ("http://ana:s%40cret@es:9200/x/", "http://es:9200/x", "Basic YW5hOnNAY3JldA=="),
    ],
)
async def test_a_url_says_where_who_and_under_which_prefix(
    url: str, name: str, authorization: str | None
) -> None:
    cluster = await asyncio.to_thread(Cluster.of, url, api_key=None, ca_file=None)
    assert cluster.name == name, "which is shown and holds no secret"
    assert cluster.client._headers.get("authorization") == authorization
    await cluster.client.close()


async def test_a_key_is_sent() -> None:
    cluster = Cluster.of("http://es:9200", api_key="a2V5", ca_file=None)
    assert cluster.client._headers["authorization"] == "ApiKey a2V5"
    await cluster.client.close()


def test_an_authority_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ca_certs"):
        Cluster.of("https://es:9200", api_key=None, ca_file=tmp_path / "missing.pem")
