"""Which choices meet budgets, best first, and by how much each other one misses them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from math import inf, prod
from types import MappingProxyType
from typing import Any

from roofsim import library
from roofsim.foundation.errors import InputError, UnknownName
from roofsim.foundation.values import dataclass
from roofsim.foundation.version import SCHEMA
from roofsim.model.architecture import Architecture
from roofsim.prediction.results import plain
from roofsim.spaces.compare import FIGURES, MILLION, Row, compare_choices, room
from roofsim.specs.device import Device
from roofsim.specs.runtime import Runtime

GGML = (None, "q8_0", "q4_k_m")
STACKS: Mapping[str, tuple[str | None, ...]] = MappingProxyType({
    "llama.cpp": GGML, "llama.cpp-hip": GGML, "llama.cpp-metal": GGML, "llama.cpp-cpu": GGML,
    "transformers-5-static": (None, "int4-g128"), "transformers-5-cpu": (None,), "vllm": (None, "fp8", "int4-g128"),
})  # fmt: skip
"""Runtimes that are candidates on the devices they are written for, if none is named, and the weight formats that are
candidates with each; None is the dtype of the model."""


@dataclass(frozen=True, slots=True)
class Budget:
    """One row: what is limited, in words and with its unit; how a combination's value and its interval are read.

    `least` says that the limit is a lower one. `interval` is the figure whose interval the value has, if it has one,
    `per` what the figure is divided by.
    """

    words: str
    unit: str
    value: Callable[[Row, Device], Any]
    interval: str = ""
    per: float = 1.0
    least: bool = False


def _figure(words: str, unit: str, name: str, per: float = 1.0, least: bool = False) -> Budget:
    def value(row: Row, device: Device) -> Any:
        found = row.figures[name]
        return None if found is None else found / per

    return Budget(words, unit, value, name, per, least)


BUDGETS: Mapping[str, Budget] = MappingProxyType({
    "ttft": _figure("time to first token", "s", "ttft"),
    "tpot": _figure("time per output token", "s", "tpot"),
    "total_time": _figure("time of the whole request", "s", "total_time"),
    "max_memory": _figure("peak memory", "B", "memory_peak"),
    "energy": _figure("energy per output token", "J", "joules_per_million", MILLION),
    "token_price": _figure("price of a million output tokens", "USD", "usd_per_million"),
    "price": Budget("price of the device", "USD", lambda row, device: device.price and device.price.value),
    "min_tps": _figure("end-to-end output tokens per second", "", "tokens_per_second", least=True),
    "context": Budget("tokens that a sequence can hold", "", lambda row, device: room(row), least=True),
})  # fmt: skip
"""What can be limited, by its name."""

FITS = "fits"
"""The budget that every device sets by itself: its memory."""


@dataclass(frozen=True, slots=True)
class Miss:
    """A budget that a combination does not meet: its value, the limit, and by what factor it is beyond.

    The value is None, and the factor infinite, where it is not known or no factor says it.
    """

    budget: str
    value: float | None
    limit: float
    factor: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A combination beside the budgets: what it misses, worst first, or how far it is within them.

    `values` are what budgets limit. `headroom` is the factor by which the `tightest` budget could be smaller; `certain`
    says that all are met at the far ends of the 95 % intervals too. `parameters` are those of the model.
    """

    row: Row
    parameters: int
    values: Mapping[str, float | None] = field(default_factory=dict)
    misses: tuple[Miss, ...] = ()
    headroom: float = inf
    tightest: str = ""
    certain: bool = False

    @property
    def feasible(self) -> bool:
        """Whether it can be run, fits, and meets every budget."""
        return not self.misses and not self.row.refused

    def to_dict(self) -> dict[str, Any]:
        """Plain values, SI units."""
        own = {
            "parameters": self.parameters,
            "values": self.values,
            "feasible": self.feasible,
            "headroom": self.headroom if self.feasible and self.tightest else None,
            "tightest": self.tightest or None,
            "certain": self.certain if self.feasible else None,
            "misses": [
                {
                    "budget": m.budget,
                    "value": m.value,
                    "limit": m.limit,
                    "factor": None if m.factor == inf else m.factor,
                }
                for m in self.misses
            ],
        }
        return {**self.row.to_dict(), **plain(own)}


