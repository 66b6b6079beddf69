"""Predicting a request: prefill, decode, memory and energy of one model on one device with one runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from roofsim import library
from roofsim.engine import memory as memory_model
from roofsim.engine.energy import energy
from roofsim.engine.memory import Memory
from roofsim.engine.roofline import (
    Bound,
    Machine,
    Stretch,
    deciding_parameter,
    launch_time,
    light_time,
    machine,
    pass_time,
    terms,
)
from roofsim.foundation.arith import Number, maximum, minimum, single
from roofsim.foundation.cost import Cost
from roofsim.foundation.errors import Unsupported
from roofsim.foundation.schema import variant
from roofsim.lowering.step import LoweredRow, lower, plans
from roofsim.model.architecture import Architecture
from roofsim.model.step import Pass
from roofsim.ops.base import Kind, Operator
from roofsim.specs.calibration import Calibration
from roofsim.specs.device import Device
from roofsim.specs.host import Host
from roofsim.specs.runtime import Runtime
from roofsim.specs.workload import MAX_COUNT, STORED, Workload, workload

SCHEMA = 1
"""Version of the JSON that results turn into."""

Basis = Literal["calibrated", "prior", "set"]

SIMPSON = ((1 / 6, 0), (4 / 6, 1 / 2), (1 / 6, 1))
"""Weights and places of Simpson's rule over an interval of length one."""

DEFAULT_RUNTIME = "transformers-4.52-eager"
"""The stack of the SSM-Scope measurements, against which the model is checked."""


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything but the workload: what runs, on what, with which software, fed by which host.

    `changes` says in words what a what-if changed in the specs.
    """

    architecture: Architecture
    device: Device
    runtime: Runtime
    host: Host | None
    parameters: Mapping[str, float] = field(default_factory=dict)
    given_machine: Machine | None = None
    changes: tuple[str, ...] = ()
    calibration: Calibration | None = None

    def machine(self, dtype: str) -> Machine:
        """The numbers that decide time: of the device and the host, or those given instead."""
        values = {**self.fitted, **self.parameters}
        return self.given_machine or machine(self.device, self.host, dtype, values, self.runtime)

    @property
    def fitted(self) -> Mapping[str, float]:
        """What the calibration says of this device and runtime, and of the host if it is the one it was made with."""
        if self.calibration is None:
            return {}
        same = self.host is not None and self.host.id == self.calibration.host
        return self.calibration.values(("device", "runtime", "host") if same else ("device", "runtime"))

    def basis(self, parameter: str) -> Basis:
        """Where the value of a calibratable parameter is from."""
        if parameter in self.parameters:
            return "set"
        if parameter in self.fitted and self.calibration and self.calibration.parameters[parameter].determined:
            return "calibrated"
        return "calibrated" if parameter in self.device.parameters else "prior"

    def prefill(self, w: Workload) -> Pass:
        """The pass over the prompt, after the model's own prefix tokens."""
        new = w.prompt + self.architecture.prefix_tokens
        logits = w.logits or self.runtime.logits
        return Pass(w.batch, new, 0, w.precision(self.runtime.state, self.architecture), logits, latents="expanded")

    def pieces(self, w: Workload) -> tuple[tuple[Number, Pass], ...]:
        """The passes that a prompt goes through, each with how often: one, or many if the runtime cuts it.

        The work of a piece grows with what came before it, so three pieces stand for all (Simpson's rule).
        """
        whole = self.prefill(w)
        chunk = self.runtime.memory.chunk
        if chunk is None or (single(whole.new) and whole.new <= chunk):
            return ((1, whole),)
        new = minimum(whole.new, chunk)
        times, last = whole.new / new, whole.new - new
        return tuple((times * share, replace(whole, new=new, context=at * last)) for share, at in SIMPSON)

    def decode(self, w: Workload, done: Number = 0) -> Pass:
        """The step after the prompt and `done` generated tokens."""
        held = w.prompt + self.architecture.prefix_tokens + done
        latents = self.runtime.attention.latents
        return Pass(w.batch, 1, held, w.precision(self.runtime.state, self.architecture), "last", "decode", latents)

    def workspace(self, dtype: str) -> Number:
        """Bytes that the matrix library keeps, if the runtime has one."""
        return self.machine(dtype)["workspace"] if self.runtime.memory.workspace else 0


