"""What a prediction hands out, and as which plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from roofsim.engine.memory import Memory
from roofsim.engine.passes import OperatorRow, PassFigures
from roofsim.engine.roofline import Bound
from roofsim.foundation.arith import Number, maximum
from roofsim.foundation.values import dataclass
from roofsim.foundation.version import SCHEMA
from roofsim.model.split import Split
from roofsim.prediction.cost import HOUR, NO_COST, Cost, CostBasis
from roofsim.prediction.evaluation import Request
from roofsim.prediction.setup import ALONE
from roofsim.specs.workload import Workload

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from roofsim.prediction.offload_report import Offloaded

Intervals = Mapping[str, tuple[float, float]]
IntervalBasis = Literal["prior", "calibrated"]


def interval_basis(calibration: str | None) -> IntervalBasis:
    """What intervals rest on, with this calibration or with none."""
    return "calibrated" if calibration else "prior"


def of_arrays() -> None:
    """Limits, intervals and bounds of arrays: there are none."""


@dataclass(frozen=True)
class PassPrediction(PassFigures):
    """The figures of one pass. What bounds it and its operators are made when asked for, of numbers, not of arrays."""

    _table: Callable[[], tuple[OperatorRow, ...]] = field(default=tuple, repr=False, compare=False)
    _bound: Callable[[], Bound | None] = field(default=of_arrays, repr=False, compare=False)

    @cached_property
    def operators(self) -> tuple[OperatorRow, ...]:
        """Its operators, summed over equal layers."""
        return self._table()

    @cached_property
    def bound(self) -> Bound | None:
        """What bounds it."""
        return self._bound()


Reason = Literal["memory", "context window", "nothing"]
"""What ends a limit; nothing does where even the largest number that can be asked for fits."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The longest prompt at this batch, and the largest batch at this prompt; 0 if even 1 does not fit.

    `prompt_bound` and `batch_bound` say what ends them; `memory_prompt` is the longest prompt that memory holds, which
    may be beyond the context window.
    """

    max_prompt: int
    max_batch: int
    prompt_bound: Reason
    batch_bound: Reason
    memory_prompt: int


@dataclass(frozen=True, slots=True)
class Room:
    """What a runtime has room for: bytes of the device's memory, with the rest in words, and sequences at once."""

    bytes: float
    words: str
    sequences: int | None


@dataclass(frozen=True)
class Prediction:
    """Everything that `roofsim predict` shows. `to_dict` gives the JSON of the design, section 6.

    Limits and 95 % intervals are found when asked for; there are none for arrays. `basis` says what the intervals
    rest on: a calibration, or the priors of such devices and runtimes. `room` is what the runtime may take of the
    memory; `cautions` say, one sentence each, what must be known before a figure is used: first of all that
    the request does not fit. `cost` is that of the request and of its tokens, on the terms of `cost_basis`.
    """

    model: str
    device: str
    runtime: str
    host: str | None
    workload: Workload
    capacity: float
    room: Room
    positions: int | None
    grown: Number
    prefill: PassPrediction
    decode: PassPrediction
    request: Request
    memory: Memory
    assumptions: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    calibration: str | None = None
    split: Split = ALONE
    cluster: str | None = None
    cost: Cost = NO_COST
    cost_basis: CostBasis | None = None
    offload: Offloaded | None = None
    _limits: Callable[[], Limits | None] = field(default=of_arrays, repr=False, compare=False)
    _intervals: Callable[[], Intervals | None] = field(default=of_arrays, repr=False, compare=False)

    @cached_property
    def limits(self) -> Limits | None:
        """The longest prompt at this batch, and the largest batch at this prompt."""
        return self._limits()

    @cached_property
    def intervals(self) -> Intervals | None:
        """The 95 % interval of each figure by its name."""
        return self._intervals()

    @property
    def basis(self) -> IntervalBasis:
        """What the intervals rest on."""
        return interval_basis(self.calibration)

    @property
    def fits(self) -> bool | NDArray[np.bool_]:
        """Whether the request fits the device and the positions of the model."""
        steps: Any = maximum(self.workload.generate - 1, 0)
        enough = self.positions is None or self.workload.prompt + steps <= self.positions
        held: tuple[Any, Any] = self.memory.reserved, self.grown
        enough = enough and (self.offload is None or all(each.fits for each in self.offload.tiers))
        inside: bool | NDArray[np.bool_] = (held[0] <= self.room.bytes) & (held[1] <= self.room.bytes) & enough
        return inside

    def to_dict(self) -> dict[str, Any]:
        """Plain values, SI units; arrays become lists."""
        w = self.workload
        memory = columns(self.memory)
        binding = memory.pop("binding")
        result: dict[str, Any] = plain(
            {
                "schema": SCHEMA,
                "model": self.model,
                "device": self.device,
                "cluster": self.cluster,
                "parallel": parallel(self.split),
                "runtime": self.runtime,
                "host": self.host,
                "calibration": self.calibration,
                "workload": {
                    "batch": w.batch,
                    "prompt": w.prompt,
                    "generate": w.generate,
                    "dtype": w.dtype,
                    "cache_dtype": w.cache_dtype or w.dtype,
                    "weight_format": w.weight_format or w.dtype,
                    "logits": w.logits,
                },
                "prefill": _pass_fields(self.prefill),
                "decode": _pass_fields(self.decode),
                "request": columns(self.request),
                "cost": {
                    "usd": self.cost.request,
                    **{name: x for name, x in columns(self.cost).items() if name != "request"},
                    "watt_hours_per_token": self.cost.joules_per_token / HOUR,
                    **(columns(self.cost_basis) if self.cost_basis else {}),
                },
                "memory": {"capacity": self.capacity, **memory, "fits": self.fits, "binding": binding},
                **({"offload": _offload_fields(self.offload)} if self.offload else {}),
                "limits": columns(self.limits) if self.limits else None,
                **({"intervals": self.intervals, "basis": self.basis} if self.intervals is not None else {}),
                "cautions": list(self.cautions),
                "assumptions": list(self.assumptions),
            }
        )
        return result


def parallel(split: Split) -> dict[str, int]:
    """How a model is divided, and among how many devices, as JSON has it."""
    return {**{each.name: getattr(split, each.name) for each in fields(split)}, "devices": split.devices}


def _pass_fields(p: PassPrediction) -> dict[str, Any]:
    """The fields of the JSON contract, operators last."""
    names = ("time", "device_time", "idle_time", "host_time", "kernels", "matrix_flops", "vector_flops", "bytes",
             "network", "bound", "mfu", "mbu", "energy", "operators")  # fmt: skip
    return {name: getattr(p, name) for name in names}


def _offload_fields(found: Offloaded) -> dict[str, Any]:
    """What lies where, and of each pass what binds it."""
    parts = {name: getattr(found, name) for name in ("prefill", "decode")}
    return {**columns(found), **{name: each and {**columns(each), "binds": each.binds} for name, each in parts.items()}}


def columns(value: Any) -> dict[str, Any]:
    """The fields of a result by name."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def plain(value: Any) -> Any:
    """`value` in the types that JSON knows."""
    if type(value) in (float, int, str):
        return None if value != value else value  # JSON knows no number that is none
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if hasattr(value, "__dataclass_fields__"):
        return plain(columns(value))
    if hasattr(value, "tolist"):
        return value.tolist()
    return None if value != value else value
