"""What is predicted: a model on a device with a runtime and a host, under given or fitted parameters."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import field, fields, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from roofsim import library
from roofsim.engine.passes import Basis, Stack
from roofsim.engine.roofline import Machine, machine
from roofsim.foundation.arith import Number, minimum, single
from roofsim.foundation.errors import InputError, Unsupported
from roofsim.foundation.values import dataclass
from roofsim.lowering.step import facts
from roofsim.model.architecture import Architecture
from roofsim.model.split import Split
from roofsim.model.step import Precision, Product
from roofsim.model.weights import ACTIVATION_BYTES, ENCODINGS
from roofsim.prediction.cost import Rates, rates
from roofsim.specs.caches import check_cache
from roofsim.specs.calibration import Calibration
from roofsim.specs.device import Device
from roofsim.specs.host import Host
from roofsim.specs.population import Priors
from roofsim.specs.products import product_of
from roofsim.specs.runtime import Runtime
from roofsim.specs.workload import STORED, StateType, Workload

if TYPE_CHECKING:
    from roofsim.engine.placement import Disk, Link, Placement, Tiers
    from roofsim.specs.cluster import Cluster
    from roofsim.specs.terms import Terms

DEFAULT_RUNTIME = "transformers-4.52-eager"
"""The stack of the SSM-Scope measurements, against which the model is checked."""


ALONE = Split()
"""One device."""


@dataclass(frozen=True, slots=True)
class Offload:
    """What of a model lies in the memory of the host, and by what it is computed there, if it is.

    `words` is how it is asked for, `found` that it was looked for: nothing lies there if all fits the device. `faster`
    is a factor on the rates that the link and the disk are taken to reach.
    """

    words: str
    placement: Placement
    beside: Setup | None
    found: bool = False
    faster: Number = 1


@dataclass(frozen=True)
class Setup:
    """Everything but the workload: what runs, on what, with which software, fed by which host.

    `parameters` are set for this run, `changes` says in words what a what-if changed in the specs, `near` which
    calibration is not for this setup, but might be transferred to it. `stored` is how weights are stored whatever their
    sizes are, where these vary. `cluster` is what the device stands in, where one is named or several are used: the
    model is divided among its devices as `split` says. `terms` are those on which it is used; `offload` says what does
    not lie on the device, if something does not.
    """

    architecture: Architecture
    device: Device
    runtime: Runtime
    host: Host | None
    parameters: Mapping[str, Number] = field(default_factory=dict)
    changes: tuple[str, ...] = ()
    calibration: Calibration | None = None
    near: str = ""
    stored: Precision | None = None
    split: Split = ALONE
    cluster: Cluster | None = None
    terms: Terms = field(default_factory=library.usual_terms)
    offload: Offload | None = None

    @property
    def rates(self) -> Rates:
        """What its seconds and joules cost."""
        return rates(self)

    @property
    def devices(self) -> int:
        """How many devices compute."""
        return self.split.devices

    def machine(self, dtype: str) -> Machine:
        """The numbers that decide time, of the device, the host and the calibration."""
        return machine(self.device, self.host, dtype, {**self.fitted, **self.parameters}, self.runtime, self.cluster)

    def stack(self, dtype: str) -> Stack:
        """What runs a pass with activations in `dtype`; what of it is streamed comes over the link."""
        made = Stack(self.rank, self.runtime, self.device, self.machine(dtype))
        if self.offload is None or self.offload.placement.nothing or self.waits:
            return made
        from roofsim.engine.tiers import run_streamed

        return replace(made, divided=partial(run_streamed, self._tiers(made, None, Precision())))

    @cached_property
    def rank(self) -> Architecture:
        """What one device computes in a pass through all stages; the model itself on one device."""
        return self._sharing(self.architecture.sharded(self.split))

    @cached_property
    def stage(self) -> Architecture:
        """What the device holds that holds most."""
        return self._fullest[0]

    @cached_property
    def _fullest(self) -> tuple[Architecture, Placement | None]:
        """The same, and what of it lies on the host, if anything does."""
        where = self.offload.placement if self.offload else None
        if self.split.pp == 1:
            return self.rank, where
        if where is None or where.nothing:
            return self._sharing(self.architecture.stage(self.split)), None
        from roofsim.engine.placement import fullest

        return fullest(self.rank, where, self.split.pp)

    def _sharing(self, rank: Architecture) -> Architecture:
        """What it shares with other ranks of a layer as the runtime says."""
        policy = self.runtime.parallel
        return rank.sharing(policy.copies == "shared", policy.stream == "shared")

    @property
    def waits(self) -> bool:
        """Whether devices wait for the processor of their host in every pass, so that one stage works at a time."""
        return self.offload is not None and self.offload.beside is not None

    def tiers(self, w: Workload) -> Tiers | None:
        """The device and the processor beside it, where something lies on the host; else None."""
        if self.offload is None or self.offload.placement.nothing:
            return None
        beside = self.offload.beside
        return self._tiers(
            self.stack(w.dtype),
            beside.stack(computed_in(beside.device, w.dtype)) if beside else None,
            beside.precision(w) if beside else self.precision(w),
        )

    def _tiers(self, device: Stack, processor: Stack | None, precision: Precision) -> Tiers:
        """A device and what computes beside it, in a precision, with what lies where."""
        from roofsim.engine.placement import Placement, Tiers

        stage, its = self._fullest
        where = self.offload.placement if self.offload else Placement()
        return Tiers(
            device, processor, precision, where, self.link, self.architecture, (stage, its or where), self.disk,
            self.split.stage,
        )  # fmt: skip

    @property
    def disk(self) -> Disk | None:
        """The disk behind the memory of the host, where the software reads from it what finds no room there."""
        if not self.runtime.offload.maps or self.host is None or self.host.disk is None:
            return None
        from roofsim.engine.placement import Disk

        faster = self.offload.faster if self.offload else 1
        return Disk(faster * self.host.disk.value, tier(self).capacity)

    @property
    def link(self) -> Link:
        """The way to the memory of the host, as the runtime uses it; raises Unsupported for a device without one."""
        policy, link = self.runtime.offload, self.device.links.host
        if link is None:
            raise Unsupported(
                f"{self.device.id}: links.host is not stated: the rate at which it is reached from its host"
            )
        from roofsim.engine.placement import Link

        reached: Number = policy.reaches.value if policy.reaches else 1
        if self.offload:
            reached = reached * self.offload.faster
        crossing = policy.crossing.value if policy.crossing else 0
        copies_from = policy.copies_from if policy.processor else None
        rate = reached * link.value
        if not self.split.alone:  # which read the memory of the host at the same time
            at_once = self.split.stage * (self.split.pp if self.runtime.parallel.micro_batches else 1)
            rate = minimum(rate, tier(self).memory.bandwidth.value / at_once)
        return Link(rate, crossing, policy.streams or "copied", copies_from, policy.experts == "used")

    def precision(self, w: Workload) -> Precision:
        """Bytes per element, and how quantised weights are multiplied; raises Unsupported if they cannot be.

        So it does for a cache that the runtime cannot keep.
        """
        if self.stored:
            return self.stored
        if w.cache_dtype is not None:
            check_cache(w.cache_dtype, w.dtype, self.runtime, self.architecture)
        name = self.weights(w)
        if name == w.dtype:
            return w.precision(self.state, self.architecture)
        product = product_of(name, self.runtime, self.device)
        return with_scales(w.precision(self.state, self.architecture, product), name, product)

    def formats(self, w: Workload, kinds: Container[str]) -> tuple[str, str]:
        """The formats of the weights, and of keys and values where there is attention among the kinds of operator."""
        return self.weights(w), (w.cache_dtype or w.dtype) if "attention" in kinds else ""

    def weights(self, w: Workload) -> str:
        """The format of the weights, else the family of their encodings: what was asked for, what the file is in."""
        if w.weight_format not in (None, STORED):
            return str(w.weight_format)
        kept = self.architecture.stored
        return (kept.format or kept.family if kept else None) or w.dtype

    @property
    def state(self) -> StateType:
        """The dtype of recurrent states: fp32 or the model's."""
        return "fp32" if facts(self.architecture, self.runtime).fp32_state else self.runtime.state

    @property
    def fitted(self) -> Mapping[str, float]:
        """What the calibration says of this device and runtime, and of the host if it is the one it was made with."""
        if self.calibration is None:
            return {}
        same = self.host is not None and self.host.id == self.calibration.host
        return self.calibration.values(("device", "runtime", "host") if same else ("device", "runtime"))

    @property
    def priors(self) -> Priors:
        """What is expected of such devices with such runtimes."""
        return library.priors(self.device, self.runtime)

    def basis(self, parameter: str) -> Basis:
        """Where the value of a calibratable parameter is from."""
        if parameter in self.parameters:
            return "set"
        if parameter in self.fitted and self.calibration and self.calibration.parameters[parameter].determined:
            return "calibrated"
        return "calibrated" if parameter in {**library.stated(self.device), **self.runtime.parameters} else "prior"

    @property
    def device_name(self) -> str:
        """What runs the model, in full: one device, or several, what they stand in and how it is divided."""
        if self.split.alone or self.cluster is None:
            return self.device.name
        return f"{self.split.devices} x {self.device.name} ({self.cluster_name}), {in_words(self.split)}"

    @property
    def cluster_name(self) -> str | None:
        """What the cluster is called, if there is one."""
        return self.cluster.id or self.cluster.name if self.cluster else None

    @property
    def model_name(self) -> str:
        """What the model is called."""
        return self.architecture.id or self.architecture.name

    @property
    def calibration_name(self) -> str | None:
        """What the calibration is called, if there is one."""
        return self.calibration.id or self.calibration.name if self.calibration else None


