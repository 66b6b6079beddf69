"""What a load makes of a server: the times that users see, throughput, memory, cost, and how sure they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from roofsim.foundation.values import dataclass
from roofsim.foundation.version import SCHEMA
from roofsim.prediction.intervals import Interval
from roofsim.prediction.results import columns, interval_basis, plain
from roofsim.specs.workload import Workload

Times = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Cache:
    """Bytes of what sequences hold: the room for it, what is in it in the mean, and how many sequences it has room for.

    `preempts` says whether sequences grow beyond it, so that some are put back and computed again, `preemptions` how
    often that is counted for each request, in the mean; of requests that come at a rate it is not.
    """

    capacity: float
    used: float
    sequences: int
    preempts: bool
    preemptions: float = 0.0


@dataclass(frozen=True, slots=True)
class Throughput:
    """Output tokens per second: of one user, of a device, of all."""

    user: float
    device: float
    total: float


@dataclass(frozen=True)
class Served:
    """What a load makes of a setup. `to_dict` gives the JSON of the design, section 6; SI units.

    `concurrency` are the requests that are there, of which `running` are served, `rate` those that come (and are
    answered) in a second, `capacity` the rate that a full engine answers: requests at a higher one fill it, and wait
    ever longer. `itl` is the time between two tokens of a request, `ttft` from its arrival to the first.
    `energy_per_token` are the joules of all devices, those of prompts and of waiting among them, over the tokens of
    answers; `cost` has joules at the wall of tokens of either kind. `drafts` is what those gain (`gained.Gained`), if
    there are any.
    """

    model: str
    device: str
    runtime: str
    workload: Workload
    concurrency: float
    rate: float
    running: float
    capacity: float
    itl: Times
    ttft: Times
    tokens_per_second: Throughput
    binds: str
    kv: Cache
    energy_per_token: float
    intervals: Mapping[str, Interval]
    devices: int = 1
    assumptions: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    calibration: str | None = None
    cluster: str | None = None
    parallel: Mapping[str, int] = field(default_factory=lambda: {"tp": 1, "pp": 1, "ep": 1, "dp": 1})
    cost: Mapping[str, float | None] = field(default_factory=dict)
    paid: str = ""
    drafts: Any = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, SI units."""
        w = self.workload
        return {
            "schema": SCHEMA,
            "model": self.model,
            "device": self.device,
            "cluster": self.cluster,
            "runtime": self.runtime,
            "calibration": self.calibration,
            "parallel": dict(self.parallel),
            "workload": {
                "prompt": w.prompt,
                "generate": w.generate,
                "dtype": w.dtype,
                "cache_dtype": w.cache_dtype or w.dtype,
                "weight_format": w.weight_format or w.dtype,
            },
            "load": {"concurrency": self.concurrency, "rate": self.rate, "running": self.running,
                     "capacity": self.capacity},
            "itl": dict(self.itl),
            "ttft": dict(self.ttft),
            "tokens_per_second": plain(self.tokens_per_second),
            "binds": self.binds,
            "kv": plain(self.kv),
            "energy_per_token": plain(self.energy_per_token),
            "cost": {**dict.fromkeys(COSTS), **self.cost, "paid": self.paid},
            "intervals": plain(self.intervals),
            "basis": interval_basis(self.calibration),
            "cautions": list(self.cautions),
            "assumptions": list(self.assumptions),
            **({"drafts": columns(self.drafts)} if self.drafts else {}),
        }  # fmt: skip


COSTS = (
    "usd_per_million_output", "usd_per_million_input", "co2_per_million_output", "co2_per_million_input",
    "joules_per_token", "joules_per_input_token",
)  # fmt: skip
"""What is said of a million tokens: dollars, and kilograms of CO2; and joules at the wall of an output token and of an
input token, as `predict` has them."""
