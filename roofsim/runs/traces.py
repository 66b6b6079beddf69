"""Traces of PyTorch's profiler (Chrome JSON): the kernels that a device ran, in their order, and what each is for.

The fields are those of Kineto: complete events (`ph` X) of the categories `kernel`, `gpu_memcpy` and `gpu_memset` with
a start and a duration in microseconds, and `ProfilerStep#N` around each step of a schedule.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from roofsim.foundation.errors import InputError
from roofsim.foundation.units import finite
from roofsim.foundation.values import dataclass
from roofsim.specs.json_text import parsed
from roofsim.specs.text import read_text, regular

MAX_BYTES = 2_000_000_000
"""A trace of a few passes is up to some hundred megabytes."""

MICROSECOND = 1e-6
STEP = re.compile(r"ProfilerStep#\d+")
WORK = ("kernel", "gpu_memcpy", "gpu_memset")
"""Categories of what keeps the device busy."""

Group = Literal["product", "attention", "scan", "convolution", "collective", "element-wise", "other"]
"""What kernels are told apart by: names of element-wise ones do not tell a norm from a sum."""

PATTERNS: Sequence[tuple[Group, str]] = (
    ("collective", r"nccl|all_?reduce|allgather|reduce_?scatter|cross_device|one_shot|two_shot|all_?to_?all|deep_?ep"),
    ("attention", r"flash|fmha|sdpa|attention|attn|mla_|paged_|lean_reduction|softmax"),
    ("convolution", r"causal_conv|conv1d|conv_update|conv2d|depthwise"),
    ("scan", r"selective_scan|selective_state|chunk_scan|chunk_state|state_passing|bmm_chunk|chunk_cumsum|ssd_"
             r"|delta_rule|recurrent|wkv|lightning|linear_scan|rg_lru|chunk_(fwd|gated|kda|o)|mlstm"),
    ("product", r"gemm|gemv|nvjet|cutlass|cublas|splitk|xmma|ampere_.*_s\d+|sm\d+_.*mma|marlin|machete|matmul|mul_mat"
                r"|dot_kernel|tensile|cijk|moe_(gemm|kernel)|fused_moe|grouped_mm"),
    ("element-wise", r"elementwise|reduce_kernel|catarray|memcpy|memset|copy|norm|rotary|rope|gather|index|silu|gelu"
                     r"|activation|act_and_mul|fill|embedding|cache|arange|scatter|sort|topk|triton_|quant|cumsum|scan"
                     r"|distribution|where|compare|pow|cast"),
)  # fmt: skip
"""What the names of kernels have in them, in this order: of PyTorch, cuBLAS, cuDNN, FlashAttention, mamba_ssm,
causal_conv1d, fla, vLLM, NCCL and Triton."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A kernel that ran `count` times for `time` seconds in all; in a trace each run is one of its own."""

    name: str
    time: float
    count: int = 1

    @property
    def group(self) -> Group:
        """What it is for, by its name."""
        return group_of(self.name)


@dataclass(frozen=True, slots=True)
class Trace:
    """What a trace holds: the device as it names it, the launches in their order, how many passes they are of.

    `stated` says whether the trace itself says how many; `wall` is the seconds of one pass where it does.
    """

    file: str
    device: str
    launches: tuple[Launch, ...]
    passes: int = 1
    stated: bool = False
    wall: float | None = None


def group_of(name: str) -> Group:
    """What a kernel is for, by its name."""
    lower = name.lower()
    return next((group for group, pattern in PATTERNS if re.search(pattern, lower)), "other")


def is_trace(path: str) -> bool:
    """Whether a file is such a trace, by what stands near its beginning."""
    if not path.endswith((".json", ".json.gz")):
        return False
    regular(path)
    try:
        with gzip.open(path, "rb") if path.endswith(".gz") else open(path, "rb") as file:
            head = file.read(65_536)
    except (OSError, EOFError):
        return False
    return b'"traceEvents"' in head or b'"deviceProperties"' in head


def read_trace(path: str) -> Trace:
    """The kernels of a trace, `.json` or `.json.gz`; raises InputError for what has none."""
    data = parsed(_text(path), path)
    events = data.get("traceEvents") if isinstance(data, Mapping) else None
    if not isinstance(events, list):
        raise InputError(f"{path}: no trace of PyTorch's profiler: `traceEvents` is not a list")
    work = [each for each in events if isinstance(each, Mapping) and each.get("cat") in WORK and each.get("ph") == "X"]
    if not work:
        raise InputError(
            f"{path}: no kernel of a device is in it; profile with activities=[ProfilerActivity.CPU, "
            "ProfilerActivity.CUDA], on a GPU"
        )
    try:
        work.sort(key=lambda each: finite(each["ts"]))
        launches = tuple(Launch(str(each["name"]), finite(each["dur"]) * MICROSECOND) for each in work)
        passes, wall = _steps(events)
    except (KeyError, ValueError) as error:
        raise InputError(f"{path}: an event without a name, a start or a duration in numbers: {error}") from None
    return Trace(Path(path).name, _device(data), launches, passes or 1, passes > 0, wall)


def _text(path: str) -> str:
    if not path.endswith(".gz"):
        return read_text(path, MAX_BYTES, "a trace")
    regular(path)
    try:
        with gzip.open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, EOFError) as error:
        raise InputError(f"{path}: cannot be unpacked: {error}") from None
    if len(content) > MAX_BYTES:
        raise InputError(f"{path}: more than {MAX_BYTES:,} bytes are too many for a trace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file (UTF-8 expected)") from None


def _steps(events: Iterable[Any]) -> tuple[int, float | None]:
    """How many steps a schedule recorded, and their mean seconds; nought and None without a schedule."""
    found: dict[str, float] = {}
    for each in events:
        if isinstance(each, Mapping) and each.get("ph") == "X" and STEP.fullmatch(str(each.get("name", ""))):
            found.setdefault(str(each["name"]), finite(each["dur"]) * MICROSECOND)
    return len(found), sum(found.values()) / len(found) if found else None


def _device(data: Mapping[str, Any]) -> str:
    """The first device that it names."""
    devices = data.get("deviceProperties")
    first = devices[0] if isinstance(devices, list) and devices else {}
    return str(first.get("name", "")) if isinstance(first, Mapping) else ""