@dataclass(frozen=True, slots=True)
class Advice:
    """Candidates: those that meet the budgets, best first, the others by how little they miss, what cannot be run last.

    `names` are the full names of devices and runtimes by what rows call them.
    """

    budgets: Mapping[str, float]
    rank: str
    feasible: tuple[Candidate, ...]
    others: tuple[Candidate, ...]
    refused: tuple[Candidate, ...]
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """All of them, in order."""
        return (*self.feasible, *self.others, *self.refused)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, SI units."""
        rows = [each.to_dict() for each in self.candidates]
        return {"schema": SCHEMA, "budgets": dict(self.budgets), "rank": self.rank, "rows": rows}


HEADROOM = "headroom"
"""What candidates are ranked by if nothing is said: how far the tightest budget is away."""


def advise(
    *models: str | Architecture, device: Any, runtime: Any = None, weights: Any = None, hour: float | None = None,
    rank: str = HEADROOM, budgets: Mapping[str, float], processes: int = 1,
    step: Callable[[int, int], None] = lambda done, of: None, **choices: Any,
) -> Advice:  # fmt: skip
    """Rank the combinations that meet budgets, and say of every other by how much it misses which.

    `budgets` are limits in SI units by the names of `BUDGETS`: ttft, tpot, total_time, max_memory, energy (per
    output token), token_price (of a million; `hour` is the rent of the device, else it is the usual price), price
    (of the device), min_tps and context. Without models all that ship are taken; without a runtime those of
    `STACKS` that are written for the device, and without weights the formats that are listed there, or the model's
    dtype. `rank` is `headroom`, `parameters` or a figure of `compare`. The rest is as for `compare`. Raises
    InputError.
    """
    check(budgets, rank)
    architectures = [_looked_up(each) for each in models or library.names("models")]
    devices = {each.id or each.name: each for each in map(_device, _several(device))}
    sizes = {each.id or each.name: each.total_parameters for each in architectures}
    rows: list[tuple[Row, Device, int]] = []
    names: dict[str, str] = {}
    for stack, fitting in _stacks(runtime, [*devices.values()]):
        asked: Any = {
            "model": architectures,
            "device": fitting,
            "runtime": [stack],
            "weights": _formats(stack, weights),
        }
        more = {name: _several(each) for name, each in choices.items()}
        if hour is not None:
            more["cost.price_per_hour"] = [f"{hour!r} USD/h"]
        made = compare_choices({**asked, **more}, processes, _after(len(rows), step))
        names |= made.labels.names
        rows += [(row, devices[row.chosen["device"]], sizes[row.chosen["model"]]) for row in made.rows]
    return weighed(rows, budgets, rank, names)


def weighed(
    rows: Sequence[tuple[Row, Device, int]], budgets: Mapping[str, float], rank: str, names: Mapping[str, str]
) -> Advice:
    """Advice on rows of a comparison, each with its device and the parameters of its model."""
    found = [_judged(row, device, budgets, parameters) for row, device, parameters in rows]
    feasible = sorted((each for each in found if each.feasible), key=lambda each: _place(each, rank))
    others = sorted((each for each in found if each.misses), key=lambda each: each.misses[0].factor)
    refused = (each for each in found if each.row.refused)
    return Advice(budgets, rank, tuple(feasible), tuple(others), tuple(refused), names)


def candidates(models: Sequence[Architecture], choices: Mapping[str, Sequence[Any]]) -> int:
    """How many combinations `advise` will look at, of choices that are lists."""
    devices = list(map(_device, choices["device"]))
    others = prod(len(each) for name, each in choices.items() if name not in ("device", "runtime", "weights"))
    stacks = _stacks(choices.get("runtime"), devices)
    return (
        sum(len(fitting) * len(_formats(stack, choices.get("weights"))) for stack, fitting in stacks)
        * len(models)
        * others
    )


def _formats(stack: Runtime, weights: Any) -> list[Any]:
    return _several(weights) if weights is not None else list(STACKS.get(stack.id, (None,)))


def _after(before: int, step: Callable[[int, int], None]) -> Callable[[int, int], None]:
    """What is told how far work has come, where so many were done before."""
    return lambda done, of: step(before + done, before + of)


def check(budgets: Mapping[str, float], rank: str) -> None:
    """Raises InputError for budgets that are none, and for a rank that there is not."""
    for name, limit in budgets.items():
        if name not in BUDGETS:
            raise UnknownName("budgets", name, BUDGETS)
        if not limit > 0:
            raise InputError(f"{name}: {limit} is no budget; it is above 0")
    if not budgets:
        raise InputError(f"there is no budget; give at least one of {', '.join(BUDGETS)}")
    known = (HEADROOM, "parameters", *FIGURES)
    if rank not in known:
        raise UnknownName("--rank", rank, known)


def _several(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _device(device: str | Device) -> Device:
    return library.device(device) if isinstance(device, str) else device


def _looked_up(model: str | Architecture) -> Architecture:
    return library.architecture(model) if isinstance(model, str) else model


def _stacks(runtime: Any, devices: Sequence[Device]) -> list[tuple[Runtime, list[Device]]]:
    """The runtimes, each with the devices that it is tried on: all if it is named, else those it is written for."""
    if runtime is not None:
        return [(library.runtime(each) if isinstance(each, str) else each, [*devices]) for each in _several(runtime)]
    known = [library.runtime(name) for name in STACKS]
    pairs = [(stack, [each for each in devices if stack.written_for(each.vendor, each.kind)]) for stack in known]
    for each in devices:
        if not any(each in fitting for _, fitting in pairs):
            raise InputError(
                f"no usual runtime is written for {each.id}; name some with --runtime (ideal is of any device)"
            )
    return [(stack, fitting) for stack, fitting in pairs if fitting]


def _judged(row: Row, device: Device, budgets: Mapping[str, float], parameters: int) -> Candidate:
    """A combination beside the budgets."""
    if row.refused:
        return Candidate(row, parameters)
    misses = [] if row.fits else [_unfit(row, device)]
    values: dict[str, float | None] = {}
    within: dict[str, float] = {}
    certain = True
    for name, limit in budgets.items():
        budget = BUDGETS[name]
        value = budget.value(row, device)
        values[name] = value
        if value is None or value != value:
            misses.append(Miss(name, None, limit, inf))
            continue
        beyond = _beyond(value, limit, budget.least)
        if beyond > 1:
            misses.append(Miss(name, float(value), limit, beyond))
        else:
            within[name] = 1 / beyond if beyond else inf
        ends = row.intervals.get(budget.interval, (value * budget.per,) * 2)
        certain = certain and _beyond(ends[0 if budget.least else 1] / budget.per, limit, budget.least) <= 1
    if misses:
        return Candidate(row, parameters, values, tuple(sorted(misses, key=lambda miss: -miss.factor)))
    tightest = min(within, key=lambda name: within[name])
    return Candidate(row, parameters, values, (), within[tightest], tightest, certain)


def _beyond(value: float, limit: float, least: bool) -> float:
    """How many times a value is beyond a limit; up to 1 it is within."""
    return (limit / value if value else inf) if least else value / limit


def _unfit(row: Row, device: Device) -> Miss:
    """By how much a combination does not fit the memory of the device; what it is reserved or grows to may be more."""
    peak, capacity = row.figures["memory_peak"], float(device.capacity)
    return Miss(FITS, peak, capacity, peak / capacity if peak > capacity else inf)


def _place(candidate: Candidate, rank: str) -> tuple[float, ...]:
    """The key by which feasible candidates are sorted; equal ones by their headroom."""
    if rank == HEADROOM:
        return (-candidate.headroom,)
    value = candidate.parameters if rank == "parameters" else candidate.row.figures[rank]
    if value is None or isinstance(value, str) or value != value:
        return (inf, -candidate.headroom)
    higher = rank == "parameters" or bool(FIGURES[rank].higher)
    return (-value if higher else value, -candidate.headroom)
