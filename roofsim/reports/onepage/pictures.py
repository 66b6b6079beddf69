"""The figures of a page, each with what is to be seen on it in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from roofsim.engine.passes import OperatorRow
from roofsim.foundation.units import show
from roofsim.prediction.metrics import METRICS
from roofsim.prediction.results import PassPrediction
from roofsim.prediction.spoken import words
from roofsim.reports.crossover import crossover_row
from roofsim.reports.figures.breakdown import breakdown
from roofsim.reports.figures.crossover import crossover
from roofsim.reports.figures.energy import energy
from roofsim.reports.figures.limits import Held, limits
from roofsim.reports.figures.roofline import Placed, roofline
from roofsim.reports.figures.timeline import timeline
from roofsim.reports.figures.tornado import tornado
from roofsim.reports.limits import longest_prompt
from roofsim.reports.onepage.document import Picture
from roofsim.reports.onepage.gathered import Gathered
from roofsim.studies.breakdown import PassAt


def pictures(g: Gathered) -> Iterator[Picture]:
    """Figures of the request itself."""
    p, s = g.prediction, g.s
    m = s.machine(p.workload.dtype)
    shares = " ".join(_shares(PASSES[name], each) for name, each in g.times.passes.items())
    told = " ".join(f"In {name} {_largest(each)}." for name, each in (("prefill", p.prefill), ("decode", p.decode)))
    yield Picture(
        "roofline",
        "Operators on the roofline of the device",
        f"Rate over arithmetic intensity, both logarithmic, below the roofs of memory and peaks; the ridge point is at "
        f"{m.matrix_rate / m.bandwidth:.0f} FLOP/B. {told}",
        partial(roofline, [Placed(p, s, g.within)]),
    )
    yield Picture(
        "time",
        "Where the time goes",
        f"Time of a prefill and of a decode step over the length of the prompt, on the device and on the host, and the "
        f"shares of each kind of operator. {shares}",
        partial(breakdown, g.times, s, p.workload),
    )
    first, last = g.memory.at[0], g.memory.at[-1]
    ends = " and ".join(f"{show(float(each.memory.peak), 'B')} at {each.prompt:,} tokens" for each in (first, last))
    yield Picture(
        "memory",
        "Memory against the length of the prompt",
        f"Peak memory of a prefill by part, stacked, against the line of what there is, {g.memory.room.words}. It "
        f"takes {ends}. Longest prompt: {longest_prompt(g.memory.limits)}.",
        partial(limits, [Held(g.memory, s)]),
    )
    yield Picture(
        "timeline",
        "Memory over the operators of the prefill",
        f"Bytes held beside the weights while each operator of the prefill runs, by part; the peak of "
        f"{show(float(p.memory.peak), 'B')} is at {p.memory.binding}.",
        partial(timeline, s, p.workload),
    )
    if g.energies is not None:
        told = " ".join(f"A token of the {'prompt' if name == 'prefill' else 'answer'} takes "
                        f"{show(each[0].energy, 'J')} after {each[0].prompt:,} tokens and {show(each[-1].energy, 'J')} "
                        f"after {each[-1].prompt:,}." for name, each in g.energies.passes.items())  # fmt: skip
        yield Picture(
            "energy",
            "Energy of a token",
            f"Joules of a token by what they are spent on, stacked, over the length of the prompt. {told}",
            partial(energy, g.energies, s, p.workload),
        )


PASSES = {"prefill": "prefill", "decode": "decode step"}


def crossings(g: Gathered) -> Iterator[Picture]:
    """Figures of the comparison with other models."""
    for each in g.crossings:
        what = METRICS[each.pairs[0].metric].words
        ahead = [f"{pair.b} is ahead of {pair.a}: {row[0]}".replace("\n", " ")
                 for pair, row in zip(each.pairs, crossover_row(each).rows, strict=True)]  # fmt: skip
        yield Picture(
            f"crossover-{each.pairs[0].metric}",
            f"{what.capitalize()} against the length of the prompt",
            f"{what.capitalize()} of each model over the length of the prompt. {'. '.join(ahead)}.",
            partial(crossover, [each], g.s.device_name, g.s.runtime.name),
        )


def tornadoes(g: Gathered) -> Iterator[Picture]:
    """Figures of what moves both times."""
    for each in g.moves:
        most = ", ".join(f"{words(row.number)} {row.elasticity:+.2f} %" for row in each.rows[:3])
        yield Picture(
            f"moves-{each.figure}",
            f"What moves the {each.words}",
            f"The {each.words}, {show(each.value, each.unit)}, at half and at twice each number. One per cent more "
            f"of a number moves it by: {most}.",
            partial(tornado, each, g.s.device_name, g.s.runtime.name),
        )


def _shares(name: str, each: Sequence[PassAt]) -> str:
    """The largest kinds of operator of a pass at both ends of the lengths."""

    def said(at: PassAt) -> str:
        kind, of = max(at.kinds.items(), key=lambda pair: pair[1].device)
        return f"{kind} {of.device / at.device_time:.0%} of {show(at.device_time, 's')} at {at.prompt:,} tokens"

    return f"Most of the device time of a {name} goes to {said(each[0])}, {said(each[-1])}."


def _largest(p: PassPrediction) -> str:
    """The operators that take most of a pass."""
    first: list[OperatorRow] = sorted(p.operators, key=lambda o: -float(o.time))[:3]
    told = ", ".join(f"{o.operator} {float(o.time / p.device_time):.0%} ({o.bound})" for o in first)
    return f"most of the device time goes to {told}"
