"""Time of a kernel: the roofline of a launch, and what the host needs for it. The only maxima of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Literal

from roofsim import library
from roofsim.foundation.arith import Number, at_least, ceil, maximum, minimum, single
from roofsim.foundation.cost import Cost
from roofsim.foundation.errors import InputError
from roofsim.foundation.parameters import PARAMETERS
from roofsim.foundation.values import dataclass
from roofsim.lowering.kernels import Class, Exchange, Kernel
from roofsim.model.step import Phase
from roofsim.specs.device import VECTOR_PATH, Device
from roofsim.specs.host import Host
from roofsim.specs.runtime import MatrixLibrary, Runtime

if TYPE_CHECKING:
    from roofsim.engine.network import Network
    from roofsim.specs.cluster import Cluster

FLOP_PER_CLOCK = 256
"""fp32 FLOP of a compute unit and clock, for devices that state no clock: 128 lanes with a multiply-add each."""
TILE_ROWS = 64
"""Rows of queries in a tile of attention: FlashAttention-2 on a paged cache (flash_fwd_launch_template.h)."""
FULL = 9 / 10
"""Share of the places in the rounds of units that tiles fill, from which on none is cut (`launch_mul_mat_q`)."""
LATENCY = 280
"""Clocks until data come from the last-level cache: 222 to 339 on an L40, the mean of its units (arXiv 2606.22588)."""
CACHE_BYTES = 64
"""Bytes that a unit takes from the last-level cache per clock (Jia et al. 2018, arXiv 1804.06826, from memory): what
several blocks read at the same time comes as fast as that, or at the speed of cached activations if that is more."""
BLOCKS = 2
"""Blocks with a tile in registers that a unit keeps going at once (`fattn_mma_config` at head widths up to 256)."""
RESIDENT = 16
"""Blocks of 128 threads that a unit with 2,048 threads keeps going at once."""

Bound = Literal["compute", "memory", "launch", "network"]


@dataclass(frozen=True, slots=True)
class Machine:
    """The numbers of a device, a host and a runtime that decide time; SI units.

    `matrix_rate` is the dense peak of products in the dtype of activations, `peaks` that of every unit there is;
    `clock` is that of the units, `softmax_overlap` 1 where attention's kernels compute the softmax during the products,
    else 0, `tile_rows` how many rows of queries they take at once. Products on the units of `by_vectors` (None: in the
    dtype of activations) are the vector unit's. `network` are the links to other
    devices, where there are any. Every number may also be a symbol: then times are formulas.
    """

    matrix_rate: Number
    vector_rate: Number
    bandwidth: Number
    cache: Number
    units: Number
    parameters: Mapping[str, Number]
    clock: Number = 1e9
    peaks: Mapping[str, Number] = field(default_factory=dict)
    softmax_overlap: Number = 0
    tile_rows: Number = TILE_ROWS
    by_vectors: frozenset[str | None] = frozenset()
    network: Network | None = None

    def rate(self, unit: str | None) -> Number:
        """The dense peak of a unit, if the device has it; else that of the dtype of activations."""
        return self.matrix_rate if unit is None else self.peaks.get(unit, self.matrix_rate)

    def __getitem__(self, parameter: str) -> Number:
        """The value of a calibratable parameter."""
        return self.parameters[parameter]


def machine(
    device: Device, host: Host | None, dtype: str, changes: Mapping[str, Number] | None = None,
    runtime: Runtime | None = None, cluster: Cluster | None = None,
) -> Machine:  # fmt: skip
    """The machine for matrix work in `dtype` as the runtime sums it up; raises Unsupported if there is no such unit.

    With a `cluster`, it has the links of one of its devices.

    A parameter is at its prior for such devices and runtimes, unless the device or the host states it, or `changes` do.
    """
    values: dict[str, Number] = {**library.priors(device, runtime).values}
    values |= {name: sourced.value for name, sourced in library.stated(device).items()}
    if host:
        values |= of_host(host, values)
    if runtime:
        values |= {name: sourced.value for name, sourced in runtime.parameters.items()}
    vector, rows = device.peak.vector["fp32"].value, device.attention_rows
    sums = runtime.matrix_library if runtime else MatrixLibrary()
    vectors = device.id in sums.by_vectors
    units = {None: dtype, "fp32": "fp32"} | ({unit: str(unit) for unit in device.peak.matrix} if vectors else {})
    return Machine(
        device.matrix_peak(dtype, sums.accumulates, sums.rounds, vectors),
        vector,
        device.memory.bandwidth.value,
        device.cache.last_level.value,
        device.units.value,
        values | dict(changes or {}),
        device.clock.value if device.clock else vector / (FLOP_PER_CLOCK * device.units.value),
        {str(unit): device.matrix_peak(unit, sums.accumulates, by_vectors=vectors) for unit in device.peak.matrix}
        | {"fp32": device.matrix_peak("fp32", rounds=sums.rounds, by_vectors=vectors)},
        int(device.overlaps_softmax),
        rows.value if rows and runtime and runtime.attention.tiles == "device" else TILE_ROWS,
        frozenset(
            unit
            for unit, of in units.items()
            if device.matrix_path(of, rounds=sums.rounds, by_vectors=vectors) == VECTOR_PATH
        ),
        _network(cluster),
    )


def _network(cluster: Cluster | None) -> Network | None:
    """The links of a cluster; what is for several devices is not loaded for one."""
    if cluster is None:
        return None
    from roofsim.engine import network

    return network.network_of(cluster)


def of_host(host: Host, values: Mapping[str, Number]) -> dict[str, Number]:
    """What a host states, and what goes with it: one that takes longer for a launch takes longer for Triton's too."""
    slower = host.dispatch.value / PARAMETERS["dispatch"].prior
    return {"dispatch": host.dispatch.value, "triton_dispatch": values["triton_dispatch"] * slower}


