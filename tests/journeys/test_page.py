"""The page in a real browser, on a real `bvw up`: what a reader sees is what the API says.

The recording is made here, with strangers' texts at their worst. Every page is watched: a dialog, a
report of the Content-Security-Policy, an error on the console or a request to another origin fails
the test, whatever else it looks at.
"""

from __future__ import annotations

import asyncio
import csv
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree as ET

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Locator, Page, Request, async_playwright, expect

from tests.journeys import harness
from tests.journeys.test_stream import following, upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")  # one browser, a context for each test

PATIENCE = 20_000  # ms that a look at the page may take on a busy machine
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "{{7*7}}",
    "\u202eexe.gpj",
    "javascript:alert(1)",
    "漢" * 85,
)
CLASSES = {
    "group-bot": ("Archiver", True),
    "name-bot": ("SpellBot", False),
    "anonymous": ("2001:db8::1", False),
    "user": ("Ana", False),
}
EVENTS = 102
EDITS = {"group-bot": 41, "name-bot": 9, "anonymous": 17, "user": 33}
START = 1_700_000_000  # 2023-11-14 22:13:20 UTC
WATCH = """
window.reports = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.reports.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""


def _event(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "meta": {"id": f"event-{number}", "domain": "pt.wikipedia.org"},
        "type": "edit",
        "namespace": 0,
        "title": f"Lugar {number % 7}",
        "comment": "",
        "timestamp": START + 20 * number,
        "user": "Ana",
        "bot": False,
        "minor": False,
        "length": {"old": 100, "new": 100 + number},
        "revision": {"old": number, "new": number + 1},
        "wiki": "ptwiki",
    } | fields


def _events() -> list[dict[str, Any]]:
    kinds = [kind for kind, edits in EDITS.items() for _ in range(edits)]
    who = [dict(zip(("user", "bot"), CLASSES[kind], strict=True)) for kind in kinds]
    events = [_event(number, **fields) for number, fields in enumerate(who)]
    for event, text in zip(events[: len(HOSTILE)], HOSTILE, strict=True):
        event |= {"title": text, "comment": f"{text} #{text}", "user": text}
    # A wiki that nobody knows gets no links; a log entry is no edit.
    other = {"meta": {"id": "elsewhere", "domain": "evil.example"}, "title": "Elsewhere"}
    return [*events, _event(300, **other), _event(301, type="log", title="Special:Log")]


@dataclass
class Served:
    url: str

    def get(self, path: str, **query: str) -> Any:
        return harness.get(self.url, path, **query)

    def has_everything(self) -> bool:
        status = self.get("/v1/status")
        return bool(status["caught_up"] and status["tallies"].get("received") == EVENTS)


@contextmanager
def _up(source: Path, data: Path) -> Iterator[Served]:
    """`bvw up` until everything of the recording can be seen."""
    with harness.running("up", "--source", source, "--data", data, *harness.ANY_PORT) as up:
        served = Served(up.url(data))
        up.until(served.has_everything, "everything can be seen")
        yield served


@dataclass
class Watched:
    page: Page
    origin: str
    wrong: list[str] = field(default_factory=list)

    async def open(self, path: str = "/") -> Page:
        await self.page.goto(self.origin + path)
        await expect(self.page.locator("#sentence .skeleton")).to_have_count(0, timeout=PATIENCE)
        return self.page

    async def finish(self) -> None:
        self.wrong += await self.page.evaluate("window.reports ?? []")
        assert not self.wrong


def _watch(page: Page, origin: str) -> Watched:
    watched = Watched(page, origin)

    def outside(request: Request) -> None:
        if not request.url.startswith((origin, "data:")):
            watched.wrong.append(f"request to {request.url}")

    page.on("request", outside)
    page.on("dialog", lambda dialog: watched.wrong.append(f"dialog: {dialog.message}"))
    page.on("pageerror", lambda error: watched.wrong.append(f"error: {error}"))
    page.on(
        "console",
        lambda message: (
            watched.wrong.append(f"console: {message.text}")
            if message.type in {"error", "warning"}
            else None
        ),
    )
    return watched


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    path = folder / "events.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in _events()), "utf-8")
    return path


@pytest.fixture(scope="module")
def served(recording: Path) -> Iterator[Served]:
    with _up(recording, recording.parent / "data") as served:
        yield served


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        await browser.close()


@asynccontextmanager
async def _browsing(browser: Browser, served: Served, **context: Any) -> AsyncIterator[Watched]:
    """A page that knows nothing of other tests."""
    async with await browser.new_context(**context) as fresh:
        page = await fresh.new_page()
        await page.add_init_script(WATCH)
        watched = _watch(page, served.url)
        yield watched
        await watched.finish()


@pytest_asyncio.fixture(loop_scope="module")
async def browse(browser: Browser, served: Served) -> AsyncIterator[Watched]:
    async with _browsing(browser, served) as watched:
        yield watched


def _number(text: str) -> int:
    return int(re.sub(r"\D", "", text))


async def test_the_sentence_and_the_chart_say_what_the_api_says(
    served: Served, browse: Watched
) -> None:
    page = await browse.open()
    share = served.get("/v1/share", start="20231114", end="20231116")
    edits = {group["name"]: group["edits"] for group in share["groups"]}
    assert edits == EDITS | {"user": EDITS["user"] + 1}, "and the one of the unknown wiki"

    bots = (edits["group-bot"] + edits["name-bot"]) / share["edits"]
    assert await page.inner_text("#sentence") == (
        f"{bots:.1%} of {share['edits']} edits were made by bots"
    )
    shown = await page.locator("#legend .value").all_inner_texts()
    order = ("group-bot", "name-bot", "anonymous", "user")
    assert [_number(text.split("·")[0]) for text in shown] == [edits[name] for name in order]

    marks = page.locator("#course-chart svg .mark-area path")
    await expect(marks).to_have_count(len(EDITS), timeout=PATIENCE)
    drawn = [await mark.bounding_box() for mark in await marks.all()]
    assert all(box and box["width"] > 100 and box["height"] > 5 for box in drawn)

    await page.click("#course .data summary")
    rows = page.locator("#course .data tbody tr")
    sums = [0] * len(EDITS)
    for row in await rows.all():
        cells = await row.locator("td").all_inner_texts()
        sums = [total + _number(cell) for total, cell in zip(sums, cells, strict=True)]
    assert sums == [edits[name] for name in order], "the chart's own table adds up to the sentence"


async def test_lists_equal_the_api(served: Served, browse: Watched) -> None:
    page = await browse.open("/?project=pt.wikipedia")
    for who in ("bots", "humans"):
        shown = page.locator(f"#pages [data-who={who}] li")
        await expect(shown.first).to_contain_text(re.compile(r"\d"), timeout=PATIENCE)
        answer = served.get(
            f"/metrics/edited-pages/top-by-edits/pt.wikipedia/{who}/all-page-types/2023/11/14"
        )
        top = answer["items"][0]["results"][0]["top"][:10]
        assert [await row.locator("bdi").text_content() for row in await shown.all()] == [
            row["page_title"] for row in top
        ]
        counts = await page.locator(f"#pages [data-who={who}] .count").all_inner_texts()
        assert list(map(_number, counts)) == [row["edits"] for row in top]

        column = page.locator(f"#words-columns [data-key={who}]")
        words = served.get(
            "/v1/words/top",
            project="pt.wikipedia", editor_type=who, start="20231114", end="20231115", limit="12",
        )  # fmt: skip
        await expect(column.locator("bdi")).to_have_text([w["word"] for w in words["words"][:8]])

    agreement = served.get("/v1/agreement", start="20231114", end="20231115")
    for cell in agreement["cells"]:
        key = f"{cell['flagged']} {cell['bot_name']}".lower()
        shown_cell = page.locator(f'[data-cell="{key}"] b')
        elsewhere = not cell["flagged"] and not cell["bot_name"]
        assert _number(await shown_cell.inner_text()) == cell["edits"] - elsewhere


async def test_strangers_texts_stay_text(browse: Watched) -> None:
    page = await browse.open("/?project=pt.wikipedia")
    await expect(page.locator("#pages [data-who=bots] li").first).to_be_visible(timeout=PATIENCE)
    while await page.locator("#older").is_visible():
        before = await page.locator("#feed li").count()
        await page.click("#older")
        await expect(page.locator("#feed li")).not_to_have_count(before, timeout=PATIENCE)
    await expect(page.locator("#feed li")).to_have_count(100, timeout=PATIENCE)
    titles = await page.locator("#feed .title bdi").all_text_contents()
    users = await page.locator("#feed .who bdi").all_text_contents()
    comments = await page.locator("#feed bdi.comment").all_text_contents()
    assert set(HOSTILE) <= set(titles)
    assert set(HOSTILE) <= set(users)
    assert {f"{text} #{text}" for text in HOSTILE} <= set(comments)
    assert await page.locator("main img, main [onload], main [onerror], #feed svg").count() == 0
    links = await page.locator("main a[target]").evaluate_all("all => all.map((a) => a.href)")
    assert links
    assert all(link.startswith("https://pt.wikipedia.org/") for link in links)


async def test_a_short_course_is_drawn_by_minutes_and_a_grown_one_by_hours_again(
    browse: Watched,
) -> None:
    page = await browse.open()
    await expect(page.locator("#course-note")).to_contain_text("by minute", timeout=PATIENCE)
    suited = """async ([granularity, steps]) => {
      const spans = await import("/static/span.js");
      const day = { start: Date.UTC(2023, 10, 14), end: Date.UTC(2023, 10, 15), granularity: "hourly" };
      const course = Array.from({ length: steps }, () => ({ edits: { user: 1 } }));
      return spans.suited(day, { granularity, course }, { minutesFrom: 0 });
    }"""
    assert await page.evaluate(suited, ["hourly", 3]) == "minutely"
    assert await page.evaluate(suited, ["hourly", 4]) == "hourly"
    assert await page.evaluate(suited, ["minutely", 180]) == "minutely"
    assert await page.evaluate(suited, ["minutely", 181]) == "hourly", "a stream has gone on"


async def test_an_unknown_wiki_gets_no_link(browse: Watched) -> None:
    page = await browse.open("/?project=evil.example")
    row = page.locator("#feed li")
    await expect(row.locator(".title")).to_have_text("Elsewhere", timeout=PATIENCE)
    assert await row.locator("a").count() == 0


async def test_choices_are_in_the_address_and_back_undoes_them(browse: Watched) -> None:
    page = await browse.open()
    await expect(page.locator("#project option")).to_have_count(3, timeout=PATIENCE)
    await page.select_option("#project", "evil.example")
    await expect(page.locator("#sentence")).to_have_text(
        "0.0% of 1 edit was made by bots", timeout=PATIENCE
    )
    assert page.url.endswith("/?project=evil.example")
    await page.go_back()
    await expect(page.locator("#sentence b")).to_have_text("101", timeout=PATIENCE)
    await expect(page.locator("#project")).to_have_value("all-projects")


async def test_a_span_without_edits_says_so_and_draws_nothing(browse: Watched) -> None:
    page = await browse.open("/?span=dates&first=2020-01-01&last=2020-01-02")
    await expect(page.locator("#sentence")).to_have_text(
        "No edits here in this span. Choose another span or project."
    )
    await expect(page.locator("#course")).to_be_hidden()
    await page.locator("#controls label", has_text="All").last.click()
    await expect(page.locator("#sentence b")).to_have_text("101", timeout=PATIENCE)
    marks = page.locator("#course-chart svg .mark-area path")
    await expect(marks).to_have_count(len(EDITS), timeout=PATIENCE)
    await expect(marks.first).to_be_visible()


async def test_search_finds_and_says_when_there_is_nothing(browse: Watched) -> None:
    page = await browse.open("/?q=Elsewhere")
    await expect(page.locator("#feed li")).to_have_count(1, timeout=PATIENCE)
    await expect(page.locator("#feed .title")).to_have_text("Elsewhere")
    await page.fill("#search [name=q]", "nobody wrote this")
    await expect(page.locator("#feed")).to_contain_text("Try fewer words", timeout=PATIENCE)
    await page.fill("#search [name=q]", "")
    await expect(page.locator("#feed li")).to_have_count(15, timeout=PATIENCE)


async def test_prove_it_recounts(browse: Watched) -> None:
    page = await browse.open()
    await page.click("#prove")
    verdict = page.locator("#verdict")
    await expect(verdict).to_contain_text("no difference", timeout=3 * PATIENCE)
    await expect(verdict).to_have_attribute("data-kind", "right")
    said = await verdict.inner_text()
    compared = re.match(r"([\d,]+) numbers compared with a recount of ([\d,]+) events", said)
    assert compared
    assert _number(compared[1]) > 100
    assert _number(compared[2]) == EVENTS


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_phone_shows_everything_without_scrolling_sideways(
    browser: Browser, served: Served, scheme: str
) -> None:
    viewport = {"width": 390, "height": 800}
    async with _browsing(browser, served, viewport=viewport, color_scheme=scheme) as watched:
        page = await watched.open()
        await expect(page.locator("#course-chart svg")).to_be_visible(timeout=PATIENCE)
        await expect(page.locator("main [aria-busy]")).to_have_count(0, timeout=PATIENCE)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390


async def test_a_server_that_is_gone_is_said_and_the_numbers_stay(
    browser: Browser, recording: Path
) -> None:
    async with await browser.new_context() as fresh:
        page = await fresh.new_page()
        with _up(recording, recording.parent / "other") as served:
            await page.goto(served.url)
            await expect(page.locator("#sentence b")).to_have_text("101", timeout=PATIENCE)
        await expect(page.locator("#trouble")).to_contain_text("does not answer", timeout=PATIENCE)
        await expect(page.locator("#sentence b")).to_have_text("101")


async def test_the_page_speaks_the_readers_language_until_they_choose_another(
    browser: Browser, served: Served
) -> None:
    async with _browsing(browser, served, locale="pt-BR") as watched:
        page = await watched.open("/?project=pt.wikipedia")
        await expect(page.locator("html")).to_have_attribute("lang", "pt-BR")
        await expect(page.locator("#sentence")).to_have_text(
            "50,0% de 100 edições foram feitas por robôs"
        )
        await page.click("#languages [lang=en]")
        await expect(page.locator("#sentence")).to_have_text(
            "50.0% of 100 edits were made by bots", timeout=PATIENCE
        )
        await expect(page.locator("html")).to_have_attribute("lang", "en")
        assert page.url.endswith("/?project=pt.wikipedia&lang=en"), "and looks at the same"


async def test_times_are_the_readers_and_tell_utc(browser: Browser, served: Served) -> None:
    async with _browsing(browser, served, timezone_id="America/Sao_Paulo") as watched:
        page = await watched.open("/?q=Elsewhere")
        time = page.locator("#feed li time")
        await expect(time).to_have_attribute("datetime", "2023-11-14T23:53:20.000Z")
        await expect(time).to_contain_text("20:53:20")
        await expect(time).to_have_attribute("title", re.compile("14 Nov 2023, 23:53:20 UTC"))
        await expect(page.locator("#zone")).to_contain_text("America/Sao_Paulo")


async def test_where_lists_the_projects_and_leads_to_them(served: Served, browse: Watched) -> None:
    page = await browse.open()
    rows = page.locator("#where li")
    await expect(rows).to_have_count(2, timeout=PATIENCE)
    projects = served.get("/v1/projects")["projects"]
    names = await rows.locator(".name").all_inner_texts()
    assert names == [row["project"] for row in projects]
    counts = await rows.locator(".count").all_inner_texts()
    assert list(map(_number, counts)) == [row["edits"] for row in projects]
    await rows.get_by_text("pt.wikipedia").click()
    await expect(page.locator("#project")).to_have_value("pt.wikipedia")
    await expect(page.locator("#sentence b")).to_have_text("100", timeout=PATIENCE)


async def test_what_is_drawn_can_be_taken_away(served: Served, browse: Watched) -> None:
    page = await browse.open("/?project=pt.wikipedia")
    await expect(page.locator("main [aria-busy]")).to_have_count(0, timeout=PATIENCE)
    figures = page.locator("details.data:visible")
    assert await figures.count() > 7
    for figure in await figures.all():
        await figure.locator("summary").click()
        await expect(figure.locator("tbody tr").first).to_be_visible()
        assert (await _saved(figure, "png")).startswith(b"\x89PNG")
        drawn = ET.fromstring(await _saved(figure, "svg"))
        assert drawn.tag.endswith("}svg")
        assert "".join(drawn.itertext()).strip()

    agreement = served.get("/v1/projects")["projects"]
    rows = _table(await _saved(page.locator("#where details"), "csv"))
    assert [int(row[1]) for row in rows] == [project["edits"] for project in agreement]
    editors = _table(await _saved(page.locator("#editors details"), "csv"))
    assert set(HOSTILE) < {row[2] for row in editors}


async def test_a_saved_cell_is_no_formula(browse: Watched) -> None:
    page = await browse.open()
    saved = await page.evaluate("""async () => {
      const { csv } = await import("/static/figures.js");
      const columns = [{ label: "a" }, { label: "b" }];
      return csv({ columns, rows: [["=1+1", -1], ["@x", 2], ['say "hi"', 3], ["-", 4]] }).text();
    }""")
    assert saved == 'a,b\r\n\'=1+1,-1\r\n\'@x,2\r\n"say ""hi""",3\r\n\'-,4\r\n'


