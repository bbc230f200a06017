"""A batch of the log becomes documents at their positions; canaries become nothing."""

import gzip
from pathlib import Path

import pytest

from services.shared import decode, documents
from services.shared.domain.change import Change
from services.shared.log.port import Batch, Record
from services.speed.prepare import Defect, prepare
from tests.unit.speed.made import entry


def batch(*raws: bytes) -> Batch:
    records = tuple(Record(1, 10 + 2 * n, "key", 500 + n, raw) for n, raw in enumerate(raws))
    return Batch(records, (3, 10), (3, 99), (7, 8))


def test_documents_keep_their_positions_around_canaries() -> None:
    raws = [entry("a").raw, entry("c", domain="canary").raw, entry("b", title="Porto").raw]
    prepared = prepare(batch(*raws))
    assert [(d.partition, d.offset, d.appended_at) for d in prepared.documents] == [
        (1, 10, 500),
        (1, 14, 502),
    ]
    assert prepared.documents[1].terms == ("porto", "ana")
    assert [word.stem for word in prepared.documents[1].document.words] == ["port"]
    assert (prepared.until, prepared.times) == ((3, 99), (7, 8))


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"type":"edit"}', b"\xff"])
def test_what_is_no_change_is_a_defect_with_its_position(raw: bytes) -> None:
    with pytest.raises(Defect, match="log position 1:12 "):
        prepare(batch(entry("a").raw, raw))


def test_recorded_changes_become_the_documents_that_batch_makes(recordings: Path) -> None:
    with gzip.open(recordings / "events-dataplumbhub-2025.jsonl.gz") as file:
        raws = [line.rstrip(b"\n") for line in file]
    changes = [decode.parse(raw) for raw in raws]
    assert [found.document for found in prepare(batch(*raws)).documents] == [
        documents.document(change) for change in changes if isinstance(change, Change)
    ]
