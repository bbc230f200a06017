"""What counts, what is rejected and why, and that nothing makes `parse` raise."""

import gzip
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.shared import decode
from services.shared.decode import LARGEST_EVENT, REASONS, parse
from services.shared.domain.change import Canary, Change, Rejected

EDIT: dict[str, Any] = {
    "$schema": "/mediawiki/recentchange/1.0.0",
    "meta": {
        "uri": "https://pt.wikipedia.org/wiki/Bras%C3%ADlia",
        "id": "0cd16e4e-7e5f-4d5b-9a0f-4d7e0f9a1b2c",
        "dt": "2015-09-12T00:46:58Z",
        "domain": "pt.wikipedia.org",
        "stream": "mediawiki.recentchange",
    },
    "id": 7,
    "type": "edit",
    "namespace": 0,
    "title": "Brasília",
    "comment": "/* História */",
    "timestamp": 1442018818,
    "user": "Alguém",
    "bot": False,
    "minor": True,
    "length": {"old": 100, "new": 142},
    "revision": {"old": 1, "new": 2},
    "server_name": "pt.wikipedia.org",
    "wiki": "ptwiki",
    "parsedcomment": "",
}


def raw(**fields: Any) -> bytes:
    """The edit with other fields; None takes a field away."""
    event = {**EDIT, **fields}
    return json.dumps({k: v for k, v in event.items() if v is not None}).encode()


def change(**fields: Any) -> Change:
    outcome = parse(raw(**fields))
    assert isinstance(outcome, Change), outcome
    return outcome


def reason(payload: bytes) -> str:
    outcome = parse(payload)
    assert isinstance(outcome, Rejected), outcome
    assert outcome.reason in REASONS
    return outcome.reason


def test_an_edit_is_understood() -> None:
    assert change() == Change(
        id="20150912:0cd16e4e-7e5f-4d5b-9a0f-4d7e0f9a1b2c",
        day=20150912,
        timestamp=1442018818,
        type="edit",
        project="pt.wikipedia",
        wiki="ptwiki",
        namespace=0,
        title="Brasília",
        user="Alguém",
        bot=False,
        minor=True,
        net_bytes=42,
        comment="/* História */",
        revision=2,
        editor_class="user",
        page_class="content",
    )


def test_recordings_are_understood_whole(recordings: Path) -> None:
    rejected = [
        outcome
        for file in sorted(recordings.glob("events-*.jsonl.gz"))
        for line in gzip.decompress(file.read_bytes()).splitlines()
        if isinstance(outcome := parse(line), Rejected)
    ]
    assert rejected == []


def test_a_canary_has_an_id_without_a_day_and_needs_nothing_else() -> None:
    meta = {"id": "c-1", "domain": "canary", "stream": "mediawiki.recentchange"}
    assert parse(json.dumps({"$schema": "/x", "meta": meta}).encode()) == Canary("c-1")


@pytest.mark.parametrize(
    "params", [[], ["a", "b"], {"4": 1}, {"4": "x", "nested": {"a": [1]}}, "text", None, 7]
)
def test_log_params_may_be_of_any_shape(params: object) -> None:
    logged = change(type="log", log_params=params, log_id=0, id=None, length=None, revision=None)
    assert (logged.type, logged.net_bytes, logged.revision) == ("log", 0, 0)


@pytest.mark.parametrize(
    ("given", "type_"),
    [
        (0, "edit"),
        (1, "new"),
        (3, "log"),
        (5, "external"),
        (6, "categorize"),
        (142, "other"),
        ("odd" * 20, "other"),
    ],
)
def test_type_may_be_a_number_or_an_unknown_word(given: object, type_: str) -> None:
    assert change(type=given).type == type_


@pytest.mark.parametrize(
    ("domain", "project"),
    [
        ("www.wikidata.org", "wikidata"),
        ("commons.wikimedia.org", "commons.wikimedia"),
        ("EN.wikipedia.org", "en.wikipedia"),
        ("zh-min-nan.wikipedia.org", "zh-min-nan.wikipedia"),
    ],
)
def test_project_is_the_domain_as_the_analytics_api_writes_it(domain: str, project: str) -> None:
    assert change(meta={"domain": domain}).project == project


