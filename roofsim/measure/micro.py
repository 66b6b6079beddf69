"""Single operators against size: copy, matrix products, attention, element-wise work, scans, and cost of a launch.

Operators and notes are named as in the data of an H100 that the priors are from. On a GPU calls are timed in a
captured graph (`timed=graph`), so that the host has no part in them; what cannot be captured is timed back to back
between two events (`timed=events`), and on a processor by the clock (`timed=clock`). The operands of a case stay
the same: those that fit the last-level cache are read from it.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from statistics import median
from time import perf_counter
from typing import Any

from roofsim.foundation.values import dataclass
from roofsim.measure.runs import Row
from roofsim.measure.stack import DTYPES, Stack

LENGTHS = (256, 1024, 4096, 16384, 65536)
TOKENS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384, 65536)
MATRICES = (
    (896, 896), (4864, 896), (151936, 896), (6144, 1536), (2048, 2048), (8192, 2048), (2048, 8192), (4096, 4096),
    (14336, 4096), (4096, 14336), (128256, 4096), (3072, 12288),
)  # fmt: skip
"""Outputs and inputs of layers of the shipped models."""
HEADS = ((14, 2, 64), (32, 8, 64), (32, 8, 128), (12, 2, 128))
"""Heads, key-value heads and their width, of Qwen2.5-0.5B, Llama-3.2-1B, Llama-3.1-8B and Qwen2.5-1.5B."""
INNER = (3072, 4096, 5120)
"""Channels of mamba-790m, -1.4b and -2.8b, and of the Mamba-2 models of the same size."""

LONG = 0.3
"""Seconds of one call after which larger sizes of the same operator are left out."""
WATCHED = 0.02
"""Seconds that calls are timed for."""
SAMPLES = 5
"""Stretches of calls, of which the median counts."""
LAUNCHES = 1000
"""Small kernels in a row, whose time apiece is the cost of a launch."""


@dataclass(frozen=True, slots=True)
class Micro:
    """An operator at one size. `series` groups what differs in size only, `size` is the bytes of its tensors."""

    op: str
    note: str
    series: str
    size: int
    make: Callable[[Stack, str], Callable[[], object]]

    def row(self, seconds: float, dtype: str, how: str) -> Row:
        """The row of one call's time."""
        return {
            "arch": "op", "phase": "op", "op": self.op, "dtype": dtype, "weight_dtype": dtype, "batch": "1",
            "prompt_len": "0", "context_len": "0", "gen_len": "0", "metric": "latency_s", "value": repr(seconds),
            "note": f"{self.note};timed={how}",
        }  # fmt: skip


def cases() -> Iterator[Micro]:
    """Every operator at every size, those of one series from small to large."""
    yield from _copies()
    yield from _linears()
    yield from _attentions()
    yield from _elementwise()
    yield from _scans()


def tensor(stack: Stack, dtype: str, *shape: int) -> Any:
    """Random numbers."""
    return stack.torch.randn(*shape, device=stack.on, dtype=getattr(stack.torch, DTYPES[dtype]))


def _copies() -> Iterator[Micro]:
    for power in range(20, 33, 2):
        size = 1 << power

        def make(s: Stack, dtype: str, size: int = size) -> Callable[[], object]:
            source = s.torch.zeros(size, dtype=s.torch.uint8, device=s.on)
            target = s.torch.empty_like(source)
            return lambda: target.copy_(source)

        yield Micro("copy", f"bytes_read_plus_written={2 * size}", "copy", 2 * size, make)


def _linears() -> Iterator[Micro]:
    for n, k in MATRICES:
        for m in TOKENS:

            def make(s: Stack, dtype: str, m: int = m, n: int = n, k: int = k) -> Callable[[], object]:
                x, w = tensor(s, dtype, m, k), tensor(s, dtype, n, k)
                return lambda: s.torch.nn.functional.linear(x, w)

            yield Micro("linear", f"M={m};N={n};K={k}", f"linear {n} {k}", 2 * (m * k + n * k + m * n), make)