def setup(
    model: str | Architecture,
    device: str | Device,
    runtime: str | Runtime = DEFAULT_RUNTIME,
    host: str | Host | None = None,
) -> Setup:
    """Look up names, aliases and paths; the host is the device's own unless named."""
    found = library.device(device) if isinstance(device, str) else device
    stack = library.runtime(runtime) if isinstance(runtime, str) else runtime
    network = library.architecture(model) if isinstance(model, str) else model
    if stack.supports and network.family not in stack.supports:
        known = ", ".join(stack.supports)
        raise Unsupported(f"{stack.id or stack.name} does not run {network.family} ({network.name}); it runs {known}")
    chosen = host or found.host
    return Setup(network, found, stack, library.host(chosen) if isinstance(chosen, str) else chosen)


@dataclass(frozen=True, slots=True)
class OperatorRow:
    """One operator of one kind of layer, summed over all `count` of its layers.

    `light_time` is what its kernels would take at the device's peaks; `basis` says where the efficiency that
    decides its time is from: "calibrated" (stated by the device file, from measured kernels), "prior", or "set"
    by the user.
    """

    layer: str
    operator: str
    kind: Kind
    count: int
    kernels: Number
    matrix_flops: Number
    vector_flops: Number
    bytes_weights: Number
    bytes_activations: Number
    bytes_state: Number
    time: Number
    light_time: Number
    bound: Bound
    basis: Basis


@dataclass(frozen=True, slots=True)
class PassPrediction:
    """Time, work and traffic of one pass. `time` is what a clock around a synchronised pass shows.

    `device_time` is the sum of kernel durations, `host_time` what the host needs to launch them. The model's
    own work, and its weights and state, at the peaks take `model_matrix_time` and `model_traffic_time`.
    """

    time: Number
    device_time: Number
    host_time: Number
    kernels: Number
    matrix_flops: Number
    vector_flops: Number
    bytes: Number
    bound: Bound | None
    energy: Number
    model_matrix_time: Number
    model_traffic_time: Number
    operators: tuple[OperatorRow, ...] = ()

    @property
    def idle_time(self) -> Number:
        """Seconds in which the device waits for the host."""
        return self.time - self.device_time

    @property
    def mfu(self) -> Number:
        """Model FLOP utilisation: the model's matrix work at the peak rate over the time."""
        return self.model_matrix_time / self.time

    @property
    def mbu(self) -> Number:
        """Model bandwidth utilisation: weights and state moved once at full bandwidth over the time."""
        return self.model_traffic_time / self.time


