"""The page as one file: its template with styles, scripts and data inside."""

from __future__ import annotations

from pathlib import Path

from roofsim.web.cases import Step
from roofsim.web.choices import Choices
from roofsim.web.data import page_data
from roofsim.web.pack import packed

HERE = Path(__file__).parent
LIBRARIES = ("d3.min.js", "plot.umd.min.js")


def page(choices: Choices, step: Step) -> str:
    """The text of the page; `step` is told how many combinations are done of how many. Raises InputError."""
    return around(packed(*page_data(choices, step)))


def around(data: str) -> str:
    """The text of the page around its data, which are packed."""
    assets, vendor = HERE / "assets", HERE / "vendor"
    scripts = [vendor / name for name in LIBRARIES]
    scripts += [assets / "engine.js", *sorted(each for each in assets.glob("*.js") if each.name != "engine.js")]
    parts = {
        "/*{styles}*/": "\n".join(_text(each) for each in sorted(assets.glob("*.css"))),
        "/*{licences}*/": _text(vendor / "LICENSES.txt").replace("--", "- -"),
        "/*{scripts}*/": "\n".join(_text(each) for each in scripts).replace("</script", "<\\/script"),
        "/*{data}*/": data,
    }
    text = _text(assets / "page.html")
    for mark, part in parts.items():
        text = part.join(text.split(mark))
    return text


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
