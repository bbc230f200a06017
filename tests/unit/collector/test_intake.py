"""Sorting frames: everything is counted where it goes."""

import json

from hypothesis import given
from hypothesis import strategies as st

from services.collector.filters import Filters
from services.collector.intake import Intake
from services.collector.source.port import Frame
from tests.unit.collector.events import CANARY, event

_KINDS = [event(1), event(2, type="log"), event(3, namespace=4), CANARY, b"", b"{", b"\xff"]
_PAYLOADS = st.lists(st.lists(st.sampled_from(_KINDS), max_size=5), max_size=5)


@given(_PAYLOADS)
def test_received_is_appended_filtered_and_rejected(frames: list[list[bytes]]) -> None:
    filters = Filters(types=("edit",), namespaces=(0,))
    whole = Intake()
    for number, payloads in enumerate(frames):
        intake, frame = Intake(), Frame(tuple(payloads), str(number))
        intake.take(frame, range(len(payloads)), "source", filters)
        assert not intake  # nothing to append before its cursor is in
        intake.close(frame)
        whole.extend(intake)
    tally = whole.tally
    filtered, rejected = (
        sum(n for name, n in tally.items() if name.startswith(f"{kind}."))
        for kind in ("filtered", "rejected")
    )
    assert tally["received"] == sum(map(len, frames))
    assert tally["received"] == tally["appended"] + filtered + rejected
    assert (len(whole.entries), len(whole.deadletters)) == (tally["appended"], rejected)
    assert len(whole) == tally["appended"] + rejected
    assert whole.cursor == (str(len(frames) - 1) if frames else None)
    assert bool(whole) == bool(frames)


def test_newest_is_the_latest_event_time_that_was_taken() -> None:
    payloads = [event(5), event(9, type="log"), event(2), json.dumps([]).encode()]
    intake = Intake()
    frame = Frame(tuple(payloads), "c")
    intake.take(frame, range(len(payloads)), "source", Filters(types=("edit",)))
    assert intake.newest == 1_500_000_005


def test_what_is_cut_is_too_large_and_its_whole_size_is_told() -> None:
    intake = Intake()
    frame = Frame((event(1), event(2)[:20]), "c", cut={1: 2_000_000})
    intake.take(frame, range(2), "source", Filters())
    (letter,) = intake.deadletters
    assert (letter.reason, letter.raw) == ("too_large", event(2)[:20])
    assert "2000000 bytes" in letter.detail
    assert len(intake.entries) == 1
