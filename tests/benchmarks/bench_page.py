"""What the page of `roofsim explore` costs in a browser: ratios to a page that does nothing, in the same browser.

Opening is the time until everything is drawn in full, beside the time to open a blank page. Dragging is the frames a
second while the slider of the prompt moves in each of them with four models side by side, beside those of the same page
at rest; how often the charts in sight are drawn anew; and the processor time of the page's thread for a frame, which
other programs on the machine change least. Needs `chromium` and pins/page.txt; run it on a machine that does nothing
else:

    python tests/benchmarks/bench_page.py [page.html]

Without a page it writes the default one: 20 models, 8 devices, 4 runtimes.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

RUNS = 5
STEPS = 300
SETTLED = "document.documentElement.dataset.rested && !document.querySelector('.moving')"
BLANK = "data:text/html,<title>blank</title>"
DRAWN = """performance.getEntriesByName("drawn")[0]?.startTime
  ?? performance.getEntriesByType("navigation")[0].loadEventEnd"""
DRAG = """([frames, moves]) => new Promise((done) => {
  const range = document.getElementById("prompt");
  const drawn = { crossover: 0, roofline: 0, where: 0, memory: 0 };
  for (const key of Object.keys(drawn)) {
    const seen = new MutationObserver(() => (drawn[key] += 1));
    seen.observe(document.querySelector(`#${key} .figure`), { childList: true });
  }
  const at = [];
  const step = (now) => {
    at.push(now);
    if (at.length > frames) return done({ at, drawn });
    if (moves) {
      range.value = 200 + 120 * Math.sin(at.length / 12);
      range.dispatchEvent(new Event("input", { bubbles: true }));
    }
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})"""


def opening(browser: Any, address: str, wait: bool) -> float:
    """Seconds from asking for the page until it is drawn."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(address)
    if wait:
        page.wait_for_function(SETTLED)
    taken = page.evaluate(DRAWN)
    page.close()
    return float(taken) / 1000


def rate(page: Any, moves: bool) -> tuple[float, float, dict[str, float]]:
    """Frames a second, the longest between two of them, and redraws of each chart a second, while the slider moves."""
    found = page.evaluate(DRAG, [STEPS, moves])
    between = [later - earlier for earlier, later in pairwise(found["at"])]
    seconds = sum(between) / 1000
    return len(between) / seconds, max(between), {key: count / seconds for key, count in found["drawn"].items()}


def busy(metrics: Any) -> float:
    """Seconds of processor time that the page's thread has worked."""
    said = {row["name"]: row["value"] for row in metrics.send("Performance.getMetrics")["metrics"]}
    return float(said["TaskDuration"])


def main(arguments: list[str]) -> int:
    """Writes the page if none is given, and says what it costs."""
    from playwright.sync_api import sync_playwright  # here, since tests are collected where there is none

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
        idle, _, _ = rate(page, moves=False)
        metrics = page.context.new_cdp_session(page)
        metrics.send("Performance.enable", {"timeDomain": "threadTicks"})
        before = busy(metrics)
        dragged, longest, drawn = rate(page, moves=True)
        each = 1000 * (busy(metrics) - before) / STEPS
        said = f"{dragged:.0f} frames a second with {len(names)} models, {dragged / idle:.2f} of those at rest"
        print(f"dragging: {said}; the longest took {longest:.0f} ms")
        print(f"the page's thread: {each:.1f} ms of processor time for a frame")
        print("redraws a second: " + ", ".join(f"{key} {count:.0f}" for key, count in drawn.items()))
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
