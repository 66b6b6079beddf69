"""What the page of `roofsim explore` costs in a browser: ratios to a page that does nothing, in the same browser.

Opening is the time until everything is drawn in full, beside the time to open a blank page. Dragging is the frames a
second while the slider of the prompt moves with four models side by side, beside those of the same page at rest. Needs
`chromium` and pins/page.txt; run it on a machine that does nothing else:

    python tests/benchmarks/bench_page.py [page.html]

Without a page it writes the default one: 20 models, 8 devices, 4 runtimes.
"""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Browser, sync_playwright

RUNS = 5
STEPS = 240
SETTLED = "document.documentElement.dataset.rested && !document.querySelector('.moving')"
BLANK = "data:text/html,<title>blank</title>"
DRAWN = """performance.getEntriesByName("drawn")[0]?.startTime
  ?? performance.getEntriesByType("navigation")[0].loadEventEnd"""
FRAMES = """() => {
  window.frames_ = [];
  const note = (at) => { frames_.push(at); requestAnimationFrame(note); };
  requestAnimationFrame(note);
}"""


def opening(browser: Browser, address: str, wait: bool) -> float:
    """Seconds from asking for the page until it is drawn."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(address)
    if wait:
        page.wait_for_function(SETTLED)
    taken = page.evaluate(DRAWN)
    page.close()
    return float(taken) / 1000


def rate(page: Any, moves: bool) -> tuple[float, float]:
    """Frames a second, and the longest time between two of them, while the slider moves or nothing does."""
    box = page.locator("#prompt").bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, y)
    if moves:
        page.mouse.down()
    page.evaluate(FRAMES)
    for step in range(STEPS):
        if moves:
            page.mouse.move(box["x"] + box["width"] * (0.5 + 0.3 * math.sin(step / 12)), y)
        else:
            page.wait_for_timeout(8)
    frames = page.evaluate("frames_")
    if moves:
        page.mouse.up()
    between = [later - earlier for earlier, later in pairwise(frames)]
    return 1000 * len(between) / sum(between), max(between)


def main(arguments: list[str]) -> int:
    """Writes the page if none is given, and says what it costs."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(arguments[0]) if arguments else Path(folder) / "page.html"
        if not arguments:
            subprocess.run([sys.executable, "-m", "roofsim", "explore", "--quiet", "-o", str(file)], check=True)
        print(f"size: {file.stat().st_size / 1e6:.2f} MB")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        address = file.absolute().as_uri()
        blank = median(opening(browser, BLANK, wait=False) for _ in range(RUNS))
        full = median(opening(browser, address, wait=True) for _ in range(RUNS))
        print(f"opening: {full:.2f} s until all is drawn, {full / blank:.0f} times a blank page")
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.goto(address)
        page.wait_for_function(SETTLED)
        names = page.evaluate("roofsim.models.map((model) => model.name)")[:4]
        page.evaluate(f"location.hash = 'models={','.join(names)}'")
        page.wait_for_timeout(400)
        page.wait_for_function(SETTLED)
        idle, _ = rate(page, moves=False)
        dragged, longest = rate(page, moves=True)
        said = f"{dragged:.0f} frames a second with {len(names)} models, {dragged / idle:.2f} of those at rest"
        print(f"dragging: {said}; the longest took {longest:.0f} ms")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
