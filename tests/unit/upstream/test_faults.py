"""The language of faults: what it reads, and that a mistake is told in one line with the way out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collector.upstream import faults
from services.collector.upstream.faults import Retry
from services.shared.runtime.exits import Refused


def test_words_are_separated_by_blanks_lines_and_semicolons() -> None:
    script = faults.parse("cut=2s,300,reset; garbage=7\n  # a comment; agent\nstatus=503,2,date:2s")
    assert [fault.name for fault in script] == ["cut", "garbage", "status"]
    assert script[0].values == {"EVERY": 2.0, "TIMES": 300, "HOW": "reset"}
    assert script[1].values == {"EVENTS": 7, "TIMES": 10}
    assert script[2]["RETRY"] == Retry(2.0, as_date=True)


def test_every_may_be_a_time_or_a_number_of_events() -> None:
    by_time, by_count = faults.parse("cut=250ms cut=20")
    assert (by_time["EVERY"], type(by_time["EVERY"]) is int) == (0.25, False)
    assert (by_count["EVERY"], type(by_count["EVERY"]) is int) == (20, True)


def test_sizes_have_units() -> None:
    sizes = [fault["BYTES"] for fault in faults.parse("large=1,500 large=1,64kB large=1,2MB")]
    assert sizes == [500, 64_000, 2_000_000]


def test_an_empty_script_is_no_fault() -> None:
    assert faults.parse(" ;\n") == ()


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("cute=2s", "no fault 'cute'; did you mean cut?; accepted: status, html"),
        ("zzz", "no fault 'zzz'; accepted: status"),
        ("cut", "'cut' has no EVERY; accepted: cut=EVERY[,TIMES[,HOW]]"),
        ("cut=2x", "'2x' is no EVERY of cut; accepted: a duration such as 2s, or a number of"),
        ("cut=0", "'0' is no EVERY of cut"),
        ("cut=0s", "'0s' is no EVERY of cut"),
        ("cut=5,0", "'0' is no TIMES of cut; accepted: a number above 0"),
        ("cut=5,5,bang", "'bang' is no HOW of cut; accepted: fin or reset or end or any"),
        ("status=200", "'200' is no CODE of status; accepted: 400 to 599"),
        ("status=429,1,5", "'5' is no RETRY of status; accepted: 2s, date:2s or none"),
        ("redirect=300", "accepted: 301, 302, 307 or 308"),
        ("type=text", "accepted: a media type such as text/plain"),
        ("encode=br", "accepted: gzip or deflate"),
        ("silence=5,5", "'5' is no FOR of silence; accepted: a duration such as 250ms"),
        ("agent=1", "'agent=1' has a value too many; accepted: agent"),
        ("garbage=1,2,3", "'garbage=1,2,3' has a value too many; accepted: garbage=EVENTS[,TIMES]"),
        ("large=5,5GB", "'5GB' is no BYTES of large; accepted: a number of bytes such as 100"),
        ("mix=x", "'x' is no NUMBER of mix"),
    ],
)
def test_a_mistake_is_refused_in_one_line(script: str, says: str) -> None:
    with pytest.raises(Refused) as refused:
        faults.parse(script)
    assert refused.value.message.startswith("--faults: ")
    assert says in refused.value.message
    assert "\n" not in refused.value.message


@given(st.text(alphabet=st.sampled_from("cut=2s,; #\n0159mixbrdgate:")) | st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        faults.parse(text)
    except Refused as refused:
        assert "\n" not in refused.message  # noqa: PT017


@given(st.integers(0, 10**9 - 1))
def test_a_mix_is_a_script_of_several_faults_and_always_the_same(number: int) -> None:
    script = faults.drawn(number)
    parsed = faults.parse(script)
    assert 3 <= len({fault.name for fault in parsed}) == len(parsed) <= 6
    assert faults.parse(f"mix={number}") == parsed
    assert not {"expired", "agent", "limit"} & {fault.name for fault in parsed}


def test_mixes_draw_every_fault_that_a_client_can_live_with() -> None:
    drawn = {fault.name for number in range(200) for fault in faults.parse(f"mix={number}")}
    assert drawn == faults.SORTS.keys() - {"mix", "expired", "agent", "limit", "hang", "pause"}


def test_every_fault_is_described_with_its_values_and_defaults() -> None:
    lines = faults.described().splitlines()
    assert len(lines) == len(faults.SORTS)
    assert "cut=EVERY[,TIMES[,HOW]]" in lines[10]
    assert lines[10].endswith("(TIMES 10, HOW any)")
