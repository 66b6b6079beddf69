"""The figures of a page, each with what is to be seen on it in words."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from roofsim.engine.passes import OperatorRow
from roofsim.foundation.units import show
from roofsim.prediction.metrics import METRICS
from roofsim.prediction.results import PassPrediction
from roofsim.report.crossover import crossover_row
from roofsim.report.figures.crossover import crossover
from roofsim.report.figures.limits import limits
from roofsim.report.figures.roofline import roofline
from roofsim.report.figures.timeline import timeline
from roofsim.report.limits import longest_prompt
from roofsim.report.onepage.document import Picture
from roofsim.report.onepage.gathered import Gathered


def pictures(g: Gathered) -> Iterator[Picture]:
    """Figures of the request itself."""
    p, s = g.prediction, g.s
    names = s.device.name, s.runtime.name
    passes = [(name, each, g.within[name]) for name, each in (("prefill", p.prefill), ("decode", p.decode))]
    dtypes = [p.workload.dtype, *s.precision(p.workload).units]
    m = s.machine(p.workload.dtype)
    told = " ".join(f"In {name} {_largest(each)}." for name, each, _ in passes)
    yield Picture(
        "Operators on the roofline of the device",
        f"Rate over arithmetic intensity, both logarithmic, below the roofs of memory and peaks; the ridge point is at "
        f"{m.matrix_rate / m.bandwidth:.0f} FLOP/B. {told}",
        partial(roofline, p.model, names[0], m, dtypes, passes, p.calibration),
    )
    first, last = g.memory.at[0], g.memory.at[-1]
    ends = " and ".join(f"{show(float(each.memory.peak), 'B')} at {each.prompt:,} tokens" for each in (first, last))
    yield Picture(
        "Memory against the length of the prompt",
        f"Peak memory of a prefill by part, stacked, against the line of what there is, {g.memory.room.words}. It "
        f"takes {ends}. Longest prompt: {longest_prompt(g.memory.limits)}.",
        partial(limits, g.memory, *names),
    )
    yield Picture(
        "Memory over the operators of the prefill",
        f"What is alive beside weights and state at each operator; the peak of {show(float(p.memory.peak), 'B')} is at "
        f"{p.memory.binding}.",
        partial(timeline, s, p.workload),
    )


def crossings(g: Gathered) -> Iterator[Picture]:
    """Figures of the comparison with other models."""
    for each in g.crossings:
        what = METRICS[each.pairs[0].metric].words
        ahead = [f"{pair.b} is ahead of {pair.a}: {row[0]}".replace("\n", " ")
                 for pair, row in zip(each.pairs, crossover_row(each).rows, strict=True)]  # fmt: skip
        yield Picture(
            f"{what.capitalize()} against the length of the prompt",
            f"{what.capitalize()} of each model over the length of the prompt. {'. '.join(ahead)}.",
            partial(crossover, [each], g.s.device.name, g.s.runtime.name),
        )


def _largest(p: PassPrediction) -> str:
    """The operators that take most of a pass."""
    first: list[OperatorRow] = sorted(p.operators, key=lambda o: -float(o.time))[:3]
    told = ", ".join(f"{o.operator} {float(o.time / p.device_time):.0%} ({o.bound})" for o in first)
    return f"most of the device time goes to {told}"
