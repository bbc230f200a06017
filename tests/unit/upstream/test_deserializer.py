"""What JavaScript makes of a message. The cases were compared with Node 20."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collector.upstream import deserializer

META = '"topic":"t","partition":0,"offset":5'


def handed_on(raw: str | bytes) -> str | None:
    data = deserializer.handed_on(raw.encode() if isinstance(raw, str) else raw, "t", 0, 5)
    return None if data is None else data.decode()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ('{"meta":{"offset":1,"id":"x","topic":"o"},"b":1}',
         '{"meta":{"offset":5,"id":"x","topic":"t","partition":0},"b":1}'),
        ('{ "b" : [ 1 , 2 ] }', '{"b":[1,2],"meta":{%s}}'),
        ('{"meta":null,"b":1}', '{"meta":{%s},"b":1}'),
        ('{"meta":[1],"b":1}', '{"meta":[1],"b":1}'),
        ('{"meta":"text"}', None),
        ("[1, 2]", "[1,2]"),
        ("null", None),
        ("5", None),
        ('"text"', None),
        ("", None),
        ("{", None),
        ('{"a":NaN}', None),
        ("\ufeff{}", None),
        ('{"a":"\\u00e9\\/\\u2028\\u007f\\u0001"}', '{"a":"é/\u2028\x7f\\u0001","meta":{%s}}'),
        ('{"a":"\\ud800"}', '{"a":"\\ud800","meta":{%s}}'),
        ('{"a":1.0,"b":-0,"c":1e3,"d":12345678901234567890,"e":1e400,"f":0.5}',
         '{"a":1,"b":0,"c":1000,"d":12345678901234567000,"e":null,"f":0.5,"meta":{%s}}'),
        ('{"b":1,"10":2,"2":3,"01":4}', '{"2":3,"10":2,"b":1,"01":4,"meta":{%s}}'),
        ('{"a":1,"b":2,"a":3}', '{"a":3,"b":2,"meta":{%s}}'),
    ],
)  # fmt: skip
def test_an_event_comes_out_as_javascript_writes_it(raw: str, expected: str | None) -> None:
    assert handed_on(raw) == (expected.replace("%s", META) if expected else expected)


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert handed_on(b'{"a":"\xff"}') == f'{{"a":"\ufffd","meta":{{{META}}}}}'


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 53), 1 << 53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), JSON))
def test_nothing_but_meta_changes(event: dict[str, object]) -> None:
    event.pop("meta", None)
    data = handed_on(json.dumps(event))
    assert data
    read = json.loads(data)
    assert read.pop("meta") == {"topic": "t", "partition": 0, "offset": 5}
    assert read == event


@given(st.binary() | st.recursive(st.just(b"1"), lambda inner: inner.map(lambda b: b"[%b]" % b)))
def test_it_takes_any_bytes(raw: bytes) -> None:
    deserializer.handed_on(raw, "t", 0, 5)


def test_nesting_without_end_is_skipped() -> None:
    assert handed_on("[" * 100_000) is None
