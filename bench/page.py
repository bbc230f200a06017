"""The page in a browser: from asking for it to the first numbers and the first chart, on a warm server.

Each load is a browsing context of its own, so nothing is cached. What the browser itself takes for
a page is measured beside it: the same bundle of Vega with a chart of the same size and nothing else.
"""

import shutil
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from playwright.sync_api import Browser, Page, sync_playwright

from bench import events, product
from bench.figures import Figure

EVENTS: Final = 20_000
LOADS: Final = 9
T = TypeVar("T")
_BARE: Final = """async () => {
  const { vegaEmbed } = await import("/static/vega.js");
  const values = Array.from({ length: 240 }, (_, at) => ({ at: at % 60, edits: at, class: String(at % 4) }));
  const encoding = { x: { field: "at", type: "quantitative" }, y: { field: "edits", type: "quantitative" },
    color: { field: "class" } };
  const chart = { width: 500, height: 230, data: { values }, mark: "area", encoding };
  const options = { mode: "vega-lite", renderer: "svg", ast: true, actions: false, defaultStyle: false };
  await vegaEmbed(document.documentElement, chart, options);
}"""


def figures() -> list[Figure]:
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        return []
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        recording, data = Path(place) / "events.jsonl", Path(place) / "data"
        recording.write_bytes(b"".join(raw + b"\n" for raw in events.simulated(EVENTS)))
        product.bvw("up", "--source", str(recording), "--data", str(data), "--port", "0",
                    "--metrics-port", "0", "--until-caught-up")  # fmt: skip
        with product.running("serve", data) as serving:
            opened = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
            rounds = [_round(opened, serving.url) for _ in range(LOADS)][1:]
            opened.close()
    numbers, chart, bare = (statistics.median(each) for each in zip(*rounds, strict=True))
    return [
        Figure("to the first numbers", numbers * 1e3, "ms"),
        Figure("to the first chart", chart * 1e3, "ms", "the bundle and a chart, nothing else",
               bare / chart, expected="< 1,500"),
    ]  # fmt: skip


def _round(browser: Browser, url: str) -> tuple[float, float, float]:
    """Seconds to the first numbers, to the first chart, and to a chart without the page."""

    def ours(page: Page) -> tuple[float, float]:
        page.goto(url, wait_until="commit")
        page.locator("#sentence strong").wait_for()
        numbers = _now(page)
        page.locator("#course-chart svg path").first.wait_for()
        return numbers, _now(page)

    def bare(page: Page) -> float:
        page.goto(url + "/openapi.json", wait_until="commit")
        page.evaluate(_BARE)
        return _now(page)

    return (*_alone(browser, ours), _alone(browser, bare))


def _alone(browser: Browser, work: Callable[[Page], T]) -> T:
    """In a context of its own, which has nothing of others."""
    with browser.new_context() as context:
        return work(context.new_page())


def _now(page: Page) -> float:
    """Since the page was asked for."""
    milliseconds: float = page.evaluate("performance.now()")
    return milliseconds / 1e3
