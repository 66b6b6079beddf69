"""Runs the notebooks and writes what they show: `python tools/run_notebooks.py -o FOLDER [NAME ...]`.

A notebook in git holds no output: what it shows is made where it is read, here for the documentation. Each is executed
in a kernel of its own from the folder that it lies in; a cell that fails, or that says anything on stderr, a warning
too, ends the run with exit code 1. `FOLDER/NAME.ipynb` is the executed notebook, `FOLDER/NAME.md` the same as a page,
its figures in `FOLDER/NAME_files`. The same results give the same bytes: no times, no paths.

`--strip` executes nothing: it takes outputs and what an editor left behind out of the notebooks of the checkout.
Needs ipykernel and nbclient.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
SHORT = ("text/markdown", "text/html", "text/plain")
"""Kinds of an output that a page shows as they are, the best first; figures come before."""
WAIT = 600
"""Seconds after which a cell is given up: far more than any takes."""


def stripped(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """The notebook as git holds it: cells and their names, without outputs, counts or an editor's notes."""
    cells = []
    for number, cell in enumerate(notebook["cells"]):
        kept = {"cell_type": cell["cell_type"], "id": cell.get("id", f"c{number:02}"), "metadata": {}}
        if cell["cell_type"] == "code":
            kept |= {"execution_count": None, "outputs": []}
        cells.append({**kept, "source": "".join(cell["source"]).splitlines(keepends=True)})
    return {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}


def text_of(notebook: Mapping[str, Any]) -> str:
    """The file of a notebook."""
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def executed(path: Path) -> Any:
    """The notebook with what its cells show; raises if one of them fails or warns."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, 4)
    where = {"metadata": {"path": str(path.parent)}}
    quiet = ["--log-level=ERROR"]  # else the kernel says at each start that other users of this machine may listen
    NotebookClient(notebook, timeout=WAIT, record_timing=False, resources=where, extra_arguments=quiet).execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                raise RuntimeError(f"{path.name}, cell {cell.id} says on stderr:\n{output.text}")
    notebook.metadata = METADATA
    return notebook


def page(notebook: Any, name: str) -> tuple[str, dict[str, bytes]]:
    """The executed notebook as Markdown, and its figures by name."""
    figures: dict[str, bytes] = {}
    parts: list[str] = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        parts += [_shown(output, name, figures) for output in cell.outputs]
    return "\n\n".join(part for part in parts if part) + "\n", figures


def _shown(output: Any, name: str, figures: dict[str, bytes]) -> str:
    """An output on the page; a figure goes to the figures."""
    if output.output_type == "stream":
        return f"```text\n{output.text.rstrip()}\n```"
    data = output.data
    for kind, ending in (("image/svg+xml", "svg"), ("image/png", "png")):
        if kind in data:
            file = f"{name}_files/{len(figures) + 1}.{ending}"
            figures[file] = data[kind].encode() if ending == "svg" else base64.b64decode(data[kind])
            return f"![Figure {len(figures)} of {name}]({file})"
    kind = next(each for each in SHORT if each in data)
    shown = data[kind].strip()
    if kind == "text/plain":
        return f"```text\n{shown}\n```"
    return re.sub(r"\n\s*\n", "\n", shown) if kind == "text/html" else shown  # an empty line would end the HTML


def chosen(names: list[str]) -> Iterator[Path]:
    """The notebooks of those names, or all; raises SystemExit for a name that there is not."""
    there = {path.stem: path for path in sorted(FOLDER.glob("*.ipynb"))}
    for name in names or there:
        if name not in there:
            raise SystemExit(f"no notebook {name}; there are: {', '.join(there)}")
        yield there[name]


def main() -> int:
    """Strips the notebooks, or runs them and writes their pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="notebooks, by default all")
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="where to write")
    parser.add_argument("--strip", action="store_true", help="take the outputs out instead")
    asked = parser.parse_args()
    if not asked.strip and not asked.output:
        parser.error("-o FOLDER says where the pages go; --strip takes outputs out instead")
    for path in chosen(asked.names):
        if asked.strip:
            path.write_text(text_of(stripped(json.loads(path.read_text(encoding="utf-8")))), encoding="utf-8")
            continue
        start = time.perf_counter()
        try:
            done = executed(path)
        except Exception as error:
            print(f"{path.name}: {error}", file=sys.stderr)
            return 1
        text, figures = page(done, path.stem)
        files = {f"{path.stem}.ipynb": text_of(done).encode(), f"{path.stem}.md": text.encode(), **figures}
        for name, content in files.items():
            (asked.output / name).parent.mkdir(parents=True, exist_ok=True)
            (asked.output / name).write_bytes(content)
        print(f"{path.name}: {len(figures)} figures, {time.perf_counter() - start:.1f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
