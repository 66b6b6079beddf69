"""What the columns of a file of runs may be called, and in which units their numbers may be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from roofsim.foundation.values import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """A measured quantity: its SI unit, and what can be true of it in that unit."""

    unit: str
    low: float
    high: float


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "latency_s": Metric("s", 1e-8, 1e5),
        "device_time_s": Metric("s", 1e-8, 1e5),
        "energy_j": Metric("J", 1e-8, 1e9),
        "throughput_tok_s": Metric("tok/s", 1e-4, 1e9),
        "peak_mem_bytes": Metric("B", 1e3, 1e15),
        "peak_reserved_bytes": Metric("B", 1e3, 1e15),
        "weights_bytes": Metric("B", 1e3, 1e15),
        "kernel_count": Metric("", 1, 1e9),
        "kv_tokens": Metric("", 1, 1e12),
        "tflops": Metric("TFLOP/s", 1e-6, 1e6),
        "oom": Metric("", 1, 1),
        "failed": Metric("", 1, 1),
    }
)
"""Every metric by the name that it has in the schema; limits far outside of what machines do."""

ENDS: Mapping[str, str] = MappingProxyType({"oom": "ran out of memory", "failed": "did not get through"})
"""Metrics, of value 1, of a pass of which there is no figure, and how it ended."""

_STEMS = {
    "latency_s": ("latency", "wall_time", "duration", "e2e_latency", "request_latency", "ttft",
                  "time_to_first_token", "tpot", "itl", "inter_token_latency", "time_per_output_token"),
    "device_time_s": ("device_time", "gpu_time", "kernel_time", "cuda_time"),
    "energy_j": ("energy",),
    "throughput_tok_s": ("throughput", "tokens_per_second", "tps", "tok_s"),
    "peak_mem_bytes": ("peak_mem", "peak_memory", "memory", "max_memory_allocated", "peak_allocated"),
    "peak_reserved_bytes": ("peak_reserved", "max_memory_reserved", "reserved"),
    "weights_bytes": ("weights_size", "weight_memory", "model_size"),
    "kernel_count": ("kernel_count", "kernels", "launches"),
    "kv_tokens": ("kv_tokens", "kv_cache_tokens", "kv_capacity"),
    "tflops": ("tflops", "tflop_s"),
}  # fmt: skip
STEMS: Mapping[str, str] = MappingProxyType({stem: name for name, stems in _STEMS.items() for stem in stems})
"""What a metric may be called in a header, its unit taken off."""

PHASE_OF_STEM = MappingProxyType(
    {
        **dict.fromkeys(("e2e_latency", "request_latency"), "request"),
        **dict.fromkeys(("ttft", "time_to_first_token"), "prefill"),
        **dict.fromkeys(("tpot", "itl", "inter_token_latency", "time_per_output_token"), "decode"),
    }
)
"""Names of metrics that tell the phase as well."""

UNITS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "s": {"s": 1, "sec": 1, "seconds": 1, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9, "min": 60},
        "J": {"j": 1, "joule": 1, "joules": 1, "mj": 1e-3, "kj": 1e3, "wh": 3600, "mwh": 3.6},
        "B": {"b": 1, "bytes": 1, "byte": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "kib": 2.0**10,
              "mib": 2.0**20, "gib": 2.0**30, "tib": 2.0**40},
        "tok/s": {"tok_s": 1, "tokens_s": 1, "t_s": 1, "tok_per_s": 1, "tokens_per_s": 1, "tokens_per_second": 1,
                  "tps": 1, "ktok_s": 1e3},
        "TFLOP/s": {"tflops": 1, "tflop_s": 1, "gflop_s": 1e-3, "gflops": 1e-3},
        "": {"count": 1},
    }
)  # fmt: skip
"""What one of a written unit is in the SI unit of a metric; case is ignored (no one measures in megaseconds)."""

ALIASES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "source": ("origin", "file"),
        "device": ("gpu", "hardware", "accelerator", "device_name", "gpu_name", "machine"),
        "framework": ("runtime", "software", "engine", "backend", "stack"),
        "model": ("model_name", "model_id", "architecture"),
        "arch": ("family", "model_type"),
        "phase": ("stage", "step"),
        "op": ("operator", "operation", "kernel"),
        "dtype": ("precision", "torch_dtype", "data_type"),
        "weight_dtype": ("weights", "weight_format", "quantization", "quant"),
        "batch": ("batch_size", "bs", "num_seqs"),
        "prompt_len": ("prompt", "prompt_length", "prompt_tokens", "seq_len", "sequence_length", "input_len",
                       "input_tokens", "isl", "seqlen", "length"),
        "context_len": ("context", "context_length", "kv_len", "past", "depth", "n_depth"),
        "gen_len": ("generate", "generated", "gen_tokens", "output_len", "output_tokens", "osl", "new_tokens", "n_gen"),
        "metric": ("quantity", "measure", "what"),
        "value": ("measured", "measurement", "result"),
        "unit": ("units",),
        "note": ("notes", "comment", "comments"),
    }
)  # fmt: skip
"""Columns of the schema, and what else each may be called."""

_COLUMN = {alias: name for name, aliases in ALIASES.items() for alias in (name, *aliases)}


@dataclass(frozen=True, slots=True)
class Measured:
    """What a header or the cell `metric` says is measured: the metric, SI units per written one, the phase if told."""

    metric: str
    factor: float
    phase: str | None


def plain(header: str) -> str:
    """A header in lower case with one underscore between words: `Peak memory (GiB)` is `peak_memory_gib`."""
    return re.sub(r"[^a-z0-9µ]+", "_", header.lower()).strip("_")


def column(header: str) -> str | None:
    """The column of the schema that a header means, if any."""
    return _COLUMN.get(plain(header))


def measured(words: str, unit: str | None = None) -> Measured | None:
    """What `ttft_ms`, `Peak memory (GiB)` or `latency` with the unit `ms` measures; None if it is no metric.

    Raises ValueError if it is one whose unit is missing or measures something else.
    """
    name = plain(words)
    if name in METRICS and not unit:
        return Measured(name, 1.0, None)
    if name in METRICS or name in STEMS:
        stem, written = name, plain(unit or "")
    else:
        stem, written = _split(name)
        if stem not in STEMS:
            return None
    metric = STEMS.get(stem, stem)
    known = UNITS[METRICS[metric].unit]
    if not written and METRICS[metric].unit in ("", "TFLOP/s"):
        return Measured(metric, 1.0, PHASE_OF_STEM.get(stem))
    if not written and stem in known:
        written = stem
    if not written:
        raise ValueError(f"'{words}' has no unit; write {stem}_{next(iter(known))} or one of {', '.join(known)}")
    if written not in known:
        raise ValueError(f"'{words}': '{unit or written}' is no unit of {metric}; one of {', '.join(known)}")
    return Measured(metric, known[written], PHASE_OF_STEM.get(stem))


def _split(name: str) -> tuple[str, str]:
    """A name and the unit at its end: the longest beginning that is a metric."""
    words = name.split("_")
    for end in range(len(words) - 1, 0, -1):
        if "_".join(words[:end]) in STEMS:
            return "_".join(words[:end]), "_".join(words[end:])
    return name, ""
