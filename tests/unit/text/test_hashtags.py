import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.shared.text.hashtags import MAX_HASHTAGS, hashtags


@pytest.mark.parametrize(
    ("comment", "tags"),
    [
        ("#1lib1ref added a source", ["1lib1ref"]),
        ("/* History */ fixed #WikiGap #wikigap", ["wikigap"]),
        ("/* See #3 and #notes */#afterwards", ["afterwards"]),
        ("＃編集大会", ["編集大会"]),  # noqa: RUF001
        ("#ＷＩＫＩ", ["wiki"]),  # noqa: RUF001
        ("#विकि_लव्स", ["विकि_लव्स"]),
        ("Revert ([[WP:CSD#G10|CSD #speedy]])", ["speedy"]),
        ("see [[Page#Section]] and [[#Top]]", []),
        ("[[Page name #notatag]]", []),
        ("http://example.org/ #yes not http://example.org/#no", ["yes"]),
        ("word#no", []),
        ("##no", []),
        ("#REDIRECT [[Elsewhere]]", []),
        ("#Weiterleitung", []),
        ("#if #switch: #invoke:Foo", []),
        ("Warning #3, #2015", []),
        ("#a", []),
        ("colour #00ff7f or #0f0", []),
        ("#decade", ["decade"]),
        ("#temporary_batch_1746257662150 #quickstatements", ["quickstatements"]),
        ("#wi\u200bki\u202e", ["wiki"]),
        ("", []),
    ],
)
def test_hashtags_of_a_comment(comment: str, tags: list[str]) -> None:
    assert hashtags(comment) == tags


def test_hashtags_are_bounded() -> None:
    many = hashtags(" ".join(f"#tag{i}" for i in range(1000)))
    assert many == [f"tag{i}" for i in range(MAX_HASHTAGS)]
    (long,) = hashtags("#" + "x" * 1000)
    assert len(long) == 64


@settings(deadline=None)
@given(st.text(st.sampled_from("#＃a1_ [|]/*\n京\u0301\u200b\ud800Iİ")) | st.text())  # noqa: RUF001
def test_any_comment_gives_clean_tags(comment: str) -> None:
    tags = hashtags(comment)
    assert len(set(tags)) == len(tags) <= MAX_HASHTAGS
    for tag in tags:
        assert 1 < len(tag) <= 64
        assert tag == tag.lower()
        assert tag.isprintable()
        assert not set("# []|") & set(tag)


def test_real_comments_have_the_tags_they_show(recordings: Path) -> None:
    found: set[str] = set()
    for path in sorted(recordings.glob("events-*.jsonl.gz")):
        for line in gzip.decompress(path.read_bytes()).splitlines():
            found.update(hashtags(json.loads(line).get("comment") or ""))
    assert found == {"wikid", "quickstatements", "iabot", "ucb_category"}