def test_old_events_without_meta_count_under_their_hash() -> None:
    old = change(meta=None)
    assert old.project == "pt.wikipedia"
    assert old.id.startswith("20150912:h:")
    assert change(**{"$schema": None}, meta={**EDIT["meta"], "schema_uri": "x"}) == change()


@pytest.mark.parametrize("odd", ["", "x" * 129, "naïve", "two\nlines", 7, {"a": 1}, [], None])
def test_an_unusable_meta_id_is_replaced_by_the_hash(odd: object) -> None:
    payload = raw(meta={**EDIT["meta"], "id": odd})
    outcome = parse(payload)
    assert isinstance(outcome, Change)
    assert outcome.id == f"20150912:h:{hashlib.sha256(payload).hexdigest()}"


def test_absent_fields_have_a_meaning() -> None:
    bare = change(namespace=None, user=None, bot=None, minor=None, comment=None, wiki=None)
    assert (bare.namespace, bare.user, bare.bot, bare.minor) == (-1, "", False, False)
    assert (bare.comment, bare.wiki, bare.page_class) == ("", "", "non-content")
    assert parse(json.dumps({**EDIT, "user": None, "bot": None}).encode()) == change(
        user=None, bot=None
    )


@pytest.mark.parametrize(
    ("length", "net"),
    [({"new": 5}, 5), ({"old": 9, "new": 5}, -4), ({"old": 9}, 0), ({}, 0), ([], 0), (None, 0)],
)
def test_net_bytes(length: object, net: int) -> None:
    assert change(length=length).net_bytes == net
    assert change(length=length, type="categorize").net_bytes == 0


@pytest.mark.parametrize(
    ("user", "bot", "editor_class"),
    [
        ("Cluebot", False, "name-bot"),
        ("Cluebot", True, "group-bot"),
        ("192.0.2.7", False, "anonymous"),
        ("2001:DB8::1", False, "anonymous"),
        ("~2026-12345-67", True, "anonymous"),
        ("Botany", False, "user"),
    ],
)
def test_editor_class(user: str, bot: bool, editor_class: str) -> None:
    assert change(user=user, bot=bot).editor_class == editor_class


def test_texts_are_bounded_and_without_nul_or_lone_surrogates() -> None:
    long = change(title="t" * 600, user="u" * 600, comment="c" * 2000, wiki="w" * 600)
    assert [len(text) for text in (long.title, long.user, long.comment, long.wiki)] == [
        512,
        255,
        1024,
        64,
    ]
    payload = raw(title="TITLE", user="a\0b").replace(
        b"TITLE", rb"\ud800x\udc00\\ud800\ud83d\ude00\ud83d\ud83d\ude00"
    )
    outcome = parse(payload)
    assert isinstance(outcome, Change)
    assert outcome.title == "\ufffdx\ufffd\\ud800😀\ufffd😀"
    assert outcome.user == "a\ufffdb"
    assert outcome.title.encode()


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"timestamp": None}, "no_timestamp"),
        ({"timestamp": 0}, "day_out_of_range"),
        ({"timestamp": 4102444800}, "day_out_of_range"),
        ({"type": None}, "no_type"),
        ({"type": ""}, "no_type"),
        ({"meta": {}, "server_name": None}, "no_project"),
        ({"meta": {"domain": "evil.example/<script>"}}, "no_project"),
        ({"meta": {"domain": ".org"}}, "no_project"),
        ({"title": None}, "no_title"),
        ({"title": "", "type": "new"}, "no_title"),
        ({"title": 7}, "invalid_field"),
        ({"timestamp": "1442018818"}, "invalid_field"),
        ({"timestamp": 1442018818.5}, "invalid_field"),
        ({"timestamp": 10**30}, "invalid_field"),
        ({"bot": "yes"}, "invalid_field"),
        ({"namespace": 2**53 + 1}, "invalid_field"),
        ({"length": {"new": 2**60}}, "invalid_field"),
        ({"length": [1]}, "invalid_field"),
        ({"meta": "x"}, "invalid_field"),
    ],
)
def test_what_a_change_needs_must_be_there_and_right(fields: dict[str, Any], why: str) -> None:
    assert reason(raw(**fields)) == why