def _attentions() -> Iterator[Micro]:
    for heads, kv_heads, width in HEADS:
        for grouped in (False, True):
            for new in (True, False):
                for length in LENGTHS:
                    held = kv_heads if grouped else heads
                    queries = length if new else 1

                    def make(
                        s: Stack, dtype: str, heads: int = heads, held: int = held, width: int = width,
                        length: int = length, queries: int = queries,
                    ) -> Callable[[], object]:  # fmt: skip
                        q = tensor(s, dtype, 1, heads, queries, width)
                        k, v = (tensor(s, dtype, 1, held, length, width) for _ in range(2))
                        attend = s.torch.nn.functional.scaled_dot_product_attention
                        return lambda: attend(q, k, v, is_causal=queries > 1, enable_gqa=held != heads)

                    op = f"sdpa_{'causal' if new else 'decode'}{'_gqa' if grouped else ''}"
                    kind = f"KV={kv_heads};D={width};L={length}" if grouped else f"D={width};L={length};kv_expanded"
                    size = 4 * width * (heads * queries + held * length)
                    yield Micro(op, f"H={heads};{kind}", f"{op} {heads} {width}", size, make)


def _rms_norm(x: Any, weight: Any) -> Any:
    """The norm as modelling code writes it: in fp32, kernel by kernel."""
    y = x.float()
    y = y * (y.pow(2).mean(-1, keepdim=True) + 1e-6).rsqrt()
    return weight * y.to(x.dtype)


def _elementwise() -> Iterator[Micro]:
    def calls(s: Stack, op: str, x: Any, y: Any, weight: Any) -> Callable[[], object]:
        functional = s.torch.nn.functional
        return {
            "add": lambda: x + y,
            "silu_mul": lambda: functional.silu(x) * y,
            "rmsnorm_eager": lambda: _rms_norm(x, weight),
            "rmsnorm_fused": lambda: functional.rms_norm(x, (x.shape[-1],), weight, 1e-6),
        }[op]

    for op in ("add", "silu_mul", "rmsnorm_eager", "rmsnorm_fused"):
        for d in (1536, 4096):
            for length in (1, 1024, 16384, 65536):

                def make(s: Stack, dtype: str, op: str = op, d: int = d, length: int = length) -> Callable[[], object]:
                    x, y = (tensor(s, dtype, length, d) for _ in range(2))
                    return calls(s, op, x, y, tensor(s, dtype, d))

                yield Micro(op, f"L={length};d={d}", f"{op} {d}", 10 * length * d, make)