@dataclass(frozen=True, slots=True)
class Terms:
    """What competes for the time of one launch, in seconds: the largest wins, `fixed` comes on top.

    `filling` is what computing loses while the device is not yet full, or waits for data. What devices do together
    takes its time on the `network`, in which units and memory do little. The launch takes `least`
    seconds at least and `most` at most, where there are such limits, whatever they are; of these, `busy` are worked in.
    """

    fixed: Number
    compute: Number
    memory: Number
    filling: Number = 0
    least: Number | None = None
    most: Number | None = None
    busy: Number | None = None
    network: Number | None = None

    @property
    def time(self) -> Number:
        """Seconds that the launch keeps the device busy."""
        time = self.fixed + maximum(self.compute + self.filling, self.memory)
        time = time if self.network is None else maximum(time, self.fixed + self.network)
        time = time if self.least is None else maximum(time, self.least)
        return time if self.most is None else minimum(time, self.most)

    @property
    def working(self) -> Number:
        """Those of them in which units or memory are at work."""
        if self.network is not None:
            return maximum(self.compute + self.filling, self.memory)
        beyond = self.time - self.fixed
        beyond = beyond if self.most is None else maximum(beyond, 0)
        return beyond if self.busy is None else minimum(beyond, self.busy)

    @property
    def bounds(self) -> Mapping[Bound, Number]:
        """1 for the term that decides, 0 for the others."""
        computes = at_least(self.compute + self.filling, self.memory)
        unfilled = computes * at_least(self.fixed + self.filling, self.compute)
        waits = (1 - computes) * at_least(self.fixed, self.memory)
        alone: dict[Bound, Number] = {
            "launch": unfilled + waits, "compute": computes - unfilled, "memory": 1 - computes - waits
        }  # fmt: skip
        if self.network is None:
            return alone
        exchanges = at_least(self.network, maximum(self.compute + self.filling, self.memory))
        return {"network": exchanges, **{bound: (1 - exchanges) * decides for bound, decides in alone.items()}}

    @property
    def bound_times(self) -> Mapping[Bound, Number]:
        """The time by the term that decides it; nought for the others."""
        time = self.time
        return {bound: time * decides for bound, decides in self.bounds.items()}

    @property
    def bound(self) -> Bound:
        """The term that decides (for numbers, not for arrays or symbols)."""
        return next(bound for bound, decides in self.bounds.items() if decides)


