"""Makes docs/page.png, the picture in the README, from a `bvw up` that is running.

bvw up --source path/to/recentchange.jsonl.gz &
.venv/bin/python scripts/screenshot.py http://127.0.0.1:8080 docs/page.png
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright


def picture(url: str, file: Path, *, browser: str, width: int, height: int, scheme: str) -> None:
    """The top of the page once its numbers and its chart are there."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        context = opened.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
            device_scale_factor=1.5,
        )
        page = context.new_page()
        page.goto(url)
        page.wait_for_selector("#course-chart svg path")
        page.wait_for_function("!document.querySelector('main [aria-busy]')")
        file.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=file, animations="disabled")
        opened.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:8080")
    parser.add_argument("file", nargs="?", type=Path, default=Path("docs/page.png"))
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=1260)
    parser.add_argument("--scheme", choices=("light", "dark"), default="light")
    given = parser.parse_args()
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        sys.exit("no chromium on the PATH; Debian: apt-get install chromium")
    picture(
        given.url,
        given.file,
        browser=browser,
        width=given.width,
        height=given.height,
        scheme=given.scheme,
    )


if __name__ == "__main__":
    main()