def with_scales(made: Precision, weights: str | None, product: Product) -> Precision:
    """The same where sums are multiplied by scales within a product of such weights, if it is on quantised inputs."""
    form = ENCODINGS.get(weights or "")
    return replace(made, scaled=form.scaled) if form and form.scaled and product in ACTIVATION_BYTES else made


def setup(
    model: str | Architecture,
    device: str | Device,
    runtime: str | Runtime = DEFAULT_RUNTIME,
    host: str | Host | None = None,
    split: Split = ALONE,
    cluster: str | Cluster | None = None,
) -> Setup:
    """Look up names, aliases and paths; the host is the device's own unless named, the cluster its usual one.

    A cluster that is named in the place of a device means one of its devices, and itself for several.
    Raises Unsupported for a model that cannot be divided so, or among devices of this cluster.
    """
    found = library.device(device) if isinstance(device, str) else device
    stack = library.runtime(runtime) if isinstance(runtime, str) else runtime
    network = library.architecture(model) if isinstance(model, str) else model
    if stack.supports and network.family not in stack.supports:
        known, who = ", ".join(stack.supports), stack.id or stack.name
        if not network.family:
            raise Unsupported(
                f"{who} runs models by their family, and {network.id or network.name} states none; say in its file "
                f"which it is like (`family: llama`); {who} runs {known}"
            )
        raise Unsupported(f"{who} does not run {network.family} ({network.name}); it runs {known}")
    if facts(network, stack).whole_cache:
        network = network.with_whole_caches()
    chosen = host or found.host
    made = library.host(chosen) if isinstance(chosen, str) else chosen
    around = library.cluster(cluster) if isinstance(cluster, str) else cluster
    if around is None and isinstance(device, str):
        around = library.stands_for(device)
    if around is None and not split.alone:
        around = library.cluster_of(found)
    check_divided(network, found, stack, split, around)
    return Setup(network, found, stack, made, split=split, cluster=around)


