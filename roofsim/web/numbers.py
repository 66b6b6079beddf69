"""The numbers of a device, a runtime and a calibration that functions of the page take, by their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import nan
from typing import Any, get_args

from roofsim import library
from roofsim.engine.energy import full_power, idle_power
from roofsim.engine.network import Level, network_of
from roofsim.engine.roofline import Machine
from roofsim.foundation.arith import Number
from roofsim.foundation.parameters import PARAMETERS
from roofsim.foundation.quantity import Sourced
from roofsim.foundation.schema import assembled, variant
from roofsim.foundation.values import dataclass
from roofsim.prediction.cost import Rates, rates
from roofsim.prediction.places import COUNTS
from roofsim.prediction.setup import Setup
from roofsim.specs.device import Device, MatrixType
from roofsim.specs.workload import Workload

UNITS: tuple[str, ...] = get_args(MatrixType)
RATES = ("matrix_rate", "vector_rate", "bandwidth", "cache", "units", "clock", "softmax_overlap", "tile_rows")
"""Fields of a machine that are numbers."""
SIZES = ("capacity", "usable")
POWERS = ("tdp", "idle", "dynamic")
COSTS = ("usd_per_second", "usd_per_joule")
"""What a second of a device costs, and a joule that it draws."""
LEVELS = ("node", "between")
LINKS = tuple(f"{level}.{name}" for level in LEVELS for name in ("rate", "latency"))
"""Bytes a second and seconds of a short message of links to other devices, within a node and between nodes."""
NUMBERS = (
    *RATES, *(f"peaks.{unit}" for unit in UNITS), *SIZES, *POWERS, *COSTS, *LINKS,
    *(f"parameters.{name}" for name in PARAMETERS),
)  # fmt: skip
"""All of them, beside the counts of a workload."""
CACHE = "cache_bytes"
"""Bytes per element of a KV cache."""
VARIABLES = (*COUNTS, CACHE, *NUMBERS)
PLACES: Mapping[str, str] = {name: f"v[{i}]" for i, name in enumerate(VARIABLES)}
"""What they are called in functions, which find them in one array; its last place says that operators are asked for."""
OPERATORS = f"v[{len(VARIABLES)}]"


def numbers(s: Setup, dtype: str) -> dict[str, float]:
    """The numbers of a setup for activations in `dtype`; what a device does not state is none."""
    m, d = s.machine(dtype), s.device
    found: dict[str, Number] = {
        **{name: getattr(m, name) for name in RATES},
        **{f"peaks.{unit}": m.rate(unit) for unit in UNITS},
        "capacity": d.memory.capacity.value,
        "usable": d.capacity,
        "tdp": d.power.tdp.value if d.power.tdp else nan,
        "idle": idle_power(d) if d.power.tdp else nan,
        "dynamic": full_power(d) if d.power.tdp else nan,
        "usd_per_second": s.rates.dollars(1.0, 0.0) / s.devices,
        "usd_per_joule": s.rates.dollars(0.0, 1.0),
        **_links(s),
        **{f"parameters.{name}": x for name, x in m.parameters.items()},
    }
    return {name: float(found[name]) for name in NUMBERS}


def _links(s: Setup) -> dict[str, Number]:
    """Rates and latencies of the links that a device has in its cluster; none where it stands alone."""
    cluster = s.cluster or library.standing(s.device)
    around = network_of(cluster) if cluster else None
    found = {level: getattr(around, level) for level in LEVELS} if around else {}
    return {
        f"{level}.{name}": getattr(found[level], name) if found.get(level) else nan
        for level in LEVELS for name in ("rate", "latency")
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Varying(Setup):
    """A setup whose numbers are variables, so that its machine is this one whatever the dtype."""

    known: Machine | None = None
    costs: Rates | None = None

    def machine(self, dtype: str) -> Machine:
        """The machine of the variables."""
        return self.known or Setup.machine(self, dtype)

    @property
    def rates(self) -> Rates:
        """What seconds and joules cost, of the variables."""
        return self.costs or rates(self)


def varying(s: Setup, w: Workload, x: Mapping[str, Any]) -> Varying:
    """The setup with these values, which may be variables, in the place of its numbers.

    A cache in an encoding of its own is in that one, else it takes as many bytes as the variable says.
    """
    precision = s.precision(w)
    if w.cache_dtype is None:
        precision = replace(precision, cache=x[CACHE])
    machine = machine_of(s.machine(w.dtype), x)
    costs = Rates(s.devices * x["usd_per_second"], 0.0, x["usd_per_joule"], 1.0, 0.0)
    return Varying(
        s.architecture, _with(s.device, x), s.runtime, s.host, stored=precision, split=s.split, cluster=s.cluster,
        known=machine, costs=costs,
    )  # fmt: skip


def structure(s: Setup, dtype: str) -> tuple[Any, ...]:
    """What of a device decides which kernels run, its numbers apart: devices alike in this share their functions."""
    d = s.device
    return (
        d.vendor, d.kind, d.memory.unified, d.plans_attention, d.attention_rows and d.attention_rows.value,
        *(tuple(sorted(each)) for each in (d.peak.matrix, d.peak.vector)), d.peak.fp16_accumulation is None, dtype,
        s.machine(dtype).by_vectors, s.split, joined(s.machine(dtype)),
    )  # fmt: skip


def joined(m: Machine) -> tuple[Any, ...] | None:
    """What of the links of devices decides how they exchange, all but rates and latencies."""
    if m.network is None:
        return None
    levels = (getattr(m.network, name) for name in LEVELS)
    opened = {"rate": 0, "latency": 0, "peak": 0}
    return (m.network.per_node, *(each and replace(each, **opened) for each in levels))


def machine_of(m: Machine, x: Mapping[str, Any]) -> Machine:
    """A machine with these values in the place of its numbers."""
    network = m.network and replace(
        m.network, node=_level(m.network.node, x, "node"), between=_level(m.network.between, x, "between")
    )
    return replace(
        m, network=network, **{name: x[name] for name in RATES}, peaks={unit: x[f"peaks.{unit}"] for unit in UNITS},
        parameters={name: x[f"parameters.{name}"] for name in PARAMETERS},
    )  # fmt: skip


def _level(level: Level | None, x: Mapping[str, Any], name: str) -> Level | None:
    return level and replace(level, rate=x[f"{name}.rate"], latency=x[f"{name}.latency"])


def _with(d: Device, x: Mapping[str, Any]) -> Device:
    """The device with variables for what is read of it beside its machine."""
    sizes = {name: assembled(Sourced, value=x[name]) for name in SIZES}
    powers = {name: assembled(Sourced, value=x[name]) for name in POWERS}
    return variant(
        d, memory=variant(d.memory, **sizes), power=variant(d.power, **powers), units=variant(d.units, value=x["units"])
    )