def predict_pass(s: Setup, p: Pass, dtype: str, *, detail: bool = True) -> PassPrediction:
    """One pass; with `detail` also its operators (leave it out for arrays)."""
    m = s.machine(dtype)
    stretches: list[Stretch] = []
    table: list[OperatorRow] = []
    total, model = Cost(), Cost()
    kernels: Number = 0
    for row in lower(s.architecture, s.runtime, p):
        n = row.row.count
        pieces: list[tuple[Number, Number]] = []
        layer, layer_model = Cost(), Cost()
        for operator, lowered in row:
            cost = Cost()
            launches: Number = 0
            host: Number = 0
            time: Number = 0
            light: Number = 0
            by_bound: dict[tuple[Bound, str], Number] = {}
            for each in lowered.kernels:
                t = terms(each, m)
                busy = each.count * t.time
                launches = launches + (0 if each.joined else each.count)
                host = host + each.count * launch_time(each, s.runtime, m, p.phase)
                time = time + busy
                cost = cost + each.cost * each.count
                if detail:
                    light = light + each.count * light_time(each.cost, m)
                    reason = (t.bound, deciding_parameter(each.like, t.bound))
                    by_bound[reason] = by_bound.get(reason, 0) + busy
            pieces.append((host, time))
            layer = layer + cost
            layer_model = layer_model + operator.cost
            kernels = kernels + launches * n
            if by_bound:
                bound, parameter = max(by_bound, key=lambda b: by_bound[b])
                summed = (launches * n, cost * n, time * n, light * n)
                table.append(_operator_row(row, operator, *summed, bound, s.basis(parameter)))
        total = total + layer * n
        model = model + layer_model * n
        stretches.extend(_stretches(n, pieces))
    device_time = sum(stretch.device * stretch.count for stretch in stretches)
    start = s.runtime.host.launch.value if s.runtime.host.launch else 0
    start = start + plans(s.architecture, s.runtime, s.device, p) * m["attention_plan"]
    host_time = start + sum(stretch.host * stretch.count for stretch in stretches)
    wall = pass_time(stretches, start, s.runtime.host.mode == "inline")
    return PassPrediction(
        wall, device_time, host_time, kernels, total.matrix, total.vector, total.bytes,
        _pass_bound(table, host_time, device_time) if detail else None,
        energy(s.device, m, total, device_time, wall), model.matrix / m.matrix_rate,
        (model.weights + model.state) / m.bandwidth, tuple(table),
    )  # fmt: skip


def predict_prefill(s: Setup, w: Workload, *, detail: bool = True) -> PassPrediction:
    """The prefill of a prompt: one pass, or all the pieces that the runtime cuts it into."""
    done = [(times, predict_pass(s, p, w.dtype, detail=detail)) for times, p in s.pieces(w)]
    if len(done) == 1:
        return done[0][1]
    sums = {
        name: sum(times * getattr(p, name) for times, p in done)
        for name in PassPrediction.__dataclass_fields__
        if name not in ("bound", "operators")
    }
    table = tuple(_summed(done, rows) for rows in zip(*(p.operators for _, p in done), strict=True))
    bound = _pass_bound(table, sums["host_time"], sums["device_time"]) if detail else None
    return PassPrediction(**sums, bound=bound, operators=table)


_ADDED = ("kernels", "matrix_flops", "vector_flops", "bytes_weights", "bytes_activations", "bytes_state", "time",
          "light_time")  # fmt: skip


def _summed(done: Sequence[tuple[Number, PassPrediction]], rows: Sequence[OperatorRow]) -> OperatorRow:
    """One operator over all pieces; what bounds it is what bounds the pieces in which it takes longest."""
    weights = [times for times, _ in done]
    longest = max(zip(weights, rows, strict=True), key=lambda pair: pair[0] * pair[1].time)[1]
    sums = {name: sum(n * getattr(row, name) for n, row in zip(weights, rows, strict=True)) for name in _ADDED}
    return replace(longest, **sums)


def _pass_bound(table: Sequence[OperatorRow], host_time: Number, device_time: Number) -> Bound:
    if host_time > device_time:
        return "launch"
    shares: dict[Bound, Number] = {}
    for line in table:
        shares[line.bound] = shares.get(line.bound, 0) + line.time
    return max(shares, key=lambda b: shares[b])


def _stretches(count: int, pieces: Sequence[tuple[Number, Number]]) -> Iterator[Stretch]:
    """A kind of layer as one piece that repeats; the operators of a single one each for themselves."""
    if count == 1:
        for host, time in pieces:
            yield Stretch(host, time, 1)
    else:
        yield Stretch(sum(h for h, _ in pieces), sum(t for _, t in pieces), count)


