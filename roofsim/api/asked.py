"""What one prediction was asked for: specs, the request, and what is changed; and the same asked otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

from roofsim import library
from roofsim.api import checked
from roofsim.api.words import (
    CalibrationLike,
    Changes,
    ClusterLike,
    Counts,
    DeviceLike,
    HostLike,
    Logits,
    ModelLike,
    RuntimeLike,
)
from roofsim.foundation.arith import single
from roofsim.foundation.errors import InputError
from roofsim.foundation.values import dataclass
from roofsim.model.architecture import Architecture
from roofsim.model.split import Split
from roofsim.prediction.fitted import AUTO, NONE, chosen
from roofsim.prediction.setup import DEFAULT_RUNTIME, Setup, setup
from roofsim.prediction.what_if import what_if
from roofsim.specs.calibration import Calibration
from roofsim.specs.cluster import Cluster
from roofsim.specs.device import Device
from roofsim.specs.host import Host
from roofsim.specs.runtime import Runtime
from roofsim.specs.workload import FIELDS, Workload, called, workload

CALLED: Mapping[str, str] = {field: word for word, field in FIELDS.items() if word != field}
"""Fields of a workload, and the words of the command line for them."""

ROOTS = ("model", "device", "cluster", "cost", "runtime", "host", "parameters")
"""What fields can be changed of."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The words of one prediction, as they were given."""

    model: ModelLike
    device: DeviceLike
    runtime: RuntimeLike = DEFAULT_RUNTIME
    prompt: Counts = 1024
    batch: Counts = 1
    generate: Counts = 128
    dtype: str | None = None
    weights: str | None = None
    cache: str | None = None
    logits: Logits | None = None
    host: HostLike = None
    calibration: CalibrationLike = AUTO
    transfer: bool = False
    set: Changes = ()
    weight_format: str | None = None
    cache_dtype: str | None = None
    tp: int = 1
    pp: int = 1
    ep: int = 1
    dp: int = 1
    cp: int = 1
    cluster: ClusterLike = None
    offload: str | None = None

    def setup(self) -> Setup:
        """Specs looked up, with their calibration and the changes; raises InputError."""
        found = setup(
            checked.spec("model", self.model, Architecture), checked.spec("device", self.device, Device),
            checked.spec("runtime", self.runtime, Runtime),
            None if self.host is None else checked.spec("host", self.host, Host),
            Split(*(checked.count(each.name, getattr(self, each.name)) for each in fields(Split))),
            None if self.cluster is None else checked.spec("cluster", self.cluster, Cluster),
        )  # fmt: skip
        calibration = NONE if self.calibration is None else checked.spec("calibration", self.calibration, Calibration)
        fitted = chosen(found, calibration, transfer=checked.flag("transfer", self.transfer))
        return what_if(fitted, checked.changes(self.set))

    def case(self, *, one: bool = True) -> tuple[Setup, Workload]:
        """The setup, with what is asked for in the memory of the host, and the request; only `one` if that is said."""
        s = self.setup()
        w = self.single(s.device) if one else self.workload(s.device)
        if self.offload is None:
            return s, w
        from roofsim.prediction.offload import offloaded

        return offloaded(s, w, checked.text("offload", self.offload)), w

    def workload(self, device: Device) -> Workload:
        """The request, in the device's own dtype unless another is asked for; raises InputError."""
        given = {
            "prompt": self.prompt, "batch": self.batch, "generate": self.generate, "logits": self.logits,
            "dtype": device.default_dtype if self.dtype is None else self.dtype,
            "weight_format": _either("weights", self.weights, "weight_format", self.weight_format),
            "cache_dtype": _either("cache", self.cache, "cache_dtype", self.cache_dtype),
        }  # fmt: skip
        with called(CALLED):
            return workload(**given)

    def single(self, device: Device) -> Workload:
        """As `workload`, for what takes one length and one batch."""
        w = self.workload(device)
        for name in ("prompt", "batch", "generate"):
            if not single(getattr(w, name)):
                raise InputError(f"{name}: one is expected here, not several; roofsim.compare and sweep take several")
        return w

    def otherwise(self, **given: object) -> Asked:
        """The same with other words. What is given a change (`memory.bandwidth=2x`), not a name, is changed itself.

        Changes follow those that there are. Raises InputError for words that there are not.
        """
        known = [each.name for each in fields(self)]
        words: dict[str, object] = {}
        more = list(checked.changes(given.pop("set", ())))
        for name, value in given.items():
            found = _changes(name, value) if name in ROOTS else []
            if found:
                more += found
            elif name in known:
                words[name] = value
            else:
                raise InputError(f"with_: no '{name}'; there are {', '.join((*known, 'parameters'))}")
        for name, old in CALLED.items():
            if old in words:
                words[name] = None
        made: Asked = replace(self, **{**words, "set": (*checked.changes(self.set), *more)})  # type: ignore[arg-type]
        return made


def _either(word: str, value: str | None, other: str, same: str | None) -> str | None:
    """A word that has two names; raises InputError if both are given."""
    if value is not None and same is not None:
        raise InputError(f"{word}, {other}: are one thing; give {word}")
    return value if same is None else same


def _changes(root: str, value: object) -> list[str]:
    """Changes below a root: text like `memory.bandwidth=2x`, several, or values by path; none for a name or a spec."""
    if isinstance(value, str) and (root == "parameters" or _is_change(value)):
        return [f"{root}.{value}"]
    if isinstance(value, Mapping | list | tuple):
        return [f"{root}.{each}" for each in checked.changes(value)]
    if root == "parameters":
        raise InputError(f"parameters: {checked.shown(value)} is no change; write it like gemm_efficiency=0.9")
    return []


def _is_change(text: str) -> bool:
    """Whether a text is a change, and not a name such as dense:width=1024."""
    path, equals, _ = text.partition("=")
    return bool(equals) and ":" not in path and "/" not in path


def device_of(value: DeviceLike) -> Device:
    """A device that is given in any way; raises InputError."""
    found = checked.spec("device", value, Device)
    return library.device(found) if isinstance(found, str) else found


def runtime_of(value: RuntimeLike) -> Runtime:
    """A runtime that is given in any way; raises InputError."""
    found = checked.spec("runtime", value, Runtime)
    return library.runtime(found) if isinstance(found, str) else found
