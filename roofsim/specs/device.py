"""What the silicon can do."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import field
from typing import Literal

from roofsim.foundation.arith import Number, minimum
from roofsim.foundation.errors import Unsupported
from roofsim.foundation.parameters import Stated, stated
from roofsim.foundation.quantity import (
    Bandwidth,
    Bytes,
    Count,
    Documented,
    Frequency,
    Name,
    Power,
    Price,
    Rate,
)
from roofsim.foundation.schema import Spec, variant

MatrixType = Literal["fp32", "tf32", "fp16", "bf16", "fp8", "int8", "fp4", "int4"]


class Memory(Spec):
    """Main memory."""

    capacity: Bytes
    """Size of main memory, as it is sold: what fits."""
    bandwidth: Bandwidth
    """Peak rate of main memory, as the data sheet says: the time of a decode step, of norms and of sums."""
    unified: bool
    """Whether CPU and GPU share it: a share of the memory that a runtime reserves is then one of all of it."""
    usable: Bytes | None = None
    """What one process can have, where that is less: the rest went to check bits, firmware and driver, or to the
    system and its display."""

    def __post_init__(self) -> None:
        if self.usable and self.usable.value > self.capacity.value:
            raise ValueError("usable is more than capacity")


class Cache(Spec):
    """Caches on the chip."""

    last_level: Bytes
    """The largest cache that all units share: what stays in it between two kernels is not read from memory again."""


class Peak(Spec):
    """Dense peaks by unit and dtype."""

    matrix: Mapping[MatrixType, Rate]
    """Peaks of the matrix units by dtype, without sparsity, summed up in fp32 unless a note says otherwise: the time of
    matrix products, and so of a prefill. A dtype that is not listed is one that the device cannot multiply."""
    fp16_accumulation: Rate | None = None
    """Peak of products in fp16 that are summed up in fp16, where it is another one."""
    nvfp4: bool = True
    """Whether its fp4 units take nvfp4, blocks of 16 with a scale in fp8, beside mxfp4."""
    vector: Mapping[Literal["fp32", "fp16"], Rate]
    """Peaks of the vector units by dtype: the time of softmax and scans, and of products in fp32 where no matrix unit
    takes them. fp32 must be there."""

    def __post_init__(self) -> None:
        if "fp32" not in self.vector:
            raise ValueError("vector.fp32 is missing")
        if not self.matrix:
            raise ValueError("matrix is empty; give at least one dtype")
        low, high = self.matrix.get("fp8"), self.matrix.get("bf16")
        if low and high and low.value < high.value:
            raise ValueError("matrix.fp8 is below matrix.bf16; one of them is wrong")


class PowerDraw(Spec):
    """Power that is drawn."""

    tdp: Power | None = None
    """The most that it draws: without it no energy is predicted."""
    idle: Power | None = None
    """What it draws when nothing runs."""
    dynamic: Power | None = None
    """What all of the device at work would draw beyond idle, where its clocks are held below what the limit allows;
    else it is tdp − idle."""
    rails: Mapping[str, Power] = field(default_factory=dict)
    """Supplies of the computing units alone, without memory and the rest, by name, and what each draws when nothing
    runs: energy that was measured at one is compared with theirs."""

    def __post_init__(self) -> None:
        if self.dynamic and self.tdp and self.dynamic.value > 2 * self.tdp.value:
            raise ValueError("dynamic is more than twice tdp; one of them is wrong")


class Links(Spec):
    """Links to what is around it."""

    device: Bandwidth | None = None
    """To other devices, both directions summed."""
    host: Bandwidth | None = None
    """To the host, each way."""


class Modes(Spec):
    """The names of the modes that the file of a device has."""

    names: tuple[str, ...] = ()


class Device(Documented):
    """One accelerator or processor. Sizes are SI floats: bytes, B/s, FLOP/s, Hz, W."""

    name: str
    """What it is called in full."""
    id: str = ""
    """What it is called on the command line: its file."""
    aliases: tuple[Name, ...] = ()
    """Other names of a shipped file."""
    vendor: str
    """Who makes it: with its kind, what is expected of such devices (NVIDIA gpu), and which runtimes are written for
    it."""
    kind: Literal["gpu", "soc", "cpu", "accelerator"]
    """A card, a chip that shares its memory with a processor, a processor alone, or a card that draws no graphics and
    runs no program that is written for such (TPU, Gaudi)."""
    year: Count | None = None
    """The year in which it came out; decides nothing."""
    memory: Memory
    """Main memory."""
    cache: Cache
    """Caches on the chip."""
    peak: Peak
    """Dense peaks by unit and dtype."""
    units: Count
    """Units that a kernel is spread over (SM, compute units, cores): one too small for all of them does not reach the
    peak."""
    clock: Frequency | None = None
    """Clock at which the peaks are reached; `--set device.clock` moves them with it."""
    power: PowerDraw = field(default_factory=PowerDraw)
    """Power that is drawn."""
    links: Links = field(default_factory=Links)
    """Links to what is around it."""
    price: Price | None = None
    """What it costs to buy."""
    host: Name | None = None
    """The computer around it, by name (`roofsim devices` lists them): how long a kernel takes to launch. Runtimes that
    launch from the host need one, here or as --host."""
    cluster: Name | None = None
    """The cluster in which several of it are thought to stand if none is named (`roofsim clusters` lists them): what
    links them, and what a node costs and draws."""
    plans_attention: bool = False
    """Whether the attention kernels that PyTorch prefers on it (cuDNN's) need a plan for every length of keys."""
    overlaps_softmax: bool = False
    """Whether its attention kernels compute the softmax of one tile during the products of another."""
    attention_rows: Count | None = None
    """Rows of queries that these take at once, where it is not 64."""
    like: Name | None = None
    """A shipped device that has the same chip: the parameters measured on that one hold for this one too."""
    parameters: Stated = field(default_factory=dict)
    """Parameters measured on such a device, by name (gemm_efficiency: 0.7, kernel_time: 2 us; docs/parameters.md lists
    them), in place of
    what is expected of its class. `roofsim calibrate` finds them from runs."""

    def __post_init__(self) -> None:
        super().__post_init__()
        stated(self.parameters)
        ridge = max(rate.value for rate in self.peak.matrix.values()) / self.memory.bandwidth.value
        if not 0.1 <= ridge <= 10_000:
            raise ValueError(f"the ridge point is {ridge:.3g} FLOP/B; between 0.1 and 10000 would be plausible")

    @property
    def capacity(self) -> Number:
        """Bytes that a program can get."""
        return (self.memory.usable or self.memory.capacity).value

    def share(self, part: Number) -> Number:
        """Bytes for a program that asks for a part of the total that it is shown; no more than there is.

        Shown is what the driver of a card counts, which is all that is usable; shared memory is shown whole.
        """
        shown = self.memory.capacity.value if self.memory.unified else self.capacity
        return minimum(part * shown, self.capacity)

    def matrix_peak(
        self, dtype: str, accumulates: str = "fp32", rounds: bool = False, by_vectors: bool = False
    ) -> Number:
        """Dense rate of products in `dtype` in FLOP/s; raises Unsupported if there is no unit for it.

        Those in fp32 have the vector unit where no matrix unit takes them, as tf32 only if the library `rounds` them.
        All have it where a program leaves the matrix unit alone (`by_vectors`).
        """
        return self._matrix_unit(dtype, accumulates, rounds, by_vectors)[1].value

    def matrix_path(self, dtype: str, accumulates: str = "fp32", rounds: bool = False, by_vectors: bool = False) -> str:
        """Where the peak stands that products in `dtype` have; raises Unsupported if there is no unit for it."""
        return self._matrix_unit(dtype, accumulates, rounds, by_vectors)[0]

    def _matrix_unit(self, dtype: str, accumulates: str, rounds: bool, by_vectors: bool) -> tuple[str, Rate]:
        if by_vectors:
            return VECTOR_PATH, self.peak.vector["fp32"]
        if dtype == accumulates == "fp16" and self.peak.fp16_accumulation:
            return "peak.fp16_accumulation", self.peak.fp16_accumulation
        for each in ("fp32", "tf32") if dtype == "fp32" and rounds else (dtype,):
            rate = self.peak.matrix.get(each)
            if rate:
                return f"peak.matrix.{each}", rate
        if dtype == "fp32":
            return VECTOR_PATH, self.peak.vector["fp32"]
        raise Unsupported(
            f"{self.id or self.name}: no matrix peak for {dtype}; it has {', '.join(self.peak.matrix)} "
            "(choose one with --dtype)"
        )

    @property
    def default_dtype(self) -> str:
        """bf16 where there is a unit for it, else fp16, else fp32."""
        return next((d for d in ("bf16", "fp16") if d in self.peak.matrix), "fp32")

    @property
    def ridge_point(self) -> Number:
        """FLOP/B at which the default dtype stops being bound by memory."""
        return self.matrix_peak(self.default_dtype) / self.memory.bandwidth.value


VECTOR_PATH = "peak.vector.fp32"
"""Where the peak of the vector unit stands."""

DRIVES_PEAKS = ("clock", "units")
"""Fields to which peaks are proportional: a datasheet's peak is units × clock × what a unit does in a cycle."""


def with_usable(device: Device, factor: Number) -> Device:
    """The device with so many times its usable memory, where that is less than all."""
    usable = device.memory.usable
    if usable is None:
        return device
    return variant(device, memory=variant(device.memory, usable=variant(usable, value=usable.value * factor)))


def with_peaks(device: Device, factor: Number, keep: Container[str] = ()) -> Device:
    """The device with all peaks larger by a factor, but those at paths below `peak` that are to stay."""

    def scaled(path: str, rate: Rate) -> Rate:
        return rate if path in keep else variant(rate, value=rate.value * factor)

    old = device.peak
    sides = {
        side: {dtype: scaled(f"{side}.{dtype}", rate) for dtype, rate in getattr(old, side).items()}
        for side in ("matrix", "vector")
    }
    fp16 = old.fp16_accumulation and scaled("fp16_accumulation", old.fp16_accumulation)
    return variant(device, peak=variant(old, fp16_accumulation=fp16, **sides))
