"""Times of layers as LLMServingSim reads them: a folder of CSVs for a model, a device and dtypes.

Its simulator has a scheduler of its own and adds up layers, so what it is given are those of one device's kernels: what
the host adds to a step is not in them. Layers and columns are those of its documentation (casys-kaist/LLMServingSim,
profiler/models/llama.yaml and qwen3.yaml, docs/docs/profiler/output-bundle.md).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

from roofsim.engine.passes import PassRun
from roofsim.foundation.errors import InputError, Unsupported
from roofsim.model.step import Pass
from roofsim.serving.step import StepTime

LAYERS: Mapping[str, str] = {
    "embedding": "embedding", "norm_1": "layernorm", "norm_2": "layernorm",
    "q_proj": "qkv_proj", "k_proj": "qkv_proj", "v_proj": "qkv_proj",
    "q_norm": "qk_norm", "k_norm": "qk_norm", "rotary": "rotary_emb",
    "cache_append": "attention", "attention": "attention", "o_proj": "o_proj",
    "gate_proj": "gate_up_proj", "up_proj": "gate_up_proj", "gate": "act_fn", "down_proj": "down_proj",
    "final_norm": "final_layernorm", "lm_head": "lm_head",
}  # fmt: skip
"""The layer that an operator belongs to."""
TWICE = ("layernorm",)
"""Layers that a block has two of: the time of one is asked for."""
SAMPLES = ("scores to fp32", "best")
"""Kernels that belong to the sampler."""
TOKENS = (1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192)
SEQUENCES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
CHUNKS = (0, 16, 64, 256, 512, 1024, 2048, 4096, 8192)
HISTORIES = (0, 512, 2048, 8192, 32_768)
DECODES = (0, 1, 4, 16, 64, 256)
HELD = (16, 512, 1024, 2048, 4096, 8192, 32_768)
"""Sizes at which times are told; its simulator interpolates between them."""
MICRO = 1e6


def bundle(t: StepTime, place: str) -> dict[str, str]:
    """Files by their path in a folder `.../HARDWARE/ORGANISATION/MODEL/VARIANT`, where they are to be put.

    Raises InputError for a place that does not say these, and Unsupported for a model with other layers.
    """
    parts = Path(place).parts
    if len(parts) < 4:
        raise InputError(
            f"{place}: LLMServingSim finds a table by its folder; write it like profiler/perf/H100/meta-llama/"
            "Llama-3.1-8B/bf16"
        )
    hardware, organisation, model, variant = parts[-4:]
    ranks = t.s.split.tp
    folder = f"tp{ranks}"
    return {
        "meta.yaml": _meta(t, hardware, f"{organisation}/{model}", variant),
        f"{folder}/dense.csv": _csv("layer,tokens,time_us", _dense(t)),
        f"{folder}/per_sequence.csv": _csv("layer,sequences,time_us", _heads(t)),
        f"{folder}/attention.csv":
            _csv("layer,prefill_chunk,prefill_key,n_decode,kv_decode,decode_q_len,time_us", _attention(t)),
    }  # fmt: skip


def layer_times(t: StepTime, p: Pass) -> dict[str, float]:
    """Seconds of each layer of a pass, of one block in the mean over blocks; those of the sampler apart."""
    run = PassRun(t.s.stack(t.w.dtype), p, None)
    found: dict[str, float] = defaultdict(float)
    blocks = max(float(row.row.count) for row in run.rows)
    for row, operators in zip(run.rows, run.terms, strict=True):
        share = float(row.row.count) / (blocks if float(row.row.count) > 1 else 1)
        for (operator, _), kernels in zip(row, operators, strict=True):
            # exchanges between devices are added by its simulator, from the links of its own cluster
            computed = [(kernel, terms) for kernel, terms in kernels if not float(kernel.cost.network)]
            if not computed:
                continue
            if operator.name not in LAYERS:
                raise Unsupported(
                    f"{t.s.model_name} has {operator.name}: LLMServingSim's layers are known here for dense "
                    "Transformers like Llama and Qwen3 alone"
                )
            layer = LAYERS[operator.name]
            for kernel, terms in computed:
                name = "sampler" if kernel.name in SAMPLES else layer
                found[name] += share * float(kernel.count) * float(terms.time) / (2 if layer in TWICE else 1)
    return dict(found)


def _dense(t: StepTime) -> Iterator[tuple[object, ...]]:
    of = {n: layer_times(t, t.piece(1, n)) for n in TOKENS}
    for layer in dict.fromkeys(LAYERS.values()):
        if layer not in ("attention", "lm_head") and layer in of[TOKENS[0]]:
            for n, times in of.items():
                yield layer, n, times[layer]


def _heads(t: StepTime) -> Iterator[tuple[object, ...]]:
    of = {n: layer_times(t, t.decoding(n, HELD[1])) for n in SEQUENCES}
    for layer in ("lm_head", "sampler"):
        for n, times in of.items():
            yield layer, n, times.get(layer, 0.0)


def _attention(t: StepTime) -> Iterator[tuple[object, ...]]:
    """Pieces and sequences that decode have launches of their own, whose times add up."""
    pieces = {(0, 0.0): 0.0}
    for chunk, history in product(CHUNKS[1:], HISTORIES):
        pieces[chunk, history + chunk / 2] = layer_times(t, t.piece(1, chunk, history))["attention"]
    decodes = {(0, 0): 0.0}
    for n, held in product(DECODES[1:], HELD):
        decodes[n, held] = layer_times(t, t.decoding(n, held))["attention"]
    for (chunk, key), (n, held) in product(pieces, decodes):
        if chunk or n:
            yield "attention", chunk, f"{key:g}", n, held, 1, pieces[chunk, key] + decodes[n, held]


def _csv(head: str, rows: Iterator[tuple[object, ...]]) -> str:
    """Rows whose last value is in seconds, told in microseconds."""
    lines = [",".join([*map(str, each[:-1]), f"{float(str(each[-1])) * MICRO:.6g}"]) for each in rows]
    return "\n".join([head, *lines]) + "\n"


def _meta(t: StepTime, hardware: str, model: str, variant: str) -> str:
    s = t.s
    lines: Sequence[str] = (
        "profiler_version: roofsim", f"vllm_version: '{s.runtime.name}'", f"gpu: '{s.device_name}'",
        f"hardware: '{hardware}'", f"variant: '{variant}'", f"model: '{model}'", f"tp_degrees: [{s.split.tp}]",
        f"calibration: {s.calibration_name or 'none'}",
        "engine_effective:", f"  max_num_batched_tokens: {TOKENS[-1]}", f"  max_num_seqs: {SEQUENCES[-1]}",
    )  # fmt: skip
    return "\n".join(lines) + "\n"
