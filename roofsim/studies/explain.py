"""Why a prediction is what it is: its formula, the regimes over length, and what moves it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any

from roofsim.engine.regime import LENGTH, expand
from roofsim.engine.roofline import Bound
from roofsim.foundation.schema import variant
from roofsim.foundation.values import dataclass
from roofsim.foundation.version import SCHEMA
from roofsim.lowering.step import NEVER, mask_from
from roofsim.ops.base import CostFunction
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.limits import limits_of
from roofsim.prediction.metrics import METRICS, metric_named
from roofsim.prediction.request import detailed_prefill
from roofsim.prediction.results import Limits, columns, interval_basis, parallel, plain
from roofsim.prediction.setup import ALONE, Setup
from roofsim.prediction.steps import prefill
from roofsim.prediction.symbols import at_symbols, slopes, symbols_of
from roofsim.prediction.words import assumptions, beyond
from roofsim.specs.workload import Workload


@dataclass(frozen=True, slots=True)
class Regime:
    """Lengths over which the prefill is bound by the same thing, from `first` to `last`."""

    first: int
    last: int
    bound: Bound | None
    masked: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """A figure at one length as a polynomial in the length, in symbols and numbers.

    `terms` and `coefficients` are by power of N, of the metric `form_of`: the metric itself, or what it is a constant
    over. `symbols` holds the value of every symbol; `elasticities` the per cent by which the figure changes for one
    per cent more of each. `functions` are the cost formulas involved, `limits` the lengths that can be had.
    """

    model: str
    device: str
    runtime: str
    metric: str
    length: int
    value: float
    form_of: str
    terms: tuple[str, ...]
    coefficients: tuple[float, ...]
    elasticities: Mapping[str, float]
    symbols: Mapping[str, float]
    regimes: tuple[Regime, ...]
    assumptions: tuple[str, ...]
    cautions: tuple[str, ...]
    functions: tuple[CostFunction, ...]
    limits: Limits
    calibration: str | None
    parallel: Mapping[str, int] = field(default_factory=lambda: parallel(ALONE))
    cluster: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values; formulas by name."""
        named = {"functions": [f.__name__ for f in self.functions], "basis": interval_basis(self.calibration)}
        return {"schema": SCHEMA, **plain({**columns(self), **named})}


def explain(s: Setup, w: Workload, metric: str) -> Explanation:
    """Explain one figure of a workload; raises InputError for a metric that there is not."""
    row = metric_named(metric)
    shown = METRICS[row.inverse] if row.inverse else row
    symbols = symbols_of(s, w)
    form = expand(lambda variables: at_symbols(s, w, symbols, shown, variables), symbols.values, w.prompt)
    values = {**symbols.values, LENGTH: float(w.prompt)}
    value, by = slopes(lambda variables: at_symbols(s, w, symbols, row, variables), values)
    pulls = {name: slope * values[name] / value for name, slope in by.items() if slope}
    functions = dict.fromkeys(o.function for row in s.rank.rows(prefill(s, w)) for o in row.operators)
    return Explanation(
        s.architecture.id, s.device.id, s.runtime.id, metric, w.prompt, value, shown.name,
        form.texts if form else (), form.coefficients if form else (),
        dict(sorted(pulls.items(), key=lambda item: -abs(item[1]))), symbols.values, tuple(regimes(s, w)),
        assumptions(s, w), beyond(Evaluation(s, w)), tuple(functions), limits_of(s, w), s.calibration_name,
        parallel(s.split), s.cluster_name,
    )  # fmt: skip


def regimes(s: Setup, w: Workload) -> list[Regime]:
    """The stretches of length with the same bound and mask, at powers of √2 from 16 to 2²⁰ tokens."""
    start = mask_from(s.architecture, s.runtime)
    found: list[Regime] = []
    for n in sorted({round(2 ** (k / 2)) for k in range(8, 41)} | ({start} if 16 < start < NEVER else set())):
        here = Regime(n, n, detailed_prefill(Evaluation(s, variant(w, prompt=n))).bound, n >= start)
        if found and (found[-1].bound, found[-1].masked) == (here.bound, here.masked):
            found[-1] = replace(found[-1], last=n)
        else:
            found.append(here)
    return found
