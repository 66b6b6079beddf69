"""What a request is judged by: one row a metric, from which commands, reports, figures and intervals take all."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from roofsim.foundation.errors import UnknownName
from roofsim.foundation.values import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """One row: its name, its unit, what it is called, the figure that it reads.

    `higher` says that more is better, `decoding` that the decode steps decide it. `inverse` is a metric that this one
    is a constant over, if it is: the two have the same crossings, and only one of them is a polynomial. `measured` is
    the kind of measurement (column `metric` of runs, phase) whose scatter it has, which is `mixed` where it is that of
    prefill and steps together; `within` is the name of its interval if that is another than its own.
    """

    name: str
    unit: str
    words: str
    figure: str
    measured: tuple[str, str]
    decoding: bool = False
    higher: bool = False
    inverse: str | None = None
    within: str = ""
    mixed: bool = False

    @property
    def interval(self) -> str:
        """What its interval is called in a prediction."""
        return self.within or self.name


_ROWS = (
    Metric("ttft", "s", "time to first token", "ttft", ("latency_s", "prefill")),
    Metric("tpot", "s", "time per output token", "tpot", ("latency_s", "decode"), decoding=True),
    Metric("memory", "B", "peak memory", "memory.peak", ("peak_mem_bytes", "prefill"), within="peak"),
    Metric("energy", "J", "energy per request", "energy", ("energy_j", "prefill")),
    Metric(
        "throughput", "", "end-to-end output tokens per second", "tokens_per_second", ("latency_s", "prefill"),
        decoding=True, higher=True, inverse="total", mixed=True,
    ),
    Metric("total", "s", "time of the whole request", "total_time", ("latency_s", "prefill"), mixed=True),
    Metric("cost", "USD", "cost of the request", "cost", ("latency_s", "prefill"), mixed=True),
)  # fmt: skip

METRICS: Mapping[str, Metric] = MappingProxyType({row.name: row for row in _ROWS})
"""Every metric by name."""


_COSTS = {
    "usd_per_million_input": "price of a million input tokens",
    "usd_per_million_output": "price of a million output tokens",
    "joules_per_input_token": "energy of an input token, at the wall",
    "joules_per_token": "energy of an output token, at the wall",
    "co2_per_million_input": "CO2 of a million input tokens",
    "co2_per_million_output": "CO2 of a million output tokens",
}
WORDED: Mapping[str, str] = MappingProxyType({**{row.figure: row.words for row in _ROWS}, **_COSTS})
"""What figures of requests are called, of metrics and of the cost of tokens."""


def metric_named(name: str) -> Metric:
    """A metric by its name; raises UnknownName."""
    if name not in METRICS:
        raise UnknownName("metric", name, METRICS)
    return METRICS[name]
