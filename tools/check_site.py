"""Looks at built HTML: every link, anchor and picture leads somewhere, and nothing is fetched from the network.

`python tools/check_site.py FOLDER`
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

FETCHED = {("link", "href"), ("script", "src"), ("img", "src"), ("source", "src"), ("iframe", "src"), ("video", "src"),
           ("object", "data"), ("image", "href"), ("use", "href")}  # fmt: skip
"""What a browser fetches by itself."""
IN_STYLE = re.compile(r"""(?:url\(\s*|@import\s+(?!url))["']?([^"')\s;]+)""")


class Read(HTMLParser):
    """The anchors of a page, what it links to and what it fetches."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self._style = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One element."""
        given = {name: value for name, value in attrs if value is not None}
        self._style = tag == "style"
        self.anchors |= {given[name] for name in ("id", "name") if name in given and (name == "id" or tag == "a")}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        for name, value in given.items():
            if (tag, name) in FETCHED and not (tag == "link" and given.get("rel") in ("next", "prev", "canonical")):
                self.fetched.append(value)
        self.fetched += IN_STYLE.findall(given.get("style", ""))

    handle_startendtag = handle_starttag

    def handle_data(self, data: str) -> None:
        """The text of an element."""
        if self._style:
            self.fetched += IN_STYLE.findall(data)


def problems(site: Path) -> list[str]:
    """What is wrong, each with the page that it is on."""
    pages = {path.resolve(): Read(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        name = path.relative_to(site.resolve())
        found += [f"{name}: fetches {url}" for url in page.fetched if remote(url)]
        inside = [url for url in (*page.links, *page.fetched) if not remote(url)]
        found += [f"{name}: {url} {why}" for url in dict.fromkeys(inside) if (why := lost(url, path, pages))]
    return found + list(styles(site))


def styles(site: Path) -> Iterator[str]:
    """What is wrong in style sheets."""
    for path in sorted(site.rglob("*.css")):
        for url in IN_STYLE.findall(path.read_text(encoding="utf-8")):
            if remote(url):
                yield f"{path.relative_to(site)}: fetches {url}"
            elif urlsplit(url).scheme != "data" and not (path.parent / unquote(urlsplit(url).path)).is_file():
                yield f"{path.relative_to(site)}: {url} is not there"


def remote(url: str) -> bool:
    """Whether a URL is somewhere else."""
    parts = urlsplit(url)
    return bool(parts.netloc) or parts.scheme in ("mailto", "ftp")


def lost(url: str, path: Path, pages: dict[Path, Read]) -> str:
    """Why a link of a page leads nowhere, empty if it leads somewhere."""
    parts = urlsplit(url)
    if parts.scheme:
        return "" if parts.scheme == "data" else f"is no link into the site ({parts.scheme})"
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.is_file():
        return "is not there"
    if parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
        return "has no such anchor"
    return ""


def main(arguments: list[str]) -> int:
    """Names what is wrong; the exit code."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print(__doc__, file=sys.stderr)
        return 2
    wrong = problems(Path(arguments[0]))
    print("\n".join([*wrong, f"{len(wrong)} problems"]))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