def test_the_detail_names_the_field() -> None:
    outcome = parse(raw(length={"old": "many", "new": 1}))
    assert isinstance(outcome, Rejected)
    assert "$.length.old" in outcome.detail


def test_a_log_entry_needs_no_title() -> None:
    assert change(type="log", title=None).title == ""


@pytest.mark.parametrize(
    "field", ["id", "patrolled", "parsedcomment", "log_id", "server_url", "surprise"]
)
def test_fields_that_are_not_needed_may_be_anything(field: str) -> None:
    values: list[object] = [None, 10**400, [], {"a": {"b": [1.5]}}, "text", True]
    for value in values:
        assert change(**{field: value}) == change(**{field: 1})


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", "not_json"),
        (b"   ", "not_json"),
        (b"{", "not_json"),
        (b"\xef\xbb\xbf" + raw(), "not_json"),
        (raw() + b" x", "not_json"),
        (raw()[:-1] + b',"x":NaN}', "not_json"),
        (raw(title=7)[:-1], "not_json"),
        (b"[", "not_json"),
        (b"[]", "not_object"),
        (b"null", "not_object"),
        (b'"text"', "not_object"),
        (b"3", "not_object"),
        (raw() + b"\xff", "not_utf8"),
        (raw().replace(b"pt", b"\xed\xa0\x80"), "not_utf8"),
        (b" " * (LARGEST_EVENT + 1), "too_large"),
    ],
)
def test_what_is_no_event(payload: bytes, why: str) -> None:
    assert reason(payload) == why


def test_the_last_of_equal_keys_counts() -> None:
    outcome = parse(raw()[:-1] + b',"title":"Lisboa"}')
    assert isinstance(outcome, Change)
    assert outcome.title == "Lisboa"


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
@pytest.mark.parametrize("field", [b"title", b"meta", b"log_params", b"surprise"])
def test_deep_nesting_is_rejected_in_any_field(opening: bytes, field: bytes) -> None:
    assert reason(raw()[:-1] + b',"' + field + b'":' + opening * 100_000) == "too_deep"


def test_the_callers_stack_does_not_decide() -> None:
    """Just within the bound counts everywhere, just beyond it nowhere."""
    within = (
        raw()[:-1] + b',"x":' + b"[" * (decode.DEEPEST - 1) + b"]" * (decode.DEEPEST - 1) + b"}"
    )
    beyond = raw()[:-1] + b',"x":' + b"[" * decode.DEEPEST + b"]" * decode.DEEPEST + b"}"

    def under(frames: int, payload: bytes) -> object:
        return parse(payload) if frames == 0 else under(frames - 1, payload)

    deep = sys.getrecursionlimit() // 2
    assert under(0, within) == under(deep, within)
    assert isinstance(under(deep, within), Change)
    assert reason(beyond) == "too_deep"


def test_brackets_in_texts_are_no_nesting() -> None:
    for text in ("[[" * 400, '"' + "[" * 400, '\\"' + '{"' * 400, "\\" + "[" * 400):
        assert change(comment=text).comment == text


def test_a_megabyte_of_quotes_is_judged_in_no_time() -> None:
    """An unclosed text full of escaped quotes would take a naive scan hours."""
    assert reason(b"[" * 101 + b'"' + rb"\"" * 500_000) in {"not_json", "too_deep"}


@given(st.binary(max_size=400))
def test_no_bytes_make_it_raise(payload: bytes) -> None:
    outcome = parse(payload)
    assert outcome == parse(payload)
    assert not isinstance(outcome, Rejected) or outcome.reason in REASONS


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.text(st.characters(categories=("Cs", "Cc"))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
_FIELDS = st.sampled_from([*EDIT, "log_params", "length.new"])


@settings(max_examples=300)
@given(st.dictionaries(_FIELDS, _VALUES, max_size=4), st.integers(0, 3000))
def test_no_event_makes_it_raise(fields: dict[str, Any], cut: int) -> None:
    payload = json.dumps({**EDIT, **fields}).encode()
    outcome = parse(payload)
    assert outcome == parse(payload)
    parse(payload[:cut])
    if isinstance(outcome, Change):
        assert outcome.id.startswith(f"{outcome.day}:")
        msgspec.json.encode([outcome.title, outcome.user, outcome.comment, outcome.wiki])