_RATE = {"gemm": "gemm_efficiency", "attention": "attention_efficiency", "delta": "delta_efficiency"}
_RATE_BY_VECTORS = {"gemm": "vector_product_efficiency"}
"""The same where the vector unit computes the products."""
_RATE_OF_VECTOR = {
    "ssd": "ssd_efficiency",
    "masked_attention": "masked_attention_efficiency",
    "narrow_masked_attention": "narrow_masked_efficiency",
    "packed_product": "quantised_efficiency",
    "block_product": "block_efficiency",
    "repacked_product": "repacked_efficiency",
    "row_attention": "row_attention_efficiency",
}
"""Products that the matrix unit does not bound: their rate goes with the vector peak, up to the matrix peak."""
_PER_CLOCK = {"quantised_tiles": "tile_flops"}
"""Products whose rate goes with units and clock, whatever the peaks."""
_VECTOR_PER_CLOCK = {"scalar_loop": "scalar_flops"}
"""Loops that use no vector unit: their rate goes with units and clock."""
_UNPACKED = {"unpacked_product": "unpacked_per_flop"}
"""Products that unpacking alone bounds, at so many bytes of weights for each FLOP of the vector unit."""
_DOT = {"dot_product": "dot_efficiency"}
"""Products by dot products of eight bits, whose sums are converted and scaled by the same pipes: both add up."""
_FEW_ROWS = ("vector_product", "row_product")
"""Products that memory bounds, or loads: no faster than the matrix peak."""
_TAKEN_IN = {"packed_product": "unpacked_bytes", "row_product": "row_bytes"}
"""Products of few rows that the loads of the units bound: bytes of weights for each of them and clock, which are more
with a second block at once."""
_SOFTMAX = ("attention", "masked_attention", "narrow_masked_attention")
_AT_ONCE = (*_SOFTMAX, "packed_product")
"""Kernels whose blocks read the same data at about the same time; tiles of a product come to it one after another."""
_TILED = ("attention", "delta")
"""Fused kernels whose blocks each wait for their first data and write their results before the next block begins."""
_FILL = {"gemm": "gemm_fill"}
_VECTOR = {
    "attention": "softmax_efficiency",
    "masked_attention": "softmax_efficiency",
    "narrow_masked_attention": "softmax_efficiency",
    "scan": "scan_efficiency",
}

_STREAM = {"strided": "strided_efficiency", "transpose": "transpose_efficiency"}
_FIXED = {
    "attention": "attention_kernel_time",
    "masked_attention": "attention_kernel_time",
    "narrow_masked_attention": "attention_kernel_time",
    "replay": "replay_time",
    "stream": "kernel_time",
    "vector_product": "kernel_time",
    "row_product": "kernel_time",
    "packed_product": "kernel_time",
    "strided": "strided_kernel_time",
    "transpose": "strided_kernel_time",
    "loop": "barrier_time",
    "scalar_loop": "barrier_time",
    "block_product": "barrier_time",
    "dot_product": "barrier_time",
    "repacked_product": "barrier_time",
    "unpacked_product": "barrier_time",
    "row_attention": "barrier_time",
}

