"""An export is what the API counts, row by row, wherever the horizon lies; as a file it is only data."""

from __future__ import annotations

import csv
import io
from collections import Counter
from datetime import date
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest

from services.serving import export, formats
from services.serving.answers import Answers
from services.serving.api import dates
from services.serving.api.problems import ProblemError
from services.serving.export import Cell, Export
from services.serving.pins import Pins
from services.shared.cache.embedded import MemoryCache
from services.shared.domain.views import Document, rows_of
from tests.unit.serving import made
from tests.unit.serving.made import World, get


@pytest.fixture(params=[0, 100, 240])
async def filled(request: pytest.FixtureRequest, world: World) -> World:
    """Of 240 changes so many are in the batch layer, the others in the speed layer."""
    changes = made.documents(240)
    if request.param:
        await world.append(changes[: request.param])
        await world.publish()
    await world.append(changes[request.param :])
    await world.follow()
    return world


async def begin(world: World, name: str, **given: str) -> Export:
    pins = Pins(world.log, world.speed, world.batch, world.clock, live=0)
    answers = Answers(world.speed, world.batch, MemoryCache())
    return await export.begin(pins, answers, world.clock, name, given)


async def rows(begun: Export) -> list[dict[str, Cell]]:
    return [
        dict(zip(begun.kinds, row, strict=True)) async for piece in begun.rows() for row in piece
    ]


async def written(begun: Export, form: str) -> bytes:
    file = io.BytesIO()
    writer = formats.FORMATS[form](file, begun)
    async for piece in begun.rows():
        writer.write(piece)
    writer.close()
    return file.getvalue()


@pytest.mark.parametrize("name", export.VIEWS)
async def test_every_row_is_the_recount_of_it_in_pieces_of_any_size(
    filled: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = await begin(filled, name)
    assert begun.meta.completeness == "exact"
    view = begun.view
    counted = rows_of(view, filled.where(lambda _: True))
    found = await rows(begun)
    assert len(found) == len(counted)
    for row in found:
        day = row["day"]
        assert isinstance(day, date)
        key = {**row, "day": int(f"{day:%Y%m%d}")}
        if name == "edits":
            key["hour"] = int(row["hour"].timestamp()) // 3600  # type: ignore[union-attr]
        measures = counted[tuple(key[column] for column in view.keys)]  # type: ignore[misc]
        assert tuple(row[column] for column in view.measures) == measures
    assert found == sorted(found, key=lambda row: (str(row["day"]), str(row["project"])))
    monkeypatch.setattr(export, "PIECE", 1)
    assert await rows(await begin(filled, name)) == found


async def test_its_sums_are_those_of_the_api_at_the_same_token(filled: World) -> None:
    begun = await begin(filled, "edits", project="pt.wikipedia.org", start="20240229")
    found = await rows(begun)
    await filled.append(made.documents(50, seed=8))
    await filled.follow()
    path = "/metrics/edits/aggregate/pt.wikipedia/all-editor-types/all-page-types/daily"
    async with filled.served() as client:
        body = await get(client, f"{path}/20240229/20240302?at={begun.meta.at}")
    answered = {row["timestamp"]: row["edits"] for row in body["items"][0]["results"]}
    counted: Counter[str] = Counter()
    for row in found:
        if row["type"] in {"edit", "new"}:
            counted[f"{row['day']}T00:00:00.000Z"] += int(str(row["edits"]))
    assert counted == answered
    again = await begin(filled, "edits", project="pt.wikipedia", start="20240229", at=begun.meta.at)
    assert await rows(again) == found, "and so is the export at that token"


async def test_what_the_api_refuses_is_refused(world: World) -> None:
    await world.append(made.documents(10))
    await world.follow()
    for given, status in (
        ({"project": "xx.wikipedia"}, 404),
        ({"start": "tomorrow"}, 400),
        ({"start": "20240302", "end": "20240301"}, 400),
        ({"at": "?"}, 400),
    ):
        with pytest.raises(ProblemError) as problem:
            await begin(world, "edits", **given)
        assert problem.value.status == status
    token = (await begin(world, "edits")).meta.at
    await world.speed.begin(world.log.identity, world.until, None, text_version=1)
    with pytest.raises(ProblemError) as problem:
        await begin(world, "edits", at=token)
    assert problem.value.status == 410
    with pytest.raises(ProblemError) as problem:
        await begin(world, "edits")
    assert problem.value.status == 503
    partial = await begin(world, "edits", allow="partial")
    assert (partial.meta.completeness, await rows(partial)) == ("partial", [])


@pytest.mark.parametrize("name", export.VIEWS)
async def test_every_format_has_the_same_rows(filled: World, name: str) -> None:
    begun = await begin(filled, name)
    found = await rows(begun)
    document = msgspec.json.decode(await written(begun, "json"))
    assert document["meta"] == msgspec.to_builtins(begun.meta)
    assert document[name] == [msgspec.to_builtins(row) for row in found]
    table = pq.read_table(io.BytesIO(await written(begun, "parquet")))
    assert table.to_pylist() == found
    assert msgspec.json.decode(table.schema.metadata[b"bvw"]) == document["meta"]
    lines = list(csv.DictReader(io.StringIO((await written(begun, "csv")).decode())))
    assert lines == [{column: _text(cell) for column, cell in row.items()} for row in found]


def _text(cell: Cell) -> str:
    if isinstance(cell, bool):
        return str(cell).lower()
    return formats.defused(cell) if isinstance(cell, str) else _plain(cell)


def _plain(cell: Any) -> str:
    return dates.stamp(cell).replace(".000Z", "Z") if hasattr(cell, "hour") else str(cell)


@pytest.mark.parametrize(
    "title", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\uff1d1+1", "\uff20x"]
)
async def test_no_spreadsheet_takes_a_title_for_a_formula(world: World, title: str) -> None:
    await world.append([Document(made.change(1, title=title, net_bytes=-5))])
    await world.follow()
    begun = await begin(world, "pages")
    (line,) = csv.DictReader(io.StringIO((await written(begun, "csv")).decode(), newline=""))
    assert (line["title"], line["net_bytes"]) == (f"'{title}", "-5")
    document = msgspec.json.decode(await written(begun, "json"))
    assert document["pages"][0]["title"] == title


def test_what_is_no_formula_stays_as_it_is() -> None:
    for text in ("", "Lisboa", "1=1", "'s-Hertogenbosch", "a\n=b"):
        assert formats.defused(text) == text
