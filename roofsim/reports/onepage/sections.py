"""The sections of a page: answers, cautions, figures, tables, assumptions, sources, intervals, how to make it again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from roofsim.foundation.version import __version__
from roofsim.prediction.metrics import METRICS
from roofsim.prediction.results import columns
from roofsim.prediction.words import MISFIT, meaning_of_intervals
from roofsim.reports.advise import advice_tables
from roofsim.reports.calibrated import calibration_tables
from roofsim.reports.compare import remedy_table
from roofsim.reports.crossover import crossover_tables, row_notes
from roofsim.reports.figures import captions
from roofsim.reports.limits import limits_tables
from roofsim.reports.onepage.again import line
from roofsim.reports.onepage.answers import answers
from roofsim.reports.onepage.document import Block, Code, Listed, Page, Section, Text
from roofsim.reports.onepage.gathered import Gathered
from roofsim.reports.onepage.pictures import crossings, pictures, tornadoes
from roofsim.reports.onepage.stack import switches
from roofsim.reports.prediction import BASIS, interval_table, memory_table, operator_table, pass_table, request_table
from roofsim.reports.specs import layers, plain_spec, sources
from roofsim.reports.table import Column, Table


def page(g: Gathered) -> Page:
    """The page about a request."""
    p, s = g.prediction, g.s
    w = p.workload
    lead = (
        f"with {s.runtime.name}",
        captions.asked(w),
    )
    foot = f"roofsim {__version__}. Predicted from specs and fits, not measured."
    return Page(f"{p.model} on {s.device_name}", lead, tuple(_sections(g)), foot)


def _sections(g: Gathered) -> Iterator[Section]:
    p, s = g.prediction, g.s
    yield Section("answer", "In short", (answers(g), Text(meaning_of_intervals(s))))
    yield Section("cautions", "Cautions", _cautions(g))
    yield Section("figures", "Figures", tuple(pictures(g)))
    if g.crossings:
        others = [each.model_name for each in g.against]
        named = " and ".join(others) if len(others) <= NAMED else f"{len(others)} other models"
        yield Section("against", f"Against {named}", _against(g))
    yield Section("passes", "Passes and memory", (request_table(p), pass_table(p), memory_table(p), _lengths(g)))
    tables = [operator_table(name, each, everything=True) for name, each in (("prefill", p.prefill),
                                                                          ("decode", p.decode))]  # fmt: skip
    yield Section("operators", "Operators", (*tables, Text(BASIS)))
    yield Section(
        "help", "What would help", (*_fitting(g), replace(remedy_table(p, g.remedies), title=HELP), *tornadoes(g))
    )
    yield Section("assumptions", "Assumptions", _assumptions(g))
    yield Section("sources", "Sources", tuple(_sources(g)))
    yield Section("intervals", "Calibration and intervals", tuple(_intervals(g)))
    yield Section("again", "How to make this page again", tuple(_again(g)))


NAMED = 3
"""So many other models are named in a heading."""

HELP = "Changes of the stack, each alone, that make a figure better and none worse"


def _cautions(g: Gathered) -> tuple[Block, ...]:
    said = [f"{each}. Times are as if it did." if each.startswith(MISFIT) else f"{each[0].upper()}{each[1:]}."
            for each in g.prediction.cautions]  # fmt: skip
    return (Listed(tuple(said)),) if said else (Text("Nothing stands against these figures."),)


def _against(g: Gathered) -> tuple[Block, ...]:
    """Figures, every pair by every metric in one table, and why each turns."""
    made = [(METRICS[c.pairs[0].metric].words, crossover_tables(c, c.device, c.runtime)) for c in g.crossings]
    rows = [[words, *row] for words, (table, *_) in made for row in table.rows]
    heads = [Column("metric"), *made[0][1][0].columns]
    turns = Table("Where B is ahead", heads, rows, row_notes(g.crossings), keys=3)
    reasons = [replace(each, title=f"{words.capitalize()}: {_lower(each.title)}") for words, (_, *why) in made
               for each in why]  # fmt: skip
    return *crossings(g), turns, *reasons


def _lower(text: str) -> str:
    return f"{text[0].lower()}{text[1:]}"


def _lengths(g: Gathered) -> Table:
    table = limits_tables(g.limits, g.s.device_name, g.s.runtime.name)[0]
    return replace(table, title="Peak memory of a prefill by length of the prompt", notes=())


def _fitting(g: Gathered) -> tuple[Block, ...]:
    """What fits the device where the request does not."""
    if g.advice is None:
        return ()
    if not g.advice.feasible:
        return (Text("Nor does it fit this device with other software that is usual there, in the formats of each."),)
    table, *_, last = advice_tables(g.advice)
    return (replace(table, title="What fits this device with other software or weights", notes=last.notes[-1:]),)


def _assumptions(g: Gathered) -> tuple[Block, ...]:
    p = g.prediction
    w = p.workload
    named = {"prompt": "tokens of the prompt", "generate": "tokens generated", "batch": "sequences at once",
             "dtype": "dtype of activations", "cache_dtype": "cache", "weight_format": "weights",
             "logits": "positions that are scored"}  # fmt: skip
    held = {**columns(w), "cache_dtype": w.cache_dtype or w.dtype, "weight_format": w.weight_format or w.dtype}
    rows = [[words, f"{held[name]:,}" if isinstance(held[name], int) else held[name]] for name, words in named.items()]
    workload = Table("Workload and precisions", [Column("what"), Column("value", "text")], rows)
    said = tuple(each for each in p.assumptions if each not in p.cautions)
    return workload, Listed(said), switches(g.s.runtime)


def _sources(g: Gathered) -> Iterator[Block]:
    s = g.s
    for kind, spec, what in (("hardware", s.device, "Device"), ("hardware/hosts", s.host, "Host")):
        if spec is not None:
            numbers, *_, where = plain_spec(kind, spec)[0]
            yield replace(numbers, title=f"{what}: {numbers.title}")
            yield replace(where, title=f"Sources of {spec.name}")
    yield replace(layers(s.architecture), title=f"Layers of {layers(s.architecture).title}")
    yield replace(sources(s.architecture), title=f"Sources of {s.architecture.name}")
    yield replace(sources(s.runtime), title=f"Sources of {s.runtime.name}")


def _intervals(g: Gathered) -> Iterator[Block]:
    yield Text(meaning_of_intervals(g.s))
    yield interval_table(g.prediction)
    if g.s.calibration is not None:
        yield from calibration_tables(g.s.calibration)[0]


def _again(g: Gathered) -> Iterator[Block]:
    if g.words is None:
        yield Text("It was made in Python from specs that are no files of their own; no command can ask for it.")
    else:
        yield Code(line("report", g.words, "-o", "report.html"))
        yield Text("The same figures as data:")
        yield Code(line("predict", {**g.words, "against": None}, "-f", "json"))
    yield Text(f"With roofsim {__version__}; the same input gives the same bytes.")
