"""A batch of the log -> what the speed view takes. Pure; milliseconds a thousand, so in a thread."""

from dataclasses import dataclass

from services.shared import decode, documents
from services.shared.domain.change import Canary, Rejected
from services.shared.domain.positions import Vector
from services.shared.log.port import Batch, Record
from services.shared.speedview.port import Indexed


class Defect(Exception):
    """The log holds what can't be understood, though whatever enters it was understood before."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Arguments of `SpeedView.write`. Canaries are no documents, but `until` is beyond them."""

    documents: tuple[Indexed, ...]
    since: Vector
    until: Vector
    times: Vector


def prepare(batch: Batch) -> Prepared:
    found = tuple(indexed for record in batch.records if (indexed := _indexed(record)))
    return Prepared(found, batch.since, batch.until, batch.times)


def _indexed(record: Record) -> Indexed | None:
    change = decode.parse(record.raw)
    if isinstance(change, Canary):
        return None
    if isinstance(change, Rejected):
        raise Defect(
            f"log position {record.partition}:{record.offset} ({record.key}):"
            f" {change.reason} {change.detail}".rstrip()
        )
    return Indexed(
        record.partition,
        record.offset,
        record.appended_at,
        documents.document(change),
        documents.search_terms(change),
    )