def check_divided(model: Architecture, device: Device, runtime: Runtime, split: Split, cluster: Cluster | None) -> None:
    """Raises Unsupported unless the runtime divides a model so, the cluster has devices for it and sizes divide."""
    if cluster and cluster.device != device.id.partition("@")[0]:
        name = cluster.id or cluster.name
        raise Unsupported(f"--cluster {name}: is of {cluster.device}, not of {device.id}; -d {name} means its devices")
    if split.alone:
        return
    can, who = runtime.parallel.divides, runtime.id or runtime.name
    for each in fields(split):
        if getattr(split, each.name) > 1 and each.name not in can:
            others = f"; it divides by {', '.join(can)}" if can else ""
            raise Unsupported(f"--{each.name} {getattr(split, each.name)}: {who} does not divide a model so{others}")
    if cluster and split.devices > cluster.devices:
        raise Unsupported(
            f"{split.devices} devices ({in_words(split)}): {cluster.id or cluster.name} has {cluster.devices} "
            f"({cluster.nodes} x {cluster.per_node}); divide among no more, or name a larger one (--cluster)"
        )
    policy, units = runtime.parallel, device.units.value
    if policy.units and policy.overlaps == "halves" and single(policy.units.value) and policy.units.value >= units:
        raise Unsupported(f"{who}: exchanges take {policy.units.value:g} units, and {device.id} has {units:g}")
    try:
        model.sharded(split).sharing(policy.copies == "shared", policy.stream == "shared")
    except InputError as problem:
        raise Unsupported(str(problem)) from None


def in_words(split: Split) -> str:
    """How a model is divided: TP 8, PP 2."""
    return ", ".join(f"{each.name.upper()} {n}" for each in fields(split) if (n := getattr(split, each.name)) > 1)


def computed_in(processor: Device, dtype: str) -> str:
    """The dtype in which a processor computes with activations in another: that, or the one it has units for."""
    return dtype if dtype == "fp32" or dtype in processor.peak.matrix else processor.default_dtype


def tier(s: Setup) -> Device:
    """The processor of the host, whose memory is the tier behind that of the device; raises Unsupported without one."""
    d, host = s.device, s.host
    if d.memory.unified:
        raise Unsupported(
            f"offload: {d.id} has no second tier of memory: its processor shares the memory of the device, so that "
            "nothing would be gained, and behind it is only the disk"
        )
    if host is None or host.processor is None:
        who = f"host {host.id}" if host else f"{d.id}, which names no host,"
        raise Unsupported(
            f"offload: nothing is known of the memory of {who}; use --host, or say "
            "`processor: ryzen-9-7950x` in its file"
        )
    return library.device(host.processor)
