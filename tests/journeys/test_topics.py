"""Topics over a stream whose themes are known: they are found, they add up, and they keep on doing so."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.journeys import harness

SPAN = {"start": "20260101", "end": "20260201"}


def test_known_themes_are_found_and_everything_adds_up(tmp_path: Path) -> None:
    recording, truth = harness.simulate(tmp_path, 12_000)
    data = tmp_path / "data"
    harness.up(recording, data)
    edits = sum(truth["edits"]["by_editor_class"].values())
    with harness.running("serve", "--data", data, *harness.ANY_PORT) as serving:
        url = serving.url(data)
        answer = harness.get(url, "/v1/topics", **SPAN)
        told = harness.bvw("topics", "--json", "--data", data).json()
        assert told["model"] == answer["model"], "the command asks whoever serves"
        assert answer["edits"] == edits
        assert sum(row["edits"] for row in answer["topics"]) + answer["none"]["edits"] == edits
        assert answer["model"]["verdict"] in {"clear", "scattered"}
        assert answer["model"]["silhouette"] > 0.25
        assert answer["model"]["largest_share"] < 0.5

        themes = truth["theme_of_page"]
        right = counted = 0
        found = set()
        for row in answer["topics"]:
            detail = harness.get(url, f"/v1/topics/{row['id']}", limit=1000, **SPAN)
            assert sum(of["edits"] for of in detail["classes"]) == row["edits"]
            assert sum(sum(day["edits"].values()) for day in detail["course"]) == row["edits"]
            known = (themes[page["project"]][page["title"]] for page in detail["pages"])
            of = Counter(theme for theme in known if theme != "none")
            if of:
                ((theme, most),) = of.most_common(1)
                found.add(theme)
                right, counted = right + most, counted + of.total()
        everything = {theme for pages in themes.values() for theme in pages.values()} - {"none"}
        assert found == everything, "each theme is what some topic is about"
        assert right / counted > 0.7, "and a page of a topic is mostly about its theme"


def test_topics_add_up_while_changes_come_in(tmp_path: Path) -> None:
    """Each answer by itself, however many generations and models are published between two of them."""
    data = tmp_path / "data"
    with harness.running(
        "up", "--source", "demo", "--data", data, *harness.ANY_PORT,
        batch_every="1s", first_batch_after="1s",
    ) as up:  # fmt: skip
        url = up.url(data)
        seen = set()

        def look() -> bool:
            answer = harness.get(url, "/v1/topics", allow="partial")
            total = sum(row["edits"] for row in answer["topics"]) + answer["none"]["edits"]
            assert total == answer["edits"]
            same = {"at": answer["meta"]["at"], "allow": "partial", "granularity": "daily"}
            span = {"start": answer["start"][:10], "end": answer["end"][:10]}
            share = harness.get(
                url, "/v1/share", **same, **{k: v.replace("-", "") for k, v in span.items()}
            )
            assert share["edits"] == total
            seen.add(answer["model"] and answer["model"]["id"])
            return len(seen) > 1 and answer["topics"] != []

        up.until(look, "has a model", within=180)
        assert up.stop() == 0