def _operator_row(
    row: LoweredRow, operator: Operator, kernels: Number, cost: Cost, time: Number, light: Number, bound: Bound,
    basis: Basis,
) -> OperatorRow:  # fmt: skip
    return OperatorRow(
        row.row.layer, operator.name, operator.kind, row.row.count, kernels, cost.matrix, cost.vector,
        cost.weights, cost.activations, cost.state, time, light, bound, basis,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    """What a user of the model sees: seconds, tokens per second (output tokens), joules."""

    ttft: Number
    tpot: Number
    total_time: Number
    tokens_per_second: Number
    energy: Number


@dataclass(frozen=True, slots=True)
class Limits:
    """The longest prompt at this batch, and the largest batch at this prompt; 0 if even 1 does not fit."""

    max_prompt: int
    max_batch: int


@dataclass(frozen=True, slots=True)
class Prediction:
    """Everything that `roofsim predict` shows. `to_dict` gives the JSON of the design, section 6."""

    model: str
    device: str
    runtime: str
    host: str | None
    workload: Workload
    capacity: float
    positions: int | None
    grown: Number
    prefill: PassPrediction
    decode: PassPrediction
    request: Request
    memory: Memory
    limits: Limits | None
    assumptions: tuple[str, ...] = ()
    calibration: str | None = None
    intervals: Mapping[str, tuple[float, float]] | None = None

    @property
    def fits(self) -> Any:
        """Whether the request fits the device and the positions of the model."""
        enough = self.positions is None or self.workload.prompt + self.workload.generate - 1 <= self.positions
        return (self.memory.reserved <= self.capacity) & (self.grown <= self.capacity) & enough

    def to_dict(self) -> dict[str, Any]:
        """Plain values, SI units; arrays become lists."""
        w, mem = self.workload, self.memory
        result: dict[str, Any] = plain(
            {
                "schema": SCHEMA,
                "model": self.model,
                "device": self.device,
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
                "request": _fields(self.request),
                "memory": {
                    "capacity": self.capacity,
                    "weights": mem.weights,
                    "state": mem.state,
                    "activations": mem.activations,
                    "logits": mem.logits,
                    "masks": mem.masks,
                    "workspace": mem.workspace,
                    "peak": mem.peak,
                    "reserved": mem.reserved,
                    "fits": self.fits,
                    "binding": mem.binding,
                },
                "limits": _fields(self.limits) if self.limits else None,
                **({"intervals": self.intervals} if self.intervals is not None else {}),
                "assumptions": list(self.assumptions),
            }
        )
        return result


def _pass_fields(p: PassPrediction) -> dict[str, Any]:
    """The fields of the JSON contract, operators last."""
    names = ("time", "device_time", "idle_time", "host_time", "kernels", "matrix_flops", "vector_flops", "bytes",
             "bound", "mfu", "mbu", "energy", "operators")  # fmt: skip
    return {name: getattr(p, name) for name in names}


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def plain(value: Any) -> Any:
    """`value` in the types that JSON knows."""
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if hasattr(value, "__dataclass_fields__"):
        return plain(_fields(value))
    if hasattr(value, "tolist"):
        return value.tolist()
    return value


def predict(
    model: str | Architecture,
    device: str | Device,
    runtime: str | Runtime = DEFAULT_RUNTIME,
    *,
    host: str | Host | None = None,
    **fields: Any,
) -> Prediction:
    """Predict one request.

    `fields` are those of `Workload`: batch, prompt, generate, dtype, cache_dtype, weight_format, logits.
    `batch` and `prompt` may be NumPy arrays that broadcast; then every figure is an array, without operators
    and limits. Raises InputError for names and values that cannot be used.
    """
    s = setup(model, device, runtime, host)
    fields.setdefault("dtype", s.device.default_dtype)
    w = workload(**fields)
    if single(w.batch) and single(w.prompt):
        return predict_request(s, w)
    return _in_chunks(s, w)


CHUNK = 2**14
"""Points predicted at once: small enough that the arrays of one operator stay in a processor's cache."""


def _in_chunks(s: Setup, w: Workload) -> Prediction:
    """Arrays, piece by piece; figures that depend on neither array are spread over all points."""
    import numpy as np

    batch, prompt = np.broadcast_arrays(w.batch, w.prompt)
    flat = (batch.ravel().astype(float), prompt.ravel().astype(float))
    pieces = [
        predict_request(s, variant(w, batch=flat[0][i : i + CHUNK], prompt=flat[1][i : i + CHUNK]))
        for i in range(0, max(batch.size, 1), CHUNK)
    ]

    def whole(values: list[Any]) -> Any:
        first = values[0]
        if hasattr(first, "__dataclass_fields__"):
            return replace(first, **{n: whole([getattr(v, n) for v in values]) for n in first.__dataclass_fields__})
        if isinstance(first, int | float | np.ndarray | np.generic):
            parts = [np.broadcast_to(v, flat[0][i * CHUNK : (i + 1) * CHUNK].shape) for i, v in enumerate(values)]
            return np.concatenate(parts).reshape(batch.shape)
        return first

    made = ("grown", "prefill", "decode", "request", "memory")
    return replace(pieces[0], workload=w, **{n: whole([getattr(p, n) for p in pieces]) for n in made})


def predict_request(s: Setup, w: Workload, *, detail: bool = True) -> Prediction:
    """As `predict`, for specs that were looked up and checked before.

    Without `detail` there are no operators and no limits; arrays never have them.
    """
    kept = STORED if s.architecture.stored else None
    w = variant(w, logits=w.logits or s.runtime.logits, weight_format=w.weight_format or kept)
    scalar = detail and single(w.batch) and single(w.prompt)
    prefill = predict_prefill(s, w, detail=scalar)
    decode = predict_pass(s, s.decode(w), w.dtype, detail=scalar)
    request = _request(w, prefill, *_steps(s, w, decode))
    limits = limits_of(s, w) if scalar else None
    return Prediction(
        s.architecture.id or s.architecture.name, s.device.id, s.runtime.id, s.host.id if s.host else None, w,
        s.device.capacity, s.architecture.positions or None, grown(s, w), prefill, decode, request, footprint(s, w),
        limits, assumptions(s, w), s.calibration.id or s.calibration.name if s.calibration else None,
    )  # fmt: skip


def _steps(s: Setup, w: Workload, first: PassPrediction) -> tuple[Number, Number]:
    """Mean time and energy of the steps after the first token."""
    each = [
        (share, first if done == 0 else predict_pass(s, s.decode(w, done), w.dtype, detail=False))
        for share, done in samples(max(w.generate - 1, 0))
    ]
    return sum(share * p.time for share, p in each), sum(share * p.energy for share, p in each)


def samples(steps: int) -> tuple[tuple[float, float], ...]:
    """Steps that stand for so many (the tokens before each, and its weight in the mean): Simpson's rule."""
    return tuple((share, at * (steps - 1)) for share, at in SIMPSON) if steps > 1 else ((1, 0),)


def _request(w: Workload, prefill: PassPrediction, tpot: Number, joules: Number) -> Request:
    """The prefill makes the first token, every step one more."""
    steps = max(w.generate - 1, 0)
    total = prefill.time + steps * tpot
    made = w.batch * max(w.generate, 1)
    return Request(prefill.time, tpot, total, made / total, prefill.energy + steps * joules)


def footprint(s: Setup, w: Workload, *, reserve: bool = True) -> Memory:
    """Memory of the prefill of a workload: of its last piece, if the runtime cuts prompts into pieces.

    With `reserve`, what the runtime takes beforehand counts as reserved, whatever is in it.
    """
    p = s.prefill(w)
    if s.runtime.memory.chunk:
        new = minimum(p.new, s.runtime.memory.chunk)
        p = replace(p, new=new, context=p.new - new)
    rows = lower(s.architecture, s.runtime, p)
    held = memory_model.peak(s.architecture, s.runtime, rows, p, s.workspace(w.dtype))
    if s.runtime.memory.reserve is None or not reserve:
        return held
    reserved = maximum(held.reserved, s.runtime.memory.reserve * s.device.capacity)
    return replace(held, reserved=reserved)


def grown(s: Setup, w: Workload) -> Number:
    """Bytes of weights and state after the last generated token."""
    p = s.prefill(w)
    held = s.architecture.state_bytes(w.prompt + w.generate, p.precision) * w.batch
    return held + s.architecture.weight_bytes(p.precision)


def cache_capacity(s: Setup, w: Workload) -> float | None:
    """Tokens of KV cache that fit what the runtime takes at its start, in whole blocks; None if it takes nothing."""
    policy = s.runtime.memory
    each = s.architecture.state_bytes(2, s.prefill(w).precision) - s.architecture.state_bytes(1, s.prefill(w).precision)
    if policy.reserve is None or not each:
        return None
    held = footprint(s, variant(w, prompt=policy.chunk or w.prompt), reserve=False)
    free = policy.reserve * s.device.capacity - (held.reserved - held.state)
    return float(max(free // (each * policy.block) * policy.block, 0))


def fits(s: Setup, w: Workload) -> bool:
    """Whether the model has positions for it, and prefill and generation fit the device."""
    if s.architecture.positions and w.prompt + w.generate - 1 > s.architecture.positions:
        return False
    limit = s.device.capacity * (s.runtime.memory.reserve or 1)
    held = footprint(s, w, reserve=False)
    return bool(held.reserved <= limit and grown(s, w) <= limit)


def limits_of(s: Setup, w: Workload) -> Limits:
    """The longest prompt at this batch and the largest batch at this prompt."""
    return Limits(
        largest(lambda n: fits(s, variant(w, prompt=n))),
        largest(lambda n: fits(s, variant(w, batch=n))),
    )


def largest(holds: Callable[[int], bool], ceiling: int = MAX_COUNT) -> int:
    """The largest whole number up to `ceiling` for which `holds`, if it holds below some number and not above."""
    if not holds(1):
        return 0
    low, high = 1, 2
    while high <= ceiling and holds(high):
        low, high = high, high * 2
    high = min(high, ceiling + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def assumptions(s: Setup, w: Workload) -> tuple[str, ...]:
    """What was taken for granted, in words."""
    said = [f"batch {w.batch}" if isinstance(w.batch, int) else "batches as given", w.dtype]
    if w.weight_format and w.weight_format != w.dtype:
        bits = 8 * s.architecture.weight_bytes(s.prefill(w).precision) / s.architecture.total_parameters
        said.append(f"weights {w.weight_format} ({bits:.3g} bits each)")
    if w.cache_dtype and w.cache_dtype != w.dtype:
        said.append(f"cache {w.cache_dtype}")
    said.append("logits of all positions" if (w.logits or s.runtime.logits) == "all" else "logits of the last position")
    if s.runtime.host.mode in ("eager", "inline"):
        if s.host is None:
            raise Unsupported(f"{s.device.id}: names no host, and {s.runtime.id} launches from one; use --host")
        dispatch = s.machine(w.dtype)["dispatch"]
        said.append(f"host {s.host.id} ({dispatch * 1e6:.3g} us a kernel)")
    if s.architecture.positions:
        said.append(f"{s.architecture.id} has {s.architecture.positions:,} positions")
    said += [f"changed: {change}" for change in s.changes]
    said.append(basis_of(s))
    return tuple(said)


def basis_of(s: Setup) -> str:
    """Where the efficiencies are from, in words."""
    c = s.calibration
    if c is None:
        return "efficiencies are priors or stated by the device file, not fitted to this machine"
    origin = f", transferred from {c.transferred_from}" if c.transferred_from else ""
    return f"calibration {c.id or c.name}{origin}: {c.dataset.used} rows of {c.dataset.file}, fitted {c.date}"


Metric = Literal["ttft", "tpot", "memory", "energy", "throughput", "total"]


def metric_value(s: Setup, w: Workload, metric: Metric) -> Number:
    """One figure of a request, and no more work than it needs; seconds, bytes, joules or tokens per second."""
    if metric == "memory":
        return footprint(s, w).peak
    if metric == "tpot":
        return _steps(s, w, predict_pass(s, s.decode(w), w.dtype, detail=False))[0]
    prefill = predict_prefill(s, w, detail=False)
    if metric == "ttft":
        return prefill.time
    request = _request(w, prefill, *_steps(s, w, predict_pass(s, s.decode(w), w.dtype, detail=False)))
    return {"energy": request.energy, "throughput": request.tokens_per_second, "total": request.total_time}[metric]
