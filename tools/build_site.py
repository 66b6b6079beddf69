"""Builds the documentation as a site, offline: `python tools/build_site.py [FOLDER]`, by default into build/site/html.

The pages are the files of docs/, the README, CONTRIBUTING and the changelog as they stand, in the order that
`roofsim/report/docs/order.py` has. What only a site can show is added to a copy: navigation, and below every console
the figures that its commands draw with `--plot`. Sphinx's warnings are errors, and so is a link, an anchor or a
picture of the built pages that leads nowhere, or anything that a page would fetch from the network.
"""

from __future__ import annotations

import re
import shutil
import sys
import time
from pathlib import Path

from check_site import problems

from roofsim.report.docs import order

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "site"
COPIED = ("docs", "data", "notebooks", "*.md", "LICENSE")
FILE = re.compile(r"\[([\w-]+\.md)\]\(((?:\.\./|docs/)*\1)")
"""A link that is called as the file that it leads to."""
HOME = '<!DOCTYPE html><meta charset="utf-8"><title>roofsim</title><meta http-equiv="refresh" content="0; url={to}">\n'


def stage(source: Path) -> None:
    """The pages with navigation, in a folder of their own."""
    shutil.rmtree(source, ignore_errors=True)
    for pattern in COPIED:
        for path in ROOT.glob(pattern):
            copy = shutil.copytree if path.is_dir() else shutil.copy
            source.mkdir(parents=True, exist_ok=True)
            copy(path, source / path.name)
    docs = source / "docs"
    for path in source.rglob("*.md"):
        path.write_text(named(order.plain(path.read_text(encoding="utf-8"))), encoding="utf-8")
    chapters = [toctree([f"{page.title} <{stem(page.path)}>" for page in chapter.pages], chapter.title)
                for chapter in order.ORDER]  # fmt: skip
    append(docs / order.INDEX, chapters)
    for page in order.pages():
        if page.below:
            append(docs / page.path, [toctree([stem(each) for each in order.listed(page.below)])])


def named(text: str) -> str:
    """A page whose links to files of pages are called as the pages are."""
    titles = {Path(page.path).name: page.title for page in order.pages()}
    return FILE.sub(lambda link: f"[{titles.get(link[1], link[1])}]({link[2]}", text)


def stem(path: str) -> str:
    """A page as Sphinx calls it."""
    return path.removesuffix(".md")


def toctree(entries: list[str], caption: str = "") -> str:
    """Navigation that is not shown on the page itself."""
    lines = ["```{toctree}", ":hidden:", *[f":caption: {caption}"] * bool(caption), "", *entries, "```"]
    return "\n".join(lines)


def append(path: Path, blocks: list[str]) -> None:
    """Adds blocks to a page."""
    path.write_text("\n\n".join([path.read_text(encoding="utf-8").rstrip("\n"), *blocks]) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Builds and checks; the exit code."""
    if len(arguments) > 1 or arguments[:1] == ["--help"]:
        print(__doc__)
        return 2
    from sphinx.cmd.build import build_main

    began = time.perf_counter()
    source, site = BUILD / "source", Path(arguments[0]) if arguments else BUILD / "html"
    stage(source)
    shutil.rmtree(site, ignore_errors=True)
    options = ["-b", "html", "-q", "-W", "--keep-going", "-j", "auto", "-d", str(BUILD / "doctrees"), "-E"]
    code = build_main([*options, "-c", str(source / "docs"), str(source), str(site)])
    (site / "index.html").write_text(HOME.format(to=f"docs/{stem(order.INDEX)}.html"))
    wrong = problems(site)
    for line in wrong:
        print(line, file=sys.stderr)
    pages = sum(1 for _ in site.rglob("*.html"))
    print(f"{site / 'index.html'}: {pages} pages, {len(wrong)} problems, {time.perf_counter() - began:.1f} s")
    return int(bool(code or wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
