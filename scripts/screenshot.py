"""Makes the pictures of the README, docs/page.png and docs/phone.png, from simulated changes.

.venv/bin/python scripts/screenshot.py

Runs `bvw up` over the simulator in a directory of its own, waits until a batch run has found topics,
and takes the page from its head to the end of the map, and its first screens on a dark phone.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, expect, sync_playwright

MARGIN = 20
PATIENCE = 300_000  # ms until the first batch run has ended
WIDE, NARROW = 1280, 390
PHONE_SCREENS = 1_560  # px


@contextmanager
def serving(data: Path) -> Iterator[str]:
    """The address of a `bvw up` over the simulator."""
    command = [sys.executable, "-m", "services.cli.main", "up", "--source", "demo"]
    command += ["--data", str(data), "--port", "0", "--metrics-port", "0"]
    with subprocess.Popen(  # noqa: S603 - our own command
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            for line in process.stdout or ():
                if found := re.search(r"Bots vs Wiki: (http://\S+)", line):
                    yield found[1]
                    return
            sys.exit("bvw up did not say where it serves")
        finally:
            process.terminate()
            process.communicate()


def opened(browser: Browser, url: str, width: int, scheme: Literal["light", "dark"]) -> Page:
    """The page once numbers, charts, lists and topics are there."""
    page = browser.new_page(viewport={"width": width, "height": 1000}, color_scheme=scheme)
    page.goto(url)
    page.locator("#topic-pages li").first.wait_for(timeout=PATIENCE)
    expect(page.locator("#freshness")).to_contain_text(" ago", timeout=PATIENCE)
    page.locator("#map-chart svg").wait_for()
    page.locator("#course-chart svg path").first.wait_for()
    expect(page.locator("main [aria-busy]")).to_have_count(0)
    return page


def picture(page: Page, file: Path, height: int) -> None:
    width = (page.viewport_size or {"width": WIDE})["width"]
    page.set_viewport_size({"width": width, "height": height})
    page.screenshot(path=file, animations="disabled")


def take(folder: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("no chromium on the PATH; Debian: apt-get install chromium")
    with (
        tempfile.TemporaryDirectory() as place,
        serving(Path(place) / "data") as url,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = opened(browser, url, WIDE, "light")
        end = page.locator("#map").evaluate("map => map.getBoundingClientRect().bottom")
        picture(page, folder / "page.png", round(end) + MARGIN)
        picture(opened(browser, url, NARROW, "dark"), folder / "phone.png", PHONE_SCREENS)
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("docs"))
    take(parser.parse_args().folder)


if __name__ == "__main__":
    main()