def _scans() -> Iterator[Micro]:
    """The kernels of recurrent layers, those whose packages are there."""
    conv, mamba = find_spec("causal_conv1d"), find_spec("mamba_ssm")
    for inner in INNER:
        for length in LENGTHS if conv else ():

            def make_conv(s: Stack, dtype: str, d: int = inner, length: int = length) -> Callable[[], object]:
                run = import_module("causal_conv1d").causal_conv1d_fn
                x, w, b = tensor(s, dtype, 1, d, length), tensor(s, dtype, d, 4), tensor(s, dtype, d)
                return lambda: run(x, w, b, activation="silu")

            yield Micro("causal_conv1d", f"D={inner};L={length}", f"conv {inner}", 4 * inner * length, make_conv)
    for inner in INNER:
        for length in LENGTHS if mamba else ():

            def make_scan(s: Stack, dtype: str, d: int = inner, length: int = length) -> Callable[[], object]:
                run = import_module("mamba_ssm.ops.selective_scan_interface").selective_scan_fn
                x, dt, z = (tensor(s, dtype, 1, d, length) for _ in range(3))
                b, c = (tensor(s, dtype, 1, 16, length) for _ in range(2))
                a, skip, bias = -s.torch.rand(d, 16, device=s.on), *(s.torch.rand(d, device=s.on) for _ in range(2))
                return lambda: run(x, dt, a, b, c, skip, z, bias, True)

            note, series = f"D={inner};N=16;L={length}", f"scan {inner}"
            yield Micro("selective_scan", note, series, 8 * inner * length, make_scan)
    for inner in INNER:
        for length in LENGTHS if mamba else ():

            def make_ssd(s: Stack, dtype: str, h: int = inner // 64, length: int = length) -> Callable[[], object]:
                run = import_module("mamba_ssm.ops.triton.ssd_combined").mamba_chunk_scan_combined
                x, dt = tensor(s, dtype, 1, length, h, 64), tensor(s, dtype, 1, length, h)
                b, c = (tensor(s, dtype, 1, length, 1, 128) for _ in range(2))
                a, skip, bias = -s.torch.rand(h, device=s.on), *(s.torch.rand(h, device=s.on) for _ in range(2))
                return lambda: run(x, dt, a, b, c, 256, D=skip, dt_bias=bias, dt_softplus=True)

            note = f"H={inner // 64};P=64;N=128;chunk=256;L={length}"
            yield Micro("ssd_chunk_scan", note, f"ssd {inner}", 16 * inner * length, make_ssd)


def measured(
    stack: Stack, dtype: str, known: Mapping[str, frozenset[str]], on_time: Callable[[], bool]
) -> Iterator[tuple[str, Row]]:
    """Time what is not known yet, by operator and note, while there is time; then the cost of a launch."""
    slow: set[str] = set()
    gc.collect()
    stack.release()  # models before
    for each in cases():
        if not on_time():
            return
        if each.note in known.get(each.op, ()) or each.series in slow or not _has_room(stack, each.size):
            continue
        try:
            with stack.torch.inference_mode():
                seconds, how = timed(stack, each.make(stack, dtype))
        except Exception as error:
            if not stack.is_out_of_memory(error):
                yield f"{each.op} {each.note}: failed: {type(error).__name__}: {str(error)[:200]}", {}
            slow.add(each.series)
            continue
        finally:
            if each.size > 1 << 28:
                stack.release()
        if seconds > LONG:
            slow.add(each.series)
        yield f"{each.op} {each.note}: {seconds:.4g} s", each.row(seconds, dtype, how)
    yield from _launches(stack, dtype, known)


def _has_room(stack: Stack, size: int) -> bool:
    """Whether tensors of so many bytes, and what work on them needs, fit the device with ease."""
    if stack.on == "cuda":
        free = stack.torch.cuda.mem_get_info()[0] + stack.torch.cuda.memory_reserved()
        return bool(3 * size < free)
    return size <= 1 << 30


def timed(stack: Stack, call: Callable[[], object]) -> tuple[float, str]:
    """Seconds of one call, and how they were found."""
    once = _once(stack, call)
    if stack.on == "cpu":
        return _sampled(lambda n: _clocked(stack, call, n), once), "clock"
    count = min(max(int(WATCHED / SAMPLES / once), 1), 200)
    with suppress(RuntimeError):
        graph = _captured(stack, call, count)
        return _sampled(lambda n: _evented(stack, graph.replay, n), once * count) / count, "graph"
    return _sampled(lambda n: _evented(stack, call, n), once), "events"


def _once(stack: Stack, call: Callable[[], object]) -> float:
    """About how long a call takes, after calls that compile and set up."""
    for _ in range(2):
        call()
    return max(_clocked(stack, call, 1), 1e-7)


def _sampled(stretch: Callable[[int], float], once: float) -> float:
    count = min(max(int(WATCHED / SAMPLES / once), 1), LAUNCHES)
    return median(stretch(count) for _ in range(SAMPLES if once < LONG else 1))


def _clocked(stack: Stack, call: Callable[[], object], count: int) -> float:
    stack.sync()
    start = perf_counter()
    for _ in range(count):
        call()
    stack.sync()
    return (perf_counter() - start) / count


def _evented(stack: Stack, call: Callable[[], object], count: int) -> float:
    start, end = (stack.torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(count):
        call()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) * 1e-3 / count


def _captured(stack: Stack, call: Callable[[], object], count: int) -> Any:
    graph = stack.torch.cuda.CUDAGraph()
    with stack.torch.cuda.graph(graph):
        for _ in range(count):
            call()
    graph.replay()
    stack.sync()
    return graph


def _launches(stack: Stack, dtype: str, known: Mapping[str, frozenset[str]]) -> Iterator[tuple[str, Row]]:
    """Time apiece of small kernels, one after another and, on a GPU, in a graph."""
    small = stack.torch.zeros(1, device=stack.on)

    def call() -> object:
        return small.add_(1)

    _once(stack, call)
    how: dict[tuple[str, str], Callable[[], float]] = {
        ("launch_eager", f"per small kernel, {LAUNCHES} back to back"): lambda: _clocked(stack, call, LAUNCHES)
    }
    if stack.on == "cuda":
        replay = _captured(stack, call, LAUNCHES).replay
        note = f"per small kernel in a replayed graph of {LAUNCHES}"
        how["launch_graph", note] = lambda: _clocked(stack, replay, 1) / LAUNCHES
    for (op, note), time in how.items():
        if note in known.get(op, ()):
            continue
        seconds = median(time() for _ in range(SAMPLES))
        micro = Micro(op, note, op, 0, lambda *_: call)
        yield f"{op}: {seconds:.4g} s", micro.row(seconds, dtype, "clock")