_PRODUCTS = (
    "gemm", *_FEW_ROWS, "packed_product", "quantised_tiles",
    "block_product", "dot_product", "repacked_product", "unpacked_product",
)  # fmt: skip
"""Kernels that multiply by weights; formats have different ones."""
_OF_WEIGHTS = (_RATE, _RATE_BY_VECTORS, _RATE_OF_VECTOR, _PER_CLOCK, _UNPACKED, _DOT, _TAKEN_IN, _FILL)
OF_PRODUCTS = frozenset(table[like] for table in _OF_WEIGHTS for like in _PRODUCTS if like in table) | {
    "tile_columns", "memory_efficiency"
}  # fmt: skip
"""Parameters of the rates at which weights are read and multiplied."""


def terms(kernel: Kernel, m: Machine) -> Terms:
    """What decides the time of one launch, within the limits that other kernels set."""
    own = _unlimited(kernel, m)
    if kernel.exchange:
        own = replace(own, network=exchange_time(kernel.exchange, m))
    if kernel.beneath:
        own = replace(own, least=terms(kernel.beneath, m).time)
    if kernel.instead:
        others = [(each.count, terms(each, m)) for each in kernel.instead]
        own = replace(own, most=sum(n * t.time for n, t in others), busy=sum(n * t.working for n, t in others))
    return own


def _unlimited(kernel: Kernel, m: Machine) -> Terms:
    """The roofline of one launch (Williams et al. 2009), with the parts of it that a device reaches.

    Matrix and vector work of fused attention wait for each other and add up, unless the device's kernels overlap them;
    elsewhere they overlap.
    Activations that a kernel finds in the last-level cache move at its speed, the others at memory's.
    """
    cost, like = kernel.cost, kernel.like
    fill = m[_FILL[like]] * kernel.fill * m.units if like in _FILL else 0
    filling: Number = 0
    vector = cost.vector / (m.vector_rate * m[_VECTOR.get(like, "vector_efficiency")])
    if like in _RATE:
        # a tile fills in as many clocks whatever the dtype: docs/decisions/029
        reached = m[_rate(like, kernel.unit in m.by_vectors)]
        filling = fill / (m.matrix_rate * reached)
        compute = _work(kernel, m) / (m.rate(kernel.unit) * reached)
        if kernel.whole is not None:
            # for few tiles a library takes smaller ones, so that it is one or the other
            filling = maximum(filling, (kernel.whole - cost.matrix) / (m.rate(kernel.unit) * reached))
    elif like in _RATE_OF_VECTOR:
        compute = cost.matrix / minimum(m.vector_rate * m[_RATE_OF_VECTOR[like]], m.rate(kernel.unit))
    elif like in _PER_CLOCK:
        rate = minimum(m.units * m.clock * m[_PER_CLOCK[like]], m.rate(kernel.unit))
        compute, filling = _work(kernel, m) / rate, m["tile_columns"] * kernel.unpacking * _tiles(kernel, m) / rate
    elif like in _VECTOR_PER_CLOCK:
        compute = cost.vector / minimum(m.units * m.clock * m[_VECTOR_PER_CLOCK[like]], m.vector_rate)
    elif like in _UNPACKED:
        compute = cost.weights / (m.vector_rate * m[_UNPACKED[like]])
    elif like in _DOT:
        compute = (cost.matrix / m.rate(kernel.unit) + cost.vector / m.vector_rate) / m[_DOT[like]]
    elif like in _FEW_ROWS:
        compute = maximum(vector, cost.matrix / m.rate(kernel.unit))
    else:
        compute = vector
    if like in _TAKEN_IN:
        rate = m.units * m.clock * m[_TAKEN_IN[like]]
        if kernel.blocks is not None:
            rate = rate * minimum(maximum(kernel.blocks / m.units, 1), BLOCKS)
        compute = maximum(compute, (cost.weights + kernel.again) / rate)
    if kernel.indexed is not None:
        compute = maximum(compute, kernel.indexed / (m.units * m.clock * m["indexed_elements"]))
    if like in _SOFTMAX:
        compute = compute + vector - m.softmax_overlap * minimum(compute, vector)
    moved = traffic(cost, m, kernel.uses) + (0 if kernel.pieces is None else kernel.pieces * m["piece_gap"])
    if not (single(kernel.again) and not kernel.again):
        faster = m["cache_speed"]
        if like in _AT_ONCE:
            faster = maximum(faster, CACHE_BYTES * m.units * m.clock / m.bandwidth)
        moved = maximum(moved, (moved + kernel.again) / faster)
    memory = moved / (m.bandwidth * m[_STREAM.get(like, "memory_efficiency")])
    if like in _PER_CLOCK:
        # blocks, one on each unit, wait for a part of their tile and unpack it; then they compute with it
        filling = maximum(filling, memory)
    free = kernel.joined or like == "collective"  # whose launch is in the time on the network
    fixed = 0 if free else m[_FIXED.get(like, "tensor_kernel_time")] + _adding_up(kernel, m)
    if kernel.blocks is None:
        return Terms(fixed, compute, memory, filling)
    if kernel.parts is not None:
        parts = minimum(kernel.parts, maximum(BLOCKS * m.units / kernel.blocks, 1))
        return Terms(fixed + parts * LATENCY / m.clock, compute, memory, filling)
    if like in _TILED:
        tiles = kernel.blocks * (1 if kernel.rows is None else maximum(kernel.rows / m.tile_rows, 1))
        busy = minimum(tiles * kernel.spread / m.units, 1)
        waiting = maximum(tiles / m.units, 1) * m["tile_time"]
        return Terms(fixed + waiting, compute * kernel.padding / busy, memory, filling)
    if kernel.clocks is not None:
        return Terms(fixed, maximum(compute, kernel.clocks / m.clock), memory, filling)
    share = minimum(kernel.blocks / m.units, 1)
    compute = compute / share
    rounds = maximum(kernel.blocks / (m.units * RESIDENT), 1)
    if kernel.steps is not None:
        compute = maximum(compute, kernel.steps * m["step_time"] * rounds)
    if kernel.waits is not None:
        compute = maximum(compute, kernel.waits * LATENCY / m.clock * rounds)
    return Terms(fixed, compute, memory / share, filling / share)


