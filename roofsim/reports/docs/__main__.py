"""Writes the generated pages; with `--check` writes nothing and names those that are not up to date."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from roofsim.reports.docs import calibrations, console, formulas, gallery, kernels, order, parts, reference, specs

COMMAND = "python -m roofsim.reports.docs"
MARK = f"<!-- Written by `{COMMAND}` from the code: change that, not this page. -->"
FOLDER = order.FOLDER

PAGES: Mapping[str, Callable[[], Iterator[str]]] = {
    "calibrations.md": calibrations.calibrations,
    "cli.md": console.cli,
    "clusters.md": specs.clusters,
    "decisions.md": order.decisions,
    "devices.md": specs.devices,
    "formulas.md": formulas.formulas,
    "gallery.md": gallery.gallery,
    order.INDEX: order.index,
    "kernels.md": kernels.kernels,
    **parts.pages(),
    "models.md": specs.models,
    "parameters.md": specs.parameters,
    "reference.md": reference.reference,
    "runtimes.md": specs.runtimes,
    "weights.md": specs.weights,
}
"""Pages that are made from the code and the spec files."""

CONSOLES = (
    "advise.md",
    "compare.md",
    "cost.md",
    "crossovers.md",
    "explore.md",
    "fits.md",
    "load.md",
    "model.md",
    "offload.md",
    "own-device.md",
    "own-model.md",
    "own-runtime.md",
    "pareto.md",
    "phases.md",
    "quickstart.md",
    "report.md",
    "sampling.md",
    "search.md",
    "sensitivity.md",
    "serving.md",
    "simulate.md",
    "speculation.md",
    "studies.md",
    "sweep.md",
    "your-machine.md",
)
"""Pages written by hand whose consoles show what their commands print."""

BY_TOOLS = ("gains.md", "performance.md", "tiers.md", "validation.md")
"""Pages that tools write, from measurements."""


def pages(folder: Path) -> dict[str, str]:
    """The text that every page should have, by its name: made, filled, and with the line that leads to the next."""
    made = {name: "\n\n".join([MARK, *page()]) + "\n" for name, page in PAGES.items()}
    texts = console.at_once(lambda name: console.filled(read(folder / name)), CONSOLES)
    made |= dict(zip(CONSOLES, texts, strict=True))
    others = {p.path: read(folder / p.path) for p in order.pages() if ".." not in p.path and p.path not in made}
    made |= {name: text for name, text in others.items() if text and name not in BY_TOOLS}
    return {name: order.leading(name, text) for name, text in made.items()}


def read(path: Path) -> str:
    """The text of a page, empty if there is none."""
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def main(arguments: Sequence[str], folder: Path = FOLDER) -> int:
    """Writes or checks the pages in `folder`; the exit code."""
    if list(arguments) not in ([], ["--check"]) or not folder.is_dir():
        sys.stderr.write(f"usage, in a checkout: {COMMAND} [--check]\n")
        return 2
    made = pages(folder)
    stale = [name for name, text in made.items() if read(folder / name) != text]
    for name in stale:
        if arguments:
            sys.stderr.write(f"docs/{name} is not up to date; run: {COMMAND}\n")
        else:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(made[name], encoding="utf-8")
            sys.stdout.write(f"wrote docs/{name}\n")
    return int(bool(arguments and stale))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