async def _saved(figure: Locator, kind: str) -> bytes:
    async with figure.page.expect_download() as downloading:
        await figure.locator(f"[data-save={kind}]").click()
    download = await downloading.value
    assert download.suggested_filename.endswith(f".{kind}")
    return await asyncio.to_thread((await download.path()).read_bytes)


def _table(saved: bytes) -> list[list[str]]:
    return list(csv.reader(saved.decode().splitlines()))[1:]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
async def test_nothing_serious_is_in_a_readers_way(
    browser: Browser, served: Served, scheme: Literal["light", "dark"], width: int
) -> None:
    async with await browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True
    ) as fresh:
        page = await fresh.new_page()
        await page.goto(served.url)
        await expect(page.locator("#course-chart svg")).to_be_visible(timeout=PATIENCE)
        await expect(page.locator("main [aria-busy]")).to_have_count(0, timeout=PATIENCE)
        await page.locator("details").evaluate_all("all => all.forEach((one) => one.open = true)")
        await expect(page.locator("#course .data tbody tr").first).to_be_visible()
        found = (await Axe().run(page)).response["violations"]
    assert [
        (one["id"], [node["target"] for node in one["nodes"]])
        for one in found
        if one["impact"] in {"serious", "critical"}
    ] == []


async def test_the_newest_changes_come_by_themselves_until_the_reader_pauses(
    browser: Browser, tmp_path: Path
) -> None:
    with (
        upstream(tmp_path, "", events=20_000, pace=3) as fake,
        following(fake, tmp_path / "data") as up,
    ):
        url = await asyncio.to_thread(up.url, tmp_path / "data")
        async with _browsing(browser, Served(url)) as watched:
            page = await watched.open("/?span=all")
            await expect(page.locator("#changes > .note")).to_contain_text("live", timeout=PATIENCE)
            newest = page.locator("#feed li").first
            await _changes(newest)
            await page.click("#pause")
            await expect(page.locator("#changes > .note")).to_contain_text("paused")
            kept = await newest.get_attribute("data-key") or ""
            edits = await page.inner_text("#sentence b")
            await expect(page.locator("#sentence b")).not_to_have_text(edits, timeout=PATIENCE)
            await expect(newest).to_have_attribute("data-key", kept)
            await page.click("#pause")
            await _changes(newest)


async def _changes(row: Locator) -> None:
    key = await row.get_attribute("data-key") or ""
    await expect(row).not_to_have_attribute("data-key", key, timeout=PATIENCE)