def exchange_time(x: Exchange, m: Machine) -> Number:
    """Seconds of what devices do together; raises InputError where nothing says how they are linked."""
    if m.network is None:
        raise InputError(f"{x.what} of {x.ranks} devices: no cluster says how they are linked")
    from roofsim.engine import network

    return network.exchange_time(x, m.network, m.parameters)


def _full(kernel: Kernel, m: Machine) -> Number:
    """1 where tiles fill the rounds of the units so well that none is cut, else 0."""
    return at_least(kernel.tiles, FULL * ceil(kernel.tiles / m.units) * m.units)


def _tiles(kernel: Kernel, m: Machine) -> Number:
    """Tiles if every unit had as many as the one with the most."""
    if kernel.tiles is None:
        return 0
    whole, shared = (ceil(kernel.tiles * cuts / m.units) / cuts for cuts in (1, kernel.cuts))
    full = _full(kernel, m)
    return (full * whole + (1 - full) * shared) * m.units


def _work(kernel: Kernel, m: Machine) -> Number:
    """Matrix work at the pace of the busiest unit."""
    return kernel.cost.matrix if kernel.tiles is None else _tiles(kernel, m) * kernel.tile


def _adding_up(kernel: Kernel, m: Machine) -> Number:
    """Seconds for sums of tiles that were cut: each unit writes those of its last one, which are read and added."""
    if kernel.sums is None:
        return 0
    moved = 2 * kernel.sums * (m.units + minimum(kernel.tiles, m.units))
    return (1 - _full(kernel, m)) * traffic(Cost(activations=moved), m) / (m.bandwidth * m["memory_efficiency"])


def traffic(cost: Cost, m: Machine, uses: Number = 1) -> Number:
    """Bytes to memory, and those that the last-level cache serves at the bytes that memory moves meanwhile.

    What is moved several times (`Kernel.uses`) needs as much less of the cache.
    """
    missed = maximum(cost.activations - uses * m["cache_share"] * m.cache, 0)
    return cost.weights + cost.state + cost.activations / m["cache_speed"] + missed * (1 - 1 / m["cache_speed"])


