"""Makes docs/page.png, the picture in the README, from a recording.

.venv/bin/python scripts/screenshot.py path/to/recentchange.jsonl.gz

Runs `bvw up` over the recording in a directory of its own, waits until a batch run has ended, and
takes the page from its head to the end of the most edited pages.
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

from playwright.sync_api import Page, expect, sync_playwright

MARGIN = 20
PATIENCE = 120_000  # ms until the first batch run has ended


@contextmanager
def serving(recording: Path, data: Path) -> Iterator[str]:
    """The address of a `bvw up` over the recording."""
    command = [sys.executable, "-m", "services.cli.main", "up", "--source", str(recording)]
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


def picture(page: Page, url: str, file: Path, width: int) -> None:
    """Once numbers, chart and lists are there."""
    page.goto(url)
    page.get_by_text(re.compile("everything that was read is counted · batch run")).wait_for(
        timeout=PATIENCE
    )
    page.wait_for_selector("#course-chart svg path")
    expect(page.locator("main [aria-busy]")).to_have_count(0)
    end = page.locator("#pages").evaluate("pages => pages.getBoundingClientRect().bottom")
    page.set_viewport_size({"width": width, "height": round(end) + MARGIN})
    file.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=file, animations="disabled")


def take(recording: Path, file: Path, *, width: int, scheme: Literal["light", "dark"]) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        sys.exit("no chromium on the PATH; Debian: apt-get install chromium")
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(recording, Path(folder) / "data") as url,
        sync_playwright() as playwright,
    ):
        opened = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = opened.new_page(viewport={"width": width, "height": 1000}, color_scheme=scheme)
        picture(page, url, file, width)
        opened.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("recording", type=Path)
    parser.add_argument("file", nargs="?", type=Path, default=Path("docs/page.png"))
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--scheme", choices=("light", "dark"), default="light")
    given = parser.parse_args()
    take(given.recording, given.file, width=given.width, scheme=given.scheme)


if __name__ == "__main__":
    main()
