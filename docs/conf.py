"""How Sphinx makes the site of the pages; `python tools/build_site.py` says what they are and runs it."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

from roofsim import __version__

project = "roofsim"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
root_doc = "docs/index"
include_patterns = ["*.md", "docs/*.md", "docs/*/*.md", "notebooks/*.md", "data/*.md"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 6  # GitHub's anchors, so that a link holds in the repository too

default_role = "code"  # what docstrings set in single backticks
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 100  # an argument a line, where they do not fit on one

smartquotes = False  # `--set` stays two dashes

html_theme = "furo"
html_title = f"roofsim {version}"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = html_show_copyright = False


def inline(translator: HTML5Translator, node: nodes.math) -> None:
    """Math within a line, as MathML: browsers set it themselves, without scripts, fonts or a network."""
    translator.body.append(convert(node.astext(), display="inline"))
    raise nodes.SkipNode


def block(translator: HTML5Translator, node: nodes.math_block) -> None:
    """Math on a line of its own."""
    translator.body.append(f'<div class="formula">{convert(node.astext(), display="block")}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Adds what is ours to Sphinx."""
    app.add_html_math_renderer("mathml", inline_renderers=(inline, None), block_renderers=(block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