def light_time(cost: Cost, m: Machine, unit: str | None = None, exchange: Exchange | None = None) -> Number:
    """Speed of light: seconds at the peaks of the matrix unit, the vector unit, the memory and links, the largest."""
    if exchange and m.network:
        from roofsim.engine import network

        return maximum(traffic(cost, m) / m.bandwidth, network.light_time(exchange, m.network))
    return maximum(maximum(cost.matrix / m.rate(unit), cost.vector / m.vector_rate), traffic(cost, m) / m.bandwidth)


def _rate(like: Class, by_vectors: bool) -> str:
    """The parameter that scales the peak of a kernel's products."""
    return _RATE_BY_VECTORS.get(like, _RATE[like]) if by_vectors else _RATE[like]


def deciding_parameter(kernel: Kernel, bound: Bound, m: Machine) -> str:
    """The calibratable parameter that scales the term that decides a kernel's time (for numbers)."""
    like = kernel.like
    if bound == "network" and kernel.exchange and m.network:
        from roofsim.engine import network

        crossed = network.group(kernel.exchange, m.network)
        level = crossed.far or crossed.near
        return network.speed_of(level) if level else "collective_time"
    if bound == "launch":
        return _FIXED.get(like, "tensor_kernel_time")
    if bound == "memory":
        return _STREAM.get(like, "memory_efficiency")
    if kernel.indexed is not None:
        return "indexed_elements"
    if like in _RATE:
        return _rate(like, kernel.unit in m.by_vectors)
    if like in _TAKEN_IN:
        without = replace(kernel, cost=replace(kernel.cost, weights=0), again=0)
        if float(_unlimited(without, m).compute) < float(_unlimited(kernel, m).compute):
            return _TAKEN_IN[like]
    rates = _VECTOR | _RATE_OF_VECTOR | _PER_CLOCK | _VECTOR_PER_CLOCK | _UNPACKED | _DOT
    return rates.get(like, "vector_efficiency")


def launch_mode(runtime: Runtime, phase: Phase) -> str:
    """How the host launches a phase."""
    return runtime.host.prefill or runtime.host.mode if phase == "prefill" else runtime.host.mode


def graphs(runtime: Runtime, phase: Phase) -> int:
    """How many captured graphs a pass is, each of which begins some time after what was before."""
    return int(launch_mode(runtime, phase) == "graph")


def gap_time(runtime: Runtime, phase: Phase) -> float:
    """Seconds that the device waits between two kernels of a graph; else it waits for its host alone."""
    gap = runtime.host.gap
    return gap.value if gap and launch_mode(runtime, phase) == "graph" else 0.0


def matrix_time(kernels: Sequence[tuple[Number, Cost, str | None]], m: Machine) -> Number:
    """Seconds of matrix work at the peaks of its units: of costs that are each done so often on a unit."""
    by_unit: dict[str | None, list[Number]] = {}
    for n, cost, unit in kernels:
        if not (type(cost.matrix) is int and cost.matrix == 0):
            by_unit.setdefault(unit, []).append(n * cost.matrix)
    return sum(sum(work) / m.rate(unit) for unit, work in by_unit.items())


def launch_time(kernel: Kernel, runtime: Runtime, m: Machine, phase: Phase) -> Number:
    """Seconds of the host to launch a kernel once."""
    policy, mode = runtime.host, launch_mode(runtime, phase)
    if mode == "none" or kernel.joined:
        return 0
    if mode == "graph" and policy.captured is None:
        return policy.replay.value if policy.replay else 0
    # Triton's launcher is the same code whoever calls it
    launch = m["dispatch"] * policy.work + (m["triton_dispatch"] if kernel.triton else 0)
    return launch * (1 - kernel.replayed)
