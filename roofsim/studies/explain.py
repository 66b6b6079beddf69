"""Why a prediction is what it is: its formula, the regimes over length, and what moves it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from roofsim.engine.regime import expand
from roofsim.engine.roofline import Bound
from roofsim.foundation.schema import variant
from roofsim.lowering.step import NEVER, mask_from
from roofsim.ops.base import CostFunction
from roofsim.prediction.request import SCHEMA, Metric, Setup, assumptions, metric_value, plain, predict_pass
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

    `terms` and `coefficients` are by power of N; `symbols` holds the value of every symbol; `elasticities` the per
    cent by which the figure changes for one per cent more of each. `functions` are the cost formulas involved.
    """

    model: str
    device: str
    runtime: str
    metric: Metric
    length: int
    value: float
    terms: tuple[str, ...]
    coefficients: tuple[float, ...]
    elasticities: Mapping[str, float]
    symbols: Mapping[str, float]
    regimes: tuple[Regime, ...]
    assumptions: tuple[str, ...]
    functions: tuple[CostFunction, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values; formulas by name."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "functions"}
        return {"schema": SCHEMA, **plain(fields), "functions": [f.__name__ for f in self.functions]}


def explain(s: Setup, w: Workload, metric: Metric) -> Explanation:
    """Explain one figure of a workload."""
    m = s.machine(w.dtype)

    def figure(n: Any, machines: Mapping[str, Any]) -> Any:
        return metric_value(replace(s, given_machine=machines["a"]), variant(w, prompt=n), metric)

    form = expand(figure, w.prompt, {"a": m})
    value = float(metric_value(s, w, metric))
    elasticities = dict(sorted(form.elasticities.items(), key=lambda item: -abs(item[1]))) if form else {}
    functions = dict.fromkeys(o.function for row in s.architecture.rows(s.prefill(w)) for o in row.operators)
    return Explanation(
        s.architecture.id, s.device.id, s.runtime.id, metric, w.prompt, value, form.texts if form else (),
        form.coefficients if form else (), elasticities, form.symbols if form else {}, tuple(regimes(s, w)),
        assumptions(s, w), tuple(functions),
    )  # fmt: skip


def regimes(s: Setup, w: Workload) -> list[Regime]:
    """The stretches of length with the same bound and mask, at powers of √2 from 16 to 2²⁰ tokens."""
    start = mask_from(s.architecture, s.runtime)
    found: list[Regime] = []
    for n in sorted({round(2 ** (k / 2)) for k in range(8, 41)} | ({start} if 16 < start < NEVER else set())):
        p = s.prefill(variant(w, prompt=n))
        here = Regime(n, n, predict_pass(s, p, w.dtype).bound, n >= start)
        if found and (found[-1].bound, found[-1].masked) == (here.bound, here.masked):
            found[-1] = replace(found[-1], last=n)
        else:
            found.append(here)
    return found
