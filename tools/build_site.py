"""Builds the documentation as a site, offline, into build/site/html: `python tools/build_site.py`.

The pages are the files of docs/, the README, CONTRIBUTING and the changelog as they stand, in the order that
`roofsim/reports/docs/order.py` has. What only a site can show is added to a copy of them: navigation, below a console
the figures that its commands draw, and the notebooks, which are executed for it. Sphinx's warnings are errors, and so
is a link, an anchor or a picture of the built pages that leads nowhere, or anything that a page would fetch from the
network.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from check_site import problems
from site_pictures import with_pictures

from roofsim.reports.docs import order

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "site"
COPIED = ("docs", "data", "notebooks", "*.md", "LICENSE")
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"), key=lambda path: -path.stat().st_size)
PICTURES = "pictures"
"""The folder of what consoles leave."""
FILE = re.compile(r"\[([\w-]+\.md)\]\(((?:\.\./|docs/)*\1)")
"""A link that is called as the file that it leads to."""
HOME = '<!DOCTYPE html><meta charset="utf-8"><title>roofsim</title><meta http-equiv="refresh" content="0; url={to}">\n'


def stage(source: Path) -> None:
    """Copies the pages, in the layout of the checkout, so that links between them hold."""
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    for path in (path for pattern in COPIED for path in ROOT.glob(pattern)):
        (shutil.copytree if path.is_dir() else shutil.copy)(path, source / path.name)
    for path in source.rglob("*.md"):
        rewrite(path, for_the_site)


def rewrite(path: Path, change: Callable[[str], str]) -> None:
    """Changes the text of a page."""
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


def for_the_site(text: str) -> str:
    """A page without the line that leads on, which the site shows itself; links are called as what they lead to."""
    titles = {Path(page.path).name: page.title for page in order.pages()}
    text = FILE.sub(lambda link: f"[{titles.get(link[1], link[1])}]({link[2]}", order.plain(text))
    names = "|".join(path.stem for path in NOTEBOOKS)
    return re.sub(rf"\(((?:\.\./|notebooks/)*)({names})\.ipynb\)", r"(\1\2.md)", text)


def execute(folder: Path) -> list[str]:
    """Executes the notebooks, and writes their pages into `folder`; what went wrong."""
    command = [sys.executable, str(ROOT / "tools" / "run_notebooks.py"), "-o", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [done.stderr or done.stdout] if done.stderr or done.returncode else []


def illustrate(docs: Path) -> None:
    """Adds to consoles what their commands leave to look at."""
    (docs / PICTURES).mkdir()
    for path in docs.glob("*.md"):
        rewrite(path, lambda text, name=path.stem: with_pictures(text, name, docs / PICTURES))


def navigate(docs: Path) -> None:
    """Adds navigation: of the index by chapters, of pages to those that they list."""
    for chapter in order.ORDER:
        entries = [f"{page.title} <{page.path.removesuffix('.md')}>" for page in chapter.pages]
        rewrite(docs / order.INDEX, lambda text, c=chapter, e=entries: text + toctree(e, f":caption: {c.title}"))
    for page in (page for page in order.pages() if page.below):
        start = (docs / page.path).parent
        entries = [os.path.relpath(docs / each, start).removesuffix(".md") for each in order.listed(page, docs)]
        rewrite(docs / page.path, lambda text, e=entries: text + toctree(e))


def toctree(entries: list[str], *options: str) -> str:
    """Navigation that the page itself does not show."""
    return "\n".join(["\n```{toctree}", ":hidden:", *options, "", *entries, "```\n"])


def main(arguments: list[str]) -> int:
    """Builds and checks; the exit code."""
    if arguments:
        sys.stderr.write(__doc__)
        return 2
    from sphinx.cmd.build import build_main

    began = time.perf_counter()
    source, site = BUILD / "source", BUILD / "html"
    stage(source)
    with ThreadPoolExecutor(1) as beside:
        executed = beside.submit(execute, source / "notebooks")
        illustrate(source / "docs")
        wrong = executed.result()
    navigate(source / "docs")
    ran = time.perf_counter()
    shutil.rmtree(site, ignore_errors=True)
    options = ["-b", "html", "-q", "-W", "--keep-going", "-E", "-j", "auto", "-d", str(BUILD / "doctrees")]
    failed = build_main([*options, "-c", str(source / "docs"), str(source), str(site)])
    (site / "index.html").write_text(HOME.format(to=f"docs/{order.INDEX.replace('.md', '.html')}"), encoding="utf-8")
    for path in (source / "docs" / PICTURES).glob("*.html"):
        (site / "docs" / PICTURES).mkdir(exist_ok=True)
        shutil.copy(path, site / "docs" / PICTURES)
    wrong += problems(site)
    sys.stderr.write("".join(f"{line}\n" for line in wrong))
    pages, done = sum(1 for _ in site.rglob("*.html")), time.perf_counter()
    print(f"{site / 'index.html'}: {pages} pages, {len(wrong)} problems; {ran - began:.0f} s of notebooks and figures, "
          f"{done - ran:.0f} s of pages")  # fmt: skip
    return int(bool(failed or wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
