"""The order of the documentation: chapters and their pages, said once for the site, its index and what leads on."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from roofsim.foundation.values import dataclass
from roofsim.reports.docs.console import PACKAGE

FOLDER = PACKAGE / "docs"
INDEX = "index.md"


class Page(NamedTuple):
    """A page by its path in `docs/`, what navigation calls it, and what is there in one line."""

    path: str
    title: str
    says: str
    below: str = ""
    """A folder whose pages this one lists."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """Pages that are read one after the other."""

    title: str
    pages: Sequence[Page]


ORDER: Sequence[Chapter] = (
    Chapter("Predict something in a minute", (
        Page("quickstart.md", "Predict something in a minute", "One request, a crossover, what fits, why, what if"),
        Page("../README.md", "Install", "Two commands, extras, checks"),
    )),
    Chapter("What fits, and how fast", (
        Page("fits.md", "On my device", "What fits my device, how fast it is, and what the limit is"),
        Page("compare.md", "Comparing", "Models, devices, runtimes and formats in one table"),
        Page("offload.md", "Offloading", "Layers, experts and caches in the memory of the host: what fits, how slow"),
        Page("advise.md", "Under budgets", "What meets your budgets, and what binds elsewhere"),
        Page("cost.md", "What a token costs", "Dollars, joules and CO2 of a million tokens, rented or bought"),
        Page("explore.md", "Explore in a browser", "Every slider is the model: one file without a server"),
        Page("report.md", "One page for a ticket", "A prediction with its figures, sources and intervals in one file"),
    )),
    Chapter("Crossovers", (
        Page("crossovers.md", "Crossovers", "From which length one model overtakes another, how sure that is, and why"),
    )),
    Chapter("Calibrate to your machine", (
        Page("your-machine.md", "Your machine in four steps", "A device file, runs, a fit, its errors"),
        Page("own-device.md", "Add your device", "A file to start from, sources, modes, hosts"),
        Page("measure.md", "Measure", "Runs of models on your machine, in a file that `validate` reads"),
        Page("calibration.md", "Fit", "Columns of runs, method, intervals, errors"),
    )),
    Chapter("Studies", (
        Page("studies.md", "Which study", "Which command answers which question about many choices"),
        Page("sweep.md", "Sweeps", "Figures at many points, into files, on several machines"),
        Page("pareto.md", "Fronts", "What no other choice is better than"),
        Page("sensitivity.md", "Sensitivities", "What a figure hangs on, and how far another regime is"),
        Page("search.md", "Searches", "Designing an architecture for a device: families, fronts, budgets in layers"),
        Page("search-tools.md", "Optuna and Gymnasium", "A space as an objective and as an environment"),
    )),
    Chapter("Serving", (
        Page("serving.md", "Batches and engines", "Many sequences at once: batch, cache, latency against throughput"),
        Page("load.md", "Serving a load", "Users, requests at a rate: latency, throughput, what ends it"),
        Page("phases.md", "Prefill and decode apart", "Mixed steps, both inside each device, or pools of their own"),
        Page("simulate.md", "Requests as they arrive", "Bursts, traces and tails, event by event; simulators"),
        Page("queues.md", "Closed forms and events", "What is said in an instant beside every request simulated"),
        Page("speculation.md", "Speculative decoding", "What drafts gain, from which acceptance and up to which batch"),
        Page("sampling.md", "Repeated sampling", "Several answers to one prompt, and how a budget is split"),
    )),
    Chapter("Several devices", (
        Page("several.md", "Several devices", "A model divided among devices: what they exchange, how long it takes"),
    )),
    Chapter("How the model works", (
        Page("model.md", "How the model works", "From an operator to kernels, time, memory, energy and regimes"),
        Page("kernels.md", "Time of a kernel", "The terms of every class of kernel, from the code"),
        Page("formulas.md", "Cost of an operator", "FLOP and bytes of every operator, and the symbols"),
        Page("mixers.md", "Kinds of layer", "Fields, parameters, state and costs of each as formulas", "mixers"),
        Page("parameters.md", "Parameters", "Every number that can be calibrated: prior, limits, who states a value"),
    )),
    Chapter("Runtimes, devices, models", (
        Page("runtimes.md", "Runtimes", "Software stacks: what they do, and why"),
        Page("devices.md", "Devices and hosts", "Each number with its source"),
        Page("clusters.md", "Clusters", "Nodes of devices and their links, each number with its source"),
        Page("models.md", "Models", "Layers, parameters, sources"),
        Page("weights.md", "Weight formats", "Bits with their scales, and what stays as it is"),
        Page("own-runtime.md", "Describe a runtime", "What a stack makes of a network"),
        Page("own-model.md", "Describe a model", "Layers, layout, families, names on the Hugging Face Hub"),
    )),
    Chapter("Which numbers to trust", (
        Page("validation.md", "Validation", "Predictions against measurements, by stack and device"),
        Page("tiers.md", "Tiers of memory", "Published ratios and measured divisions beside ours"),
        Page("published.md", "Published figures", "What others published of many devices, beside ours"),
        Page("gains.md", "Gains that others measured", "Speculation, and both phases inside a device, beside ours"),
        Page("calibrations.md", "Shipped calibrations", "What each was fitted to, and its errors on rows held out"),
        Page("../data/README.md", "Runs of our own", "The measured files that are shipped"),
        Page("performance.md", "Performance", "Points per second, cost of commands; beside other programs"),
    )),
    Chapter("Python", (
        Page("python.md", "From Python", "Functions, words, data, notebooks"),
        Page("reference.md", "Reference", "Every public function and result, with its types"),
        Page("../notebooks/README.md", "Notebooks", "Worked studies to start from", "../notebooks"),
    )),
    Chapter("Command line", (
        Page("cli.md", "Commands", "Help of every command"),
        Page("terminal.md", "In the terminal", "Completion in bash, zsh and fish; what is installed"),
    )),
    Chapter("Gallery", (Page("gallery.md", "Gallery", "Every figure, with the command that draws it"),)),
    Chapter("Glossary", (Page("glossary.md", "Glossary", "The field's words as they are used here"),)),
    Chapter("Decisions", (
        Page("decisions.md", "Decisions", "Context, choice and what was measured, half a page each", "decisions"),
    )),
    Chapter("Contributing", (
        Page("../CONTRIBUTING.md", "Contributing", "Checks, style, and the one place for each new thing"),
        Page("../CHANGELOG.md", "Changelog", "What changed, and by how much numbers moved"),
    )),
)  # fmt: skip


def pages() -> list[Page]:
    """All pages in their order."""
    return [page for chapter in ORDER for page in chapter.pages]


def index() -> Iterator[str]:
    """The page that leads to all others."""
    yield "# roofsim"
    yield (
        "An analytic roofline and memory simulator for language-model inference. Read on from the first page, or go "
        "where your question is; each page leads to the next. The [README](../README.md) says how it is installed."
    )
    for chapter in ORDER:
        yield f"## {chapter.title}"
        yield "\n".join(f"- [{page.title}]({page.path}): {_lower(page.says)}" for page in chapter.pages)


def decisions() -> Iterator[str]:
    """The page that lists all decisions."""
    yield "# Decisions"
    yield "What someone may ask about, half a page each: context, choice, what was measured."
    lines = []
    for path in sorted((FOLDER / "decisions").glob("*.md")):
        number, title = path.name[:3], path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        lines.append(f"- [{number}](decisions/{path.name}): {title.removeprefix(f'{number}: ')}")
    yield "\n".join(lines)


_NEXT = re.compile(r"\n\nNext: \[[^\]]*\]\([^)]*\)\.\n\Z")


def plain(text: str) -> str:
    """A page without the line that leads on."""
    return _NEXT.sub("\n", text)


def leading(path: str, text: str) -> str:
    """A page of `docs/` with a last line that leads to the next one, for whoever reads it as a file."""
    order = [page.path for page in pages()]
    if path not in order or path == order[-1]:
        return plain(text)
    page = pages()[order.index(path) + 1]
    return plain(text).rstrip("\n") + f"\n\nNext: [{page.title}]({page.path}).\n"


def listed(page: Page, folder: Path = FOLDER) -> list[str]:
    """The pages of a folder that one page lists, by their paths in `docs/`, in the order in which it links to them."""
    if not page.below:
        return []
    text = (folder / page.path).read_text(encoding="utf-8")
    found = {os.path.relpath(path, folder) for path in (folder / page.below).glob("*.md")} - {page.path}
    return sorted(found, key=lambda path: (text.find(f"{Path(path).name})"), path))


def missing(folder: Path = FOLDER) -> list[str]:
    """Pages that are there and that the order does not have."""
    known = {path for page in pages() for path in (page.path, *listed(page))} | {INDEX}
    return sorted({os.path.relpath(path, folder) for path in folder.rglob("*.md")} - known)


def _lower(text: str) -> str:
    """A line that goes on behind a colon."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]
